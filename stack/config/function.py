"""function.yaml: a function as Nuclio describes it, and the files beside it."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from stack.config.build import Build
from stack.config.document import NuclioDocument
from stack.config.duration import Duration
from stack.config.inert import KUBERNETES, LATER, Inert
from stack.config.trigger import HttpTrigger, Trigger

PROJECT_LABEL = "nuclio.io/project-name"
DEFAULT_PROJECT = "default"
DEFAULT_HTTP = "default-http"

# Kubernetes' qualified name, which Nuclio asks for.
_NAME = re.compile(r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
# Nuclio's reserved names.
_RESERVED = ("dashboard", "controller", "dlx", "scaler")
_HANDLER = re.compile(r"^[\w|-]+(\.[\w|-]+)*:\w+$")
_RUNTIME = re.compile(r"^python(:3\.(9|1[0-4]))?$")

# YAML reads `value: 5` as a number; Nuclio takes it as the text "5".
Text = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) in (int, float) else value)]


def check_name(name: str) -> None:
    """Make sure that a function can be called so.

    Raises:
        ValueError: it cannot.
    """
    if not _NAME.match(name):
        raise ValueError(f"should be at most 63 letters, digits, '-', '_' and '.', not {name!r}")
    if name in _RESERVED:
        raise ValueError(f"{name!r} is reserved; choose another name")


class SecretKeyRef(NuclioDocument):
    """One value of a secret."""

    name: str
    key: str
    optional: Annotated[bool, LATER] = False


class ValueFrom(NuclioDocument):
    """Where a variable's value is taken from."""

    secret_key_ref: SecretKeyRef | None = None
    config_map_key_ref: Annotated[dict[str, Any] | None, KUBERNETES] = None
    field_ref: Annotated[dict[str, Any] | None, KUBERNETES] = None
    resource_field_ref: Annotated[dict[str, Any] | None, KUBERNETES] = None


class Variable(NuclioDocument):
    """A variable of the handler's environment."""

    name: str = Field(pattern=r"^[^=\x00]+$")
    value: Text = ""
    value_from: ValueFrom | None = None


class Resources(NuclioDocument):
    """Limits in Kubernetes' notation: cpu `500m` or `2`, memory `64Mi`."""

    limits: dict[str, Text] = {}
    requests: Annotated[dict[str, Text], Inert("has no effect on Docker; use limits")] = {}
    claims: Annotated[list[Any], KUBERNETES] = []


class SinkAttributes(NuclioDocument):
    """How log lines are written: the attributes of Nuclio's sink `stdout`."""

    encoding: Literal["console", "json"] = "console"
    time_field_name: str = "time"
    time_field_encoding: Literal["epoch-millis", "iso8601"] = "epoch-millis"
    var_group_name: str = ""
    var_group_mode: Annotated[str, Inert()] = ""


class LoggerSink(NuclioDocument):
    """The level from which on a function's log lines are kept, and how they are written."""

    level: Literal["debug", "info", "warn", "error"] = "debug"
    sink: Annotated[str, Inert("has no effect: log lines go to the container's standard output")] = ""
    encoding: Literal["console", "json"] = "console"
    attributes: SinkAttributes = SinkAttributes()


class SecurityContext(NuclioDocument):
    """Who the function runs as; without it, a user without rights."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    fs_group: int | None = None


class RestartPolicy(NuclioDocument):
    """What Docker does when the container ends."""

    name: Literal["no", "always", "unless-stopped", "on-failure"] = "unless-stopped"
    maximum_retry_count: int = Field(0, ge=0)


class PlatformAttributes(NuclioDocument):
    """Docker's part of the specification."""

    network: Annotated[str, Inert("has no effect: functions share the stack's network")] = ""
    restart_policy: RestartPolicy = RestartPolicy()
    health_check_interval: Annotated[Any, LATER] = None
    mount_mode: Annotated[str, Inert("is documented by Nuclio and not read")] = ""


class Platform(NuclioDocument):
    """The platform section."""

    attributes: PlatformAttributes = PlatformAttributes()


class HostPath(NuclioDocument):
    """A file or folder of this machine."""

    path: str
    type: Annotated[str, KUBERNETES] = ""


class HostVolume(NuclioDocument):
    """The volume's side of a mount."""

    name: str
    host_path: HostPath


class VolumeMount(NuclioDocument):
    """The container's side of a mount."""

    name: str
    mount_path: str = Field(pattern=r"^/")
    read_only: bool = False


class Volume(NuclioDocument):
    """A folder of this machine, seen in the function's container."""

    volume: HostVolume
    volume_mount: VolumeMount

    @model_validator(mode="after")
    def _same_name(self) -> "Volume":
        if self.volume.name != self.volume_mount.name:
            raise ValueError("volume.name and volumeMount.name should be the same")
        return self


class Metadata(NuclioDocument):
    """Who the function is."""

    name: str = ""
    namespace: str = ""
    labels: dict[str, Text] = {}
    annotations: dict[str, Text] = {}
    resource_version: Annotated[str, Inert()] = ""

    @field_validator("name")
    @classmethod
    def _valid(cls, value: str) -> str:
        if value:
            check_name(value)
        return value


class Spec(NuclioDocument):
    """What the function does and how it runs."""

    description: str = ""
    disable: Annotated[bool, LATER] = False
    publish: Annotated[bool, Inert()] = False
    handler: str = ""
    runtime: str = "python"
    env: list[Variable] = []
    env_from: Annotated[list[Any], LATER] = []
    resources: Resources = Resources()
    image: str = ""
    image_hash: Annotated[str, KUBERNETES] = ""
    replicas: Annotated[int | None, LATER] = Field(None, ge=0)
    min_replicas: Annotated[int, LATER] = Field(1, ge=0)
    max_replicas: Annotated[int, LATER] = Field(1, ge=1)
    target_cpu: Annotated[int, KUBERNETES] = Field(75, alias="targetCPU")
    data_bindings: Annotated[dict[str, Any], Inert()] = {}
    triggers: dict[str, Trigger] = {}
    volumes: list[Volume] = []
    version: Annotated[int, Inert()] = 0
    alias: Annotated[str, Inert()] = ""
    build: Build = Build()
    run_registry: Annotated[str, Inert()] = ""
    image_pull_secrets: Annotated[str, KUBERNETES] = ""
    runtime_attributes: Annotated[dict[str, Any], Inert()] = {}
    logger_sinks: list[LoggerSink] = []
    dealer_uri: Annotated[str, Inert()] = Field("", alias="dealerURI")
    platform: Platform = Platform()
    readiness_timeout_seconds: int = Field(0, ge=0)
    security_context: SecurityContext = SecurityContext()
    disable_default_http_trigger: bool = Field(False, alias="disableDefaultHTTPTrigger")
    disable_sensitive_fields_masking: Annotated[bool, Inert()] = False
    devices: list[str] = []
    event_timeout: Duration = ""
    avatar: Annotated[str, Inert()] = ""
    service_type: Annotated[str, KUBERNETES] = ""
    image_pull_policy: Annotated[str, KUBERNETES] = ""
    service_account: Annotated[str, KUBERNETES] = ""
    scale_to_zero: Annotated[dict[str, Any], KUBERNETES] = {}
    affinity: Annotated[dict[str, Any], KUBERNETES] = {}
    node_selector: Annotated[dict[str, Text], KUBERNETES] = {}
    node_name: Annotated[str, KUBERNETES] = ""
    tolerations: Annotated[list[Any], KUBERNETES] = []
    priority_class_name: Annotated[str, KUBERNETES] = ""
    preemption_policy: Annotated[str, KUBERNETES] = ""
    preemption_mode: Annotated[str, KUBERNETES] = ""
    deployment_strategy: Annotated[dict[str, Any], KUBERNETES] = {}
    host_ipc: Annotated[bool, KUBERNETES] = Field(False, alias="hostIPC")
    custom_scaling_metric_specs: Annotated[list[Any], KUBERNETES] = []
    auto_scale_metrics: Annotated[list[Any], KUBERNETES] = []
    wait_readiness_timeout_before_failure: Annotated[bool, KUBERNETES] = False
    sidecars: Annotated[list[Any], KUBERNETES] = []
    init_containers: Annotated[list[Any], KUBERNETES] = []

    @field_validator("handler")
    @classmethod
    def _handler_form(cls, value: str) -> str:
        if value and not _HANDLER.match(value):
            raise ValueError(f"should be module:function, such as main:handler, not {value!r}")
        return value

    @field_validator("runtime")
    @classmethod
    def _python_only(cls, value: str) -> str:
        if not _RUNTIME.match(value):
            raise ValueError(f"{value!r} is not supported; Tidegate runs python and python:3.9 to python:3.14")
        return value

    @field_validator("triggers")
    @classmethod
    def _triggers_agree(cls, value: dict[str, Trigger]) -> dict[str, Trigger]:
        for key, trigger in value.items():
            if trigger.name and trigger.name != key:
                raise ValueError(f"the trigger {key!r} is named {trigger.name!r}; both should be the same")
        if sum(isinstance(trigger, HttpTrigger) for trigger in value.values()) > 1:
            raise ValueError("a function can have one http trigger only")
        return value

    @model_validator(mode="after")
    def _replicas_agree(self) -> "Spec":
        if self.min_replicas > self.max_replicas and "max_replicas" in self.model_fields_set:
            raise ValueError("minReplicas should be at most maxReplicas")
        return self


class FunctionConfig(NuclioDocument):
    """A whole function.yaml; `apiVersion`, `kind` and `status` are read and not used, as in Nuclio."""

    api_version: str = ""
    kind: str = ""
    metadata: Metadata = Metadata()
    spec: Spec = Spec()
    status: Annotated[dict[str, Any], Inert("is written by a dashboard and not read")] = {}
