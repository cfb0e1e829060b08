"""What a function's container may use, who it runs as, and what Docker does with it."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from stack.config.allow import GPU
from stack.config.document import NuclioDocument
from stack.config.duration import Duration, parse_duration
from stack.config.inert import KUBERNETES, Inert
from stack.config.quantity import check_memory, cpus

# What Docker refuses to go below.
_LEAST_CPUS = 0.01
_LEAST_INTERVAL = 0.001
_INT32 = 2**31 - 1


class Resources(NuclioDocument):
    """Limits in Kubernetes' notation: cpu `500m` or `2`, memory `64Mi`."""

    limits: dict[str, str] = {}
    requests: Annotated[dict[str, str], Inert("has no effect on Docker; use limits")] = {}
    claims: Annotated[list[Any], KUBERNETES] = []

    @field_validator("limits")
    @classmethod
    def _quantities(cls, value: dict[str, str]) -> dict[str, str]:
        processors = value.get("cpu", "")
        if 0 < float(cpus(processors) or 0) < _LEAST_CPUS:
            raise ValueError(f"cpu should be at least 10m, the least that Docker gives, not {processors!r}")
        check_memory(value.get("memory", ""))
        return value

    @property
    def has_gpus(self) -> bool:
        """Say whether the function sees the machine's GPUs, which Docker gives all or none of."""
        return self.limits.get(GPU, "0") != "0"


class SecurityContext(NuclioDocument):
    """Who the function runs as; without it, a user without rights."""

    run_as_user: int | None = Field(None, ge=0, le=_INT32)
    run_as_group: int | None = Field(None, ge=0, le=_INT32)
    fs_group: int | None = Field(None, ge=0, le=_INT32)
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
    maximum_retry_count: int = Field(0, ge=0, le=_INT32)


def _check_interval(text: str) -> str:
    if text and 0 < parse_duration(text) < _LEAST_INTERVAL:
        raise ValueError(f"should be at least 1ms, not {text!r}")
    return text


Interval = Annotated[Duration, AfterValidator(_check_interval)]


class PlatformAttributes(NuclioDocument):
    """Docker's part of the specification."""

    network: Annotated[str, Inert("has no effect: functions share the stack's network")] = ""
    restart_policy: RestartPolicy = RestartPolicy()
    health_check_interval: Interval = ""
    """How often Docker asks a running function whether it is well; 15s where left out."""
    mount_mode: Annotated[str, Inert("is documented by Nuclio and not read")] = ""


class Platform(NuclioDocument):
    """The platform section."""

    attributes: PlatformAttributes = PlatformAttributes()
