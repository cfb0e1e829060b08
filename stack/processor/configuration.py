"""What the processor is told to do: processor.yaml, as frozen data.

Unknown keys are passed over: the file was checked when it was written, and Nuclio's files have keys of many kinds.
"""

import json
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from stack.contract import (
    ALIASES,
    BROKER_MQTT_URL,
    BROKER_URL,
    NODES_VARIABLE,
    PYTHON,
    SIGNATURE_KEY,
    TIMEOUT_VARIABLE,
)
from stack.processor.attributes import Attributes, ConfigurationError, read_environment, read_text

# Nuclio's names for levels; it writes everything from debug upwards unless loggerSinks says otherwise.
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
LEVELS["warning"] = logging.WARNING
_PROJECT_LABEL = "nuclio.io/project-name"


@dataclass(frozen=True)
class Batch:
    """How many events a handler gets at once, and how long, in seconds, the first may wait for the last."""

    size: int
    timeout: float


@dataclass(frozen=True)
class Trigger:
    """One source of events; times are in seconds."""

    name: str
    kind: str
    workers: int
    url: str
    username: str
    password: str
    attributes: Attributes
    availability_timeout: float
    termination_timeout: float
    allocator: str = field(default="", kw_only=True)
    """The name of the pool of workers that it shares with other triggers of the same."""
    batch: Batch | None = None

    @property
    def url_to_show(self) -> str:
        """The URL without the name and password that it may carry."""
        scheme, separator, rest = self.url.rpartition("://")
        return scheme + separator + rest.rpartition("@")[2]


@dataclass(frozen=True)
class Output:
    """Where a function sends something."""

    name: str
    kind: str
    attributes: Attributes
    secret: str = field(default="", repr=False)
    """The text of the secret that it names."""


@dataclass(frozen=True)
class Sink:
    """How log lines are written; the names and forms are those of Nuclio's sink `stdout`."""

    level: int = logging.DEBUG
    is_json: bool = False
    time_field: str = "time"
    is_iso: bool = False
    """Whether a time is written as ISO 8601 has it, and not as milliseconds since the epoch."""
    group: str = ""
    """The field that holds what was logged with a message; nothing if that stands beside the message."""


@dataclass(frozen=True)
class Function:
    """The function that this processor runs; `folder` has the user's files."""

    name: str
    namespace: str
    handler: str
    description: str
    version: str
    folder: Path
    environment: Mapping[str, str] = field(repr=False)
    triggers: tuple[Trigger, ...]
    sink: Sink
    project: str
    event_timeout: float = 0.0
    """Seconds that an event may take; zero for any."""
    has_own_timeout: bool = True
    """Whether function.yaml names that time, and not the stack for all functions that name none."""
    reloads: bool = False
    """Whether the processes with the handler are replaced on SIGUSR1, which tells that the user's files changed."""
    shared: Path | None = None
    """The folder of modules that several functions import, where that is not part of the function's own."""
    debug_port: int = 0
    """Where the first worker listens for a debugger, the next on the port after it; nowhere where it is 0."""
    broker_url: str = field(default="", repr=False)
    """The AMQP URL of the stack's own broker, where the function may use it."""
    broker_mqtt_url: str = field(default="", repr=False)
    """The same where it speaks MQTT."""
    broker_nodes: int = 1
    """How many RabbitMQ are that broker."""
    runtime: str = PYTHON
    """Its name, without a version."""
    outputs: tuple[Output, ...] = ()
    on_success: str = ""
    """The output that the handler's answer is sent to."""
    signature_key: bytes = field(default=b"", repr=False)
    """What the copies of failed messages are signed with; nothing where the function has no key of its own."""


def read_function(path: Path, *, secrets: Path, folder: Path) -> Function:
    """Read processor.yaml and the secrets that it names.

    Raises:
        ConfigurationError: a file cannot be read, or says something that cannot be.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from None
    return parse_function(_parse(path, content), secrets=secrets, folder=folder)


def _parse(path: Path, content: bytes) -> object:
    """Parse JSON or YAML; what Tidegate writes is both, and to import a YAML library takes a tenth of a start."""
    try:
        return json.loads(content)
    except ValueError:
        pass
    try:
        return yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: not YAML: {error}") from None


def parse_function(document: object, *, secrets: Path, folder: Path) -> Function:
    """Build the function from what processor.yaml holds."""
    if not isinstance(document, Mapping):
        raise ConfigurationError("processor.yaml: should be a mapping with metadata and spec")
    metadata = Attributes("metadata", document.get("metadata"))
    spec = Attributes("spec", document.get("spec"))
    return Function(
        name=metadata.text("name", "function"),
        namespace=metadata.text("namespace", "nuclio"),
        handler=spec.text("handler"),
        description=spec.text("description"),
        version=spec.text("version", "0"),
        folder=folder,
        environment=read_environment(spec, secrets),
        triggers=_read_triggers(spec.section("triggers"), spec.raw("triggers") or {}, secrets),
        sink=_read_sink(spec),
        project=metadata.section("labels").text(_PROJECT_LABEL, "default"),
        event_timeout=spec.seconds("eventTimeout", _read_default_timeout()),
        has_own_timeout=spec.raw("eventTimeout") not in (None, ""),
        runtime=spec.text("runtime").partition(":")[0] or PYTHON,
        outputs=_read_outputs(spec.section("outputs"), spec.raw("outputs") or {}, secrets),
        on_success=spec.text("onSuccess"),
        broker_url=_read_address(secrets / BROKER_URL),
        broker_mqtt_url=_read_address(secrets / BROKER_MQTT_URL),
        broker_nodes=_read_number(NODES_VARIABLE) or 1,
        signature_key=_read_signature_key(secrets),
    )


def _read_triggers(section: Attributes, names: Mapping[object, object], secrets: Path) -> tuple[Trigger, ...]:
    triggers = [(str(name), section.section(str(name))) for name in names]
    return tuple(
        _read_trigger(name, settings, secrets) for name, settings in triggers if not settings.flag("disabled", False)
    )


def _read_trigger(name: str, settings: Attributes, secrets: Path) -> Trigger:
    kind = settings.text("kind")
    secret = settings.text("secret")
    return Trigger(
        name=name,
        kind=ALIASES.get(kind, kind),
        workers=max(1, settings.integer("numWorkers", 0) or settings.integer("maxWorkers", 1)),
        url=read_text(secrets, secret, settings) if secret else settings.text("url"),
        username=settings.text("username"),
        password=settings.text("password"),
        attributes=settings.section("attributes"),
        availability_timeout=_read_milliseconds(settings, "workerAvailabilityTimeoutMilliseconds", 10.0),
        allocator=settings.text("workerAllocatorName"),
        termination_timeout=settings.seconds("workerTerminationTimeout", 10.0),
        batch=_read_batch(settings.section("batch")),
    )


def _read_outputs(section: Attributes, names: Mapping[object, object], secrets: Path) -> tuple[Output, ...]:
    outputs = [(str(name), section.section(str(name))) for name in names]
    return tuple(_read_output(name, settings, secrets) for name, settings in outputs)


def _read_output(name: str, settings: Attributes, secrets: Path) -> Output:
    kind, secret = settings.text("kind"), settings.text("secret")
    return Output(name, ALIASES.get(kind, kind), settings, read_text(secrets, secret, settings) if secret else "")


def _read_batch(settings: Attributes) -> Batch | None:
    """Return how a trigger batches; None if it does not, which is also the case of a batch of one."""
    size = settings.integer("batchSize", 10)
    if settings.text("mode").lower() != "enable" or size < 2:
        return None
    return Batch(size, settings.seconds("timeout", 1.0))


def _read_milliseconds(settings: Attributes, name: str, default: float) -> float:
    """Return a time-out in seconds; a negative one is the default, as with Nuclio."""
    value = settings.raw(name)
    if isinstance(value, int) and value < 0:
        return default
    return settings.integer(name, int(default * 1000)) / 1000


def _read_default_timeout() -> float:
    """Return the stack's eventTimeout, in seconds; zero where it sets none."""
    text = os.environ.get(TIMEOUT_VARIABLE, "") or "0"
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"{TIMEOUT_VARIABLE}: should be seconds, not {text!r}") from None


def _read_number(variable: str) -> int:
    """Return the whole number that a variable holds; zero where it is not set."""
    text = os.environ.get(variable, "") or "0"
    if not text.isdecimal():
        raise ConfigurationError(f"{variable}: should be a whole number, not {text!r}")
    return int(text)


def _read_address(path: Path) -> str:
    """Return a URL of the stack's broker, which is there where a trigger or an output may need it."""
    return path.read_text().strip() if path.is_file() else ""


def _read_signature_key(secrets: Path) -> bytes:
    path = secrets / SIGNATURE_KEY
    try:
        return bytes.fromhex(path.read_text()) if path.is_file() else b""
    except ValueError:
        raise ConfigurationError(f"the secret {path} should be hexadecimal text; `invoke up` writes it") from None


def _read_sink(spec: Attributes) -> Sink:
    """Return the first sink; all lines go to one place."""
    if not isinstance(spec.raw("loggerSinks"), list) or not spec.raw("loggerSinks"):
        return Sink()
    settings = spec.item("loggerSinks", 0)
    attributes = settings.section("attributes")
    return Sink(
        level=LEVELS.get(settings.text("level").lower(), logging.DEBUG),
        is_json="json" in (settings.text("encoding").lower(), attributes.text("encoding").lower()),
        time_field=attributes.text("timeFieldName") or "time",
        is_iso=attributes.text("timeFieldEncoding").lower() == "iso8601",
        group=attributes.text("varGroupName"),
    )


# The package that this program is in, whose name a module of the user's may have too.
_PACKAGE = "stack"


def apply_environment(function: Function) -> None:
    """Set the function's variables and those that Nuclio gives to every worker, and make the user's files importable.

    The files come before all other modules, here and in programs that the function starts.
    """
    os.environ.update(function.environment)
    os.environ["NUCLIO_FUNCTION_NAME"] = function.name
    os.environ["NUCLIO_FUNCTION_DESCRIPTION"] = function.description
    os.environ["NUCLIO_FUNCTION_VERSION"] = function.version
    os.environ["NUCLIO_FUNCTION_HANDLER"] = function.handler
    os.environ["NUCLIO_HANDLER"] = function.handler
    folders = [str(folder) for folder in (function.folder, function.shared) if folder]
    others = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = ":".join([*folders, others] if others else folders)
    sys.path[:0] = folders
    if any((function.folder / name).exists() for name in (_PACKAGE, f"{_PACKAGE}.py")):
        # What the processor still imports is found by the name of its own package, and not by this one.
        sys.modules.pop(_PACKAGE, None)
