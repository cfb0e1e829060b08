"""function.yaml: a function as Nuclio describes it, and the files beside it."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from stack.config.build import Build, check_build
from stack.config.container import Device, LoggerSink, Platform, Resources, SecurityContext, Volume, check_volumes
from stack.config.document import KUBERNETES, Ignored, NuclioDocument
from stack.config.environment import Variable, VariableSource
from stack.config.output.registry import Output, OutputName, check_on_success
from stack.config.problem import Problem, refuse
from stack.config.runtime import HANDLER_PATTERN, PATTERN, RUNTIMES, check_runtime, is_handler, name_runtime
from stack.config.scaling import (
    TARGETS,
    AutoScaleMetric,
    Bounds,
    Replicas,
    ScaleToZero,
    check_bounds,
    find_bounds,
    read_target,
)
from stack.config.settings import Processor
from stack.config.trigger.registry import Trigger, check_triggers
from stack.config.value import WORD, Duration, ImageName, Labels, Registry, find_nuls
from stack.contract import PYTHON

PROJECT_LABEL = "nuclio.io/project-name"
FUNCTION_LABEL = "nuclio.io/function-name"
DEFAULT_PROJECT = "default"
# Chooses the processor of one function.
PROCESSOR_ANNOTATION = "tidegate.io/processor"
DEFAULT_HTTP = "default-http"

# Kubernetes' qualified name, which Nuclio asks for.
_NAME = re.compile(r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
_LONGEST_START = 2**31 - 1
# Nuclio's reserved names.
RESERVED = ("dashboard", "controller", "dlx", "scaler", "devices")
# module:function, the module perhaps within packages.


def check_name(name: str) -> None:
    """Make sure that a function can be called so, and its image, whose name has it in lower case.

    Raises:
        ValueError: it cannot.
    """
    check_qualified_name(name)
    if not re.fullmatch(WORD, name.lower()):
        allowed = "one '.', one or two '_', or any number of '-'"
        raise ValueError(f"should have only {allowed} between letters and digits, as Docker's images, not {name!r}")
    if name in RESERVED:
        raise ValueError(f"{name!r} is reserved; choose another name")


def check_qualified_name(name: str) -> None:
    """Make sure that a thing can be called so; such a name is that of a file too.

    Raises:
        ValueError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"should be at most 63 letters, digits, '-', '_' and '.', not {name!r}")


class Metadata(NuclioDocument):
    """Who the function is."""

    name: str = ""
    """The name; that of the folder where left out."""
    namespace: str = ""
    """The namespace that the function sees; that of stack.yaml where left out."""
    labels: dict[str, str] = {}
    """Labels as key: value; `nuclio.io/project-name` names the project."""
    annotations: dict[str, str] = {}
    """Notes as key: value; those that begin with `tidegate.io/` are settings."""
    resource_version: Annotated[str, Ignored()] = ""

    @field_validator("name")
    @classmethod
    def _valid(cls, value: str) -> str:
        if value:
            check_name(value)
        return value

    @field_validator("annotations")
    @classmethod
    def _well_annotated(cls, value: dict[str, str]) -> dict[str, str]:
        if value.get(PROCESSOR_ANNOTATION, Processor.TIDEGATE) not in list(Processor):
            raise ValueError(f"{PROCESSOR_ANNOTATION} should be one of {', '.join(Processor)}")
        for name in TARGETS:
            read_target(value, name)
        return value


class Spec(NuclioDocument):
    """What the function does and how it runs."""

    description: str = ""
    """What the function is for."""
    disable: bool = False
    """Have no container; what is deployed stops."""
    publish: Annotated[bool, Ignored()] = False
    handler: str = Field("", json_schema_extra={"pattern": HANDLER_PATTERN})
    """The function to call: module:function of Python, file:export of Node.js; main:handler for main.py or main.js."""
    runtime: str = Field(PYTHON, json_schema_extra={"pattern": PATTERN})
    """python or nodejs, or the version that the function is written for, such as python:3.11 or nodejs:22."""
    env: list[Variable] = []
    """The environment that the handler finds."""
    env_from: list[VariableSource] = []
    resources: Resources = Resources.model_construct()
    image: ImageName = ""
    """An image that was built elsewhere and runs as it is; nothing is built."""
    image_hash: Annotated[str, KUBERNETES] = ""
    replicas: Replicas | None = None
    """So many containers, always; wins over the two below."""
    min_replicas: Replicas | None = None
    """The fewest containers; the same as maxReplicas where left out."""
    max_replicas: Replicas | None = None
    """The most containers; the same as minReplicas where left out."""
    target_cpu: Annotated[int, KUBERNETES] = Field(75, alias="targetCPU")
    data_bindings: Annotated[dict[str, Any], Ignored()] = {}
    triggers: dict[str, Trigger] = {}
    """What makes the function run, by name."""
    outputs: dict[OutputName, Output] = {}
    """Where the function sends what it makes, by name: `context.outputs.NAME.send(body)`."""
    on_success: str = ""
    """The output that the handler's answer is sent to."""
    volumes: list[Volume] = []
    version: int = 0
    """What the handler finds in NUCLIO_FUNCTION_VERSION."""
    alias: Annotated[str, Ignored()] = ""
    build: Build = Build.model_construct()
    run_registry: Annotated[Registry, Ignored()] = ""
    image_pull_secrets: Annotated[str, KUBERNETES] = ""
    runtime_attributes: Annotated[dict[str, Any], Ignored()] = {}
    logger_sinks: list[LoggerSink] = []
    dealer_uri: Annotated[str, Ignored()] = Field("", alias="dealerURI")
    platform: Platform = Platform.model_construct()
    readiness_timeout_seconds: int = Field(0, ge=0, le=_LONGEST_START)
    """How long the function may take to be ready after its start; 0 is 120."""
    security_context: SecurityContext = SecurityContext.model_construct()
    disable_default_http_trigger: bool = Field(False, alias="disableDefaultHTTPTrigger")
    """Give the function no http trigger where it names none."""
    disable_sensitive_fields_masking: Annotated[bool, Ignored()] = False
    devices: list[Device] = []
    """Devices of this machine, such as /dev/ttyUSB0:/dev/ttyUSB0."""
    event_timeout: Duration = ""
    """The longest that an event may take, such as 30s; then its worker is replaced."""
    avatar: Annotated[str, Ignored()] = ""
    service_type: Annotated[str, KUBERNETES] = ""
    image_pull_policy: Annotated[str, KUBERNETES] = ""
    service_account: Annotated[str, KUBERNETES] = ""
    scale_to_zero: ScaleToZero = ScaleToZero.model_construct()
    """When no container is left, where minReplicas is 0."""
    affinity: Annotated[dict[str, Any], KUBERNETES] = {}
    node_selector: Labels = {}
    """Labels that a machine has to have, of several (`engine: swarm`), to run the function."""
    node_name: Annotated[str, KUBERNETES] = ""
    tolerations: Annotated[list[Any], KUBERNETES] = []
    priority_class_name: Annotated[str, KUBERNETES] = ""
    preemption_policy: Annotated[str, KUBERNETES] = ""
    preemption_mode: Annotated[str, KUBERNETES] = ""
    deployment_strategy: Annotated[dict[str, Any], KUBERNETES] = {}
    host_ipc: Annotated[bool, KUBERNETES] = Field(False, alias="hostIPC")
    custom_scaling_metric_specs: Annotated[list[Any], KUBERNETES] = []
    auto_scale_metrics: list[AutoScaleMetric] = []
    """What one container is to carry, where maxReplicas is above minReplicas."""
    wait_readiness_timeout_before_failure: Annotated[bool, KUBERNETES] = False
    sidecars: Annotated[list[Any], KUBERNETES] = []
    init_containers: Annotated[list[Any], KUBERNETES] = []

    @field_validator("runtime")
    @classmethod
    def _runtime_that_is_there(cls, value: str) -> str:
        return check_runtime(value)

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        checks = (
            self._check_handler(),
            self._check_batches(),
            check_triggers(self.triggers),
            check_on_success(self.outputs, self.on_success),
            check_volumes(self.volumes),
            check_bounds(self.min_replicas, self.max_replicas),
            self._check_waking(),
            check_build(self.build, self.image),
        )
        refuse(self, chain(*checks))
        return self

    def _check_handler(self) -> Iterator[Problem]:
        if self.handler and not is_handler(self.runtime, self.handler):
            words = RUNTIMES[name_runtime(self.runtime)].handler_words
            yield Problem(("handler",), f"should be {words}, not {self.handler!r}")

    def _check_batches(self) -> Iterator[Problem]:
        runtime = name_runtime(self.runtime)
        for name, trigger in self.triggers.items() if not RUNTIMES[runtime].has_batches else ():
            if trigger.batch and trigger.batch.mode == "enable":
                why = f"{runtime} gets one event at a time, and python alone can get several; leave batch out"
                yield Problem(("triggers", name, "batch"), why)

    def _check_waking(self) -> Iterator[Problem]:
        """Find a function that sleeps for ever: nothing that comes to it can wake it."""
        has_trigger = any(not one.disabled for one in self.triggers.values()) or not self.disable_default_http_trigger
        if self.min_replicas == 0 and self.max_replicas and not has_trigger:
            yield Problem(("minReplicas",), "0 needs a trigger that wakes the function; enable one, or write 1")

    @property
    def bounds(self) -> Bounds:
        """Return how many replicas there may be."""
        return find_bounds(self.replicas, self.min_replicas, most=self.max_replicas)

    @property
    def mounts(self) -> list[Volume]:
        """Return the volumes that are files or folders of this machine."""
        return [item for item in self.volumes if item.volume.host_path]

    @property
    def claims(self) -> list[Volume]:
        """Return the volumes of the project."""
        return [item for item in self.volumes if item.volume.persistent_volume_claim]

    @property
    def memory_folders(self) -> list[Volume]:
        """Return the empty folders that are in memory: also those of a container that can write nowhere else."""
        is_read_only = self.security_context.read_only_root_filesystem
        found = (item for item in self.volumes if item.volume.empty_dir is not None)
        return [item for item in found if is_read_only or (item.volume.empty_dir and item.volume.empty_dir.medium)]

    @property
    def own_folders(self) -> list[str]:
        """Return the folders that the image has for the function to write to: Docker gives a new volume their owner."""
        found = (item for item in self.volumes if item.volume.persistent_volume_claim or item.volume.empty_dir)
        return [item.volume_mount.mount_path for item in found]


class FunctionConfig(NuclioDocument):
    """A whole function.yaml; `apiVersion`, `kind` and `status` are read and not used, as in Nuclio."""

    api_version: str = ""
    """What Nuclio's tools write: nuclio.io/v1."""
    kind: str = ""
    """What Nuclio's tools write: NuclioFunction."""
    metadata: Metadata = Metadata.model_construct()
    spec: Spec = Spec.model_construct()
    status: Annotated[dict[str, Any], Ignored("is written by a dashboard and not read")] = {}

    @model_validator(mode="before")
    @classmethod
    def _without_zeros(cls, value: Any) -> Any:
        refuse(cls, find_nuls(value))
        return value
