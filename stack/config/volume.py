"""spec.volumes: files and folders of this machine, and secrets, seen in a function's container."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

from stack.config.allow import clean_path
from stack.config.document import NuclioDocument
from stack.config.inert import KUBERNETES, Inert
from stack.config.problem import Problem
from stack.config.secret import SecretKey, SecretName

_SOURCES = "hostPath: {path: /a/folder/of/this/machine}, or secret: {secretName: name}"
_MODE = Inert("has no effect: a secret's file can be read and not written")


def _check_target(path: str) -> str:
    if clean_path(path) == "/":
        raise ValueError(f"should be a path below /, such as /data, not {path!r}")
    return path


MountPath = Annotated[str, Field(pattern=r"^/"), AfterValidator(_check_target)]


class HostPath(NuclioDocument):
    """A file or folder of this machine."""

    path: str = Field(pattern=r"^/")
    type: Annotated[str, KUBERNETES] = ""


class SecretItem(NuclioDocument):
    """A key of a secret, and the file that holds its value, below the mount's path."""

    key: SecretKey
    path: str = Field(min_length=1)
    mode: Annotated[int | None, _MODE] = None

    @field_validator("path")
    @classmethod
    def _stays_below(cls, value: str) -> str:
        if value.startswith("/") or ".." in value.split("/"):
            raise ValueError("should be a path below the folder where the volume is mounted")
        return value


class SecretVolume(NuclioDocument):
    """The values of a secret as files: all, named by their keys, or those of `items`."""

    secret_name: SecretName
    items: list[SecretItem] = []
    optional: bool = False
    default_mode: Annotated[int | None, _MODE] = None


class HostVolume(NuclioDocument):
    """The volume's side of a mount; a `hostPath` or a `secret` can be mounted here."""

    name: str = ""
    host_path: HostPath | None = None
    secret: SecretVolume | None = None
    config_map: Annotated[dict[str, Any] | None, KUBERNETES] = None
    persistent_volume_claim: Annotated[dict[str, Any] | None, KUBERNETES] = None
    empty_dir: Annotated[dict[str, Any] | None, KUBERNETES] = None
    flex_volume: Annotated[dict[str, Any] | None, KUBERNETES] = None


class VolumeMount(NuclioDocument):
    """The container's side of a mount."""

    name: str = ""
    mount_path: MountPath
    read_only: bool = False
    sub_path: Annotated[str, KUBERNETES] = ""
    sub_path_expr: Annotated[str, KUBERNETES] = ""
    mount_propagation: Annotated[str, KUBERNETES] = ""


class Volume(NuclioDocument):
    """A volume and where it is seen; both sides have the same name."""

    volume: HostVolume
    volume_mount: VolumeMount


def check_volumes(volumes: list[Volume]) -> Iterator[Problem]:
    """Find mounts without a name or a source, and those that contradict each other."""
    known: dict[str, HostVolume] = {}
    taken: set[str] = set()
    for number, item in enumerate(volumes):
        at = ("volumes", str(number))
        name, path = item.volume.name, item.volume_mount.mount_path
        if not name or name != item.volume_mount.name:
            yield Problem(at, "volume.name and volumeMount.name should be given, and the same")
        elif known.setdefault(name, item.volume) != item.volume:
            yield Problem((*at, "volume"), f"the name {name!r} already stands for another volume; choose another")
        if item.volume.model_fields_set <= {"name"}:
            yield Problem((*at, "volume"), f"needs a source, such as {_SOURCES}")
        if clean_path(path) in taken:
            yield Problem((*at, "volumeMount", "mountPath"), f"another volume is mounted at {path!r} already")
        taken.add(clean_path(path))
