"""What a function's pod mounts: values of secrets, each as a file of its own as in Compose, and folders."""

from collections.abc import Iterator, Mapping
from typing import Any

from stack.config.allow import clean_path
from stack.plan.kubernetes.name import make_name, name_claim
from stack.plan.kubernetes.workload import Workload

_TMP = "/tmp"
_CONFIG = "/etc/nuclio/config/processor/processor.yaml"

# A volume, and where it is seen.
Mounted = tuple[dict[str, Any], dict[str, Any]]


def list_volumes(workload: Workload) -> list[Mounted]:
    """Return the volumes of a function's pod, a volume once for each place."""
    found = [*_list_secrets(workload), *_list_folders(workload)]
    if workload.config_map:
        mount = {"mountPath": _CONFIG, "subPath": "processor.yaml", "readOnly": True}
        found.append(_mount("processor", {"configMap": {"name": workload.config_map}}, mount=mount))
    is_read_only = workload.service.plan.spec.security_context.read_only_root_filesystem
    if is_read_only and all(clean_path(mount["mountPath"]) != _TMP for _, mount in found):
        found.append(_mount("tmp", {"emptyDir": {"medium": "Memory"}}, mount={"mountPath": _TMP}))
    return found


def _list_secrets(workload: Workload) -> Iterator[Mounted]:
    for mount in workload.service.mounts:
        secret = workload.name_secret(mount)
        seen = {"mountPath": mount.target, "subPath": mount.secret.key, "readOnly": True}
        yield _mount(make_name(secret, "secret-"), {"secret": {"secretName": secret}}, mount=seen)


def _list_folders(workload: Workload) -> Iterator[Mounted]:
    for number, item in enumerate(workload.service.plan.spec.volumes):
        source, mount = item.volume, item.volume_mount
        seen: dict[str, Any] = {"mountPath": mount.mount_path, **({"readOnly": True} if mount.read_only else {})}
        name = f"volume-{number}"
        if source.host_path:
            yield _mount(name, {"hostPath": {"path": source.host_path.path}}, mount=seen)
        elif claim := source.persistent_volume_claim:
            seen |= {"readOnly": True} if claim.read_only else {}
            yield _mount(name, {"persistentVolumeClaim": {"claimName": name_claim(claim.claim_name)}}, mount=seen)
        elif source.empty_dir is not None:
            limit = {"sizeLimit": str(source.empty_dir.size)} if source.empty_dir.size else {}
            medium = {"medium": "Memory"} if source.empty_dir.medium else {}
            yield _mount(name, {"emptyDir": {**medium, **limit}}, mount=seen)


def _mount(name: str, source: Mapping[str, Any], *, mount: Mapping[str, Any]) -> Mounted:
    return {"name": name, **source}, {"name": name, **mount}
