"""What a function's container may use, who it runs as, and what Docker does with it."""

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from stack.config.allow import GPU, NAMED_DEVICE, clean_path
from stack.config.document import KUBERNETES, Ignored, NuclioDocument
from stack.config.environment import SecretKey, SecretName
from stack.config.problem import Problem, refuse
from stack.config.value import Duration, check_memory, cpus, memory_bytes
from stack.contract import parse_duration

# What Docker refuses to go below.
_LEAST_CPUS = 0.01
_LEAST_INTERVAL = 0.001
_INT32 = 2**31 - 1


def _check_limits(limits: dict[str, str]) -> Iterator[Problem]:
    """Find the quantities that are none, or that Docker refuses."""
    for name, check in _LIMITS.items():
        try:
            check(limits.get(name, ""))
        except ValueError as error:
            yield Problem(("limits",), str(error))


def _check_cpus(text: str) -> None:
    if 0 < float(cpus(text) or 0) < _LEAST_CPUS:
        raise ValueError(f"cpu should be at least 10m, the least that Docker gives, not {text!r}")


_LIMITS: Mapping[str, Callable[[str], object]] = {"cpu": _check_cpus, "memory": check_memory}


class Resources(NuclioDocument):
    """Limits in Kubernetes' notation: cpu `500m` or `2`, memory `64Mi`."""

    limits: dict[str, str] = {}
    """The most that the container may take: `cpu`, `memory`, and `nvidia.com/gpu`."""
    requests: Annotated[dict[str, str], Ignored("has no effect on Docker; use limits")] = {}
    claims: Annotated[list[Any], KUBERNETES] = []

    @model_validator(mode="after")
    def _has_limits(self) -> Self:
        refuse(self, _check_limits(self.limits))
        return self

    @property
    def has_gpus(self) -> bool:
        """Return whether the function sees the machine's GPUs, which Docker gives all or none of."""
        return self.limits.get(GPU, "0") != "0"


def find_unheeded_limits(resources: Resources) -> Iterator[str]:
    """Yield a line for each limit that Docker does not set, by Kubernetes' names."""
    for name in resources.limits:
        if name not in (*_LIMITS, GPU):
            near = get_close_matches(name.lower(), _LIMITS, n=1, cutoff=0.5)
            why = f"has no effect; did you mean {near[0]!r}?" if near else "has no effect on Docker"
            yield f"spec.resources.limits.{name} {why}"


class SecurityContext(NuclioDocument):
    """Who the function runs as; without it, a user without rights."""

    run_as_user: int | None = Field(None, ge=0, le=_INT32)
    """The id of the user; 0 needs `allow.root` in stack.yaml."""
    run_as_group: int | None = Field(None, ge=0, le=_INT32)
    """The id of the group."""
    fs_group: int | None = Field(None, ge=0, le=_INT32)
    """The id of a further group."""
    read_only_root_filesystem: bool = False
    """Only /tmp, in memory, and what is mounted can be written to."""
    run_as_non_root: Annotated[bool | None, KUBERNETES] = None
    supplemental_groups: Annotated[list[int], KUBERNETES] = []
    fs_group_change_policy: Annotated[str, KUBERNETES] = ""
    se_linux_options: Annotated[dict[str, Any] | None, KUBERNETES] = None
    seccomp_profile: Annotated[dict[str, Any] | None, KUBERNETES] = None
    sysctls: Annotated[list[Any], KUBERNETES] = []
    windows_options: Annotated[dict[str, Any] | None, KUBERNETES] = None


class RestartPolicy(NuclioDocument):
    """What Docker does when the container ends."""

    name: Literal["no", "always", "unless-stopped", "on-failure"] = "unless-stopped"
    """When Docker starts the container again."""
    maximum_retry_count: int = Field(0, ge=0, le=_INT32)
    """How often, with on-failure; 0 is any number."""


def _check_interval(text: str) -> str:
    if text and 0 < parse_duration(text) < _LEAST_INTERVAL:
        raise ValueError(f"should be at least 1ms, not {text!r}")
    return text


Interval = Annotated[Duration, AfterValidator(_check_interval)]


class PlatformAttributes(NuclioDocument):
    """Docker's part of the specification."""

    network: Annotated[str, Ignored("has no effect: functions share the stack's network")] = ""
    restart_policy: RestartPolicy = RestartPolicy.model_construct()
    health_check_interval: Interval = ""
    """How often Docker asks a running function whether it is well; 15s where left out."""
    mount_mode: Annotated[str, Ignored("is documented by Nuclio and not read")] = ""


class Platform(NuclioDocument):
    """The platform section."""

    attributes: PlatformAttributes = PlatformAttributes.model_construct()


_PATH = r"/[^:]*"
_DEVICE = re.compile(rf"{_PATH}(:{_PATH}(:[rwm]{{1,3}})?)?")


def _check(text: str) -> str:
    if not (_DEVICE.fullmatch(text) or NAMED_DEVICE.fullmatch(text)):
        raise ValueError(
            "should be HOST, HOST:CONTAINER or HOST:CONTAINER:PERMISSIONS, "
            f"such as /dev/ttyUSB0:/dev/ttyUSB0:rw, not {text!r:.60}"
        )
    return text


Device = Annotated[str, AfterValidator(_check)]


_SOURCES = (
    "persistentVolumeClaim: {claimName: readings}, emptyDir: {}, hostPath: {path: /a/folder/of/this/machine}, "
    "or secret: {secretName: name}"
)
_MODE = Ignored("has no effect: a secret's file can be read and not written")


def _check_target(path: str) -> str:
    if clean_path(path) == "/":
        raise ValueError(f"should be a path below /, such as /data, not {path!r}")
    return path


MountPath = Annotated[str, Field(pattern=r"^/"), AfterValidator(_check_target)]


class HostPath(NuclioDocument):
    """A file or folder of this machine."""

    path: str = Field(pattern=r"^/")
    """A file or folder of this machine, which `allow.host_paths` in stack.yaml must name."""
    type: Annotated[str, KUBERNETES] = ""


class SecretItem(NuclioDocument):
    """A key of a secret, and the file that holds its value, below the mount's path."""

    key: SecretKey
    """Which of its values."""
    path: str = Field(min_length=1)
    """The name of the file below the mount path."""
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
    """The secret's name."""
    items: list[SecretItem] = []
    optional: bool = False
    """Have an empty folder where the secret is missing."""
    default_mode: Annotated[int | None, _MODE] = None


class EmptyDir(NuclioDocument):
    """A folder that each container has of its own, empty at its start and gone at its end."""

    medium: Literal["", "Memory"] = ""
    """Memory keeps it in memory; else it is on the disk."""
    size_limit: str = ""
    """The most that it may hold in memory, such as 64Mi."""

    @field_validator("size_limit")
    @classmethod
    def _quantity(cls, value: str) -> str:
        memory_bytes(value)
        return value

    @property
    def size(self) -> int:
        """Return the limit in bytes; 0 is none."""
        return memory_bytes(self.size_limit)


# What Compose's names of functions' volumes begin with.
CLAIM_PREFIX = "claim-"


class PersistentVolumeClaim(NuclioDocument):
    """A folder that outlives containers, redeploys and `down`, and is in each backup: a volume of the project."""

    claim_name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$")
    """The volume's name; functions that name the same one share it."""
    read_only: bool = False
    """Let nothing in the container change it."""

    @property
    def volume_name(self) -> str:
        """Return Compose's name of the volume."""
        return f"{CLAIM_PREFIX}{self.claim_name}"


class HostVolume(NuclioDocument):
    """The volume's side of a mount."""

    name: str = ""
    """The name by which the mount finds it."""
    host_path: HostPath | None = None
    secret: SecretVolume | None = None
    config_map: Annotated[dict[str, Any] | None, KUBERNETES] = None
    persistent_volume_claim: PersistentVolumeClaim | None = None
    empty_dir: EmptyDir | None = None
    flex_volume: Annotated[dict[str, Any] | None, KUBERNETES] = None


class VolumeMount(NuclioDocument):
    """The container's side of a mount."""

    name: str = ""
    """The name of the volume."""
    mount_path: MountPath
    """Where the container sees it."""
    read_only: bool = False
    """Let nothing in the container change it."""
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


class SinkAttributes(NuclioDocument):
    """How log lines are written: the attributes of Nuclio's sink `stdout`."""

    encoding: Literal["console", "json"] = "console"
    """Lines for people, or JSON."""
    time_field_name: str = "time"
    """The name of the time in JSON."""
    time_field_encoding: Literal["epoch-millis", "iso8601"] = "epoch-millis"
    """The form of the time."""
    var_group_name: str = ""
    """The name of the mapping in JSON that has what the handler adds; beside the rest where left out."""
    var_group_mode: Annotated[str, Ignored()] = ""


class LoggerSink(NuclioDocument):
    """The level from which on a function's log lines are kept, and how they are written."""

    level: Literal["debug", "info", "warn", "error"] = "debug"
    """The lowest level that is kept."""
    sink: Annotated[str, Ignored("has no effect: log lines go to the container's standard output")] = ""
    encoding: Literal["console", "json"] = "console"
    """Lines for people, or JSON."""
    attributes: SinkAttributes = SinkAttributes.model_construct()
