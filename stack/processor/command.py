"""The command line of `processor`: serves a function, or handles one event from a file and prints the response."""

import argparse
import base64
import binascii
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from nuclio_sdk import Event, TriggerInfo

from stack.contract import HEALTH_PORT, HTTP, METRICS_PORT
from stack.processor.attributes import ConfigurationError
from stack.processor.configuration import Function, apply_environment, read_function
from stack.processor.in_flight import FOLDER, CrashFiles
from stack.processor.logger import open_logger, prepare_output
from stack.processor.output.sender import describe, open_outputs
from stack.processor.output.sender import preload as preload_outputs
from stack.processor.request import Requester
from stack.processor.runtime.process import Frame, HandlerProcess
from stack.processor.runtime.registry import HandlerError, find_runtime
from stack.processor.source.opener import preload
from stack.processor.supervisor import Supervisor
from stack.processor.testing import HandlerRunner, make_event, open_context
from stack.processor.worker_spec import plan_workers

_CONFIG = "/etc/nuclio/config/processor/processor.yaml"
_SECRETS = "/run/secrets"
_FOLDER = "/opt/nuclio"


def _find_folder() -> Path:
    return Path(os.environ.get("NUCLIO_PYTHON_PATH") or _FOLDER)


@dataclass(frozen=True)
class Options:
    """Where things are, and what to do."""

    config: Path = Path(_CONFIG)
    secrets: Path = Path(_SECRETS)
    folder: Path = field(default_factory=_find_folder)
    health_port: int = HEALTH_PORT
    metrics_port: int = METRICS_PORT
    reload: bool = False
    event: str = ""
    debug_port: int = 0
    shared: Path | None = None


def read_options(arguments: Sequence[str]) -> Options:
    """Read the arguments; ends the program where they are wrong, or ask for help."""
    known = Options()
    parser = argparse.ArgumentParser(prog="processor", description="Run a function.")
    parser.add_argument("--config", type=Path, default=known.config, help="processor.yaml (%(default)s)")
    parser.add_argument("--secrets", type=Path, default=known.secrets, help="folder of secrets (%(default)s)")
    parser.add_argument("--folder", type=Path, default=known.folder, help="folder of the user's files (%(default)s)")
    parser.add_argument("--health-port", type=int, default=HEALTH_PORT, help="port of /ready and /live (%(default)s)")
    parser.add_argument("--metrics-port", type=int, default=METRICS_PORT, help="port of /metrics (%(default)s)")
    parser.add_argument("--reload", action="store_true", help="load the handler again on SIGUSR1")
    parser.add_argument(
        "--event", default="", help="handle the one event in this JSON file, - for standard input, and end"
    )
    parser.add_argument(
        "--debug-port", type=int, default=0, help="listen for a debugger there, with one worker for each trigger"
    )
    parser.add_argument("--shared", type=Path, help="folder of modules that several functions import")
    return Options(**vars(parser.parse_args(arguments)))


_BAD = 400


def run_once(function: Function, file_name: str) -> int:
    """Handle the event in a file; return the exit status, which is 1 if the answer's status is 400 or more.

    Whatever the function prints goes to standard error, so that standard output has the answer's body and no more.

    Raises:
        ConfigurationError: the file cannot be read, or holds no event.
    """
    event, runtime = _read_event(file_name), find_runtime(function.runtime)
    answer_output = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    apply_environment(function)
    try:
        if function.debug_port:
            runtime.start_debugger(function.debug_port, True)
        handler = runtime.load_handler(function.handler, function.folder)
    except HandlerError as error:
        raise ConfigurationError(str(error)) from None
    context = open_context(function.namespace, function.runtime)
    context.request = Requester(function.broker_mqtt_url, function.name)
    local = replace(function, reloads=True)
    outputs = open_outputs(local, context, lambda message: print(describe(message), file=sys.stderr))
    runner = HandlerRunner(handler, context, runtime, outputs)
    try:
        runner.prepare()
    except BaseException as error:
        raise ConfigurationError(f"init_context failed:\n{runtime.format_user_traceback(error)}") from None
    response = runner.respond(event)
    if isinstance(handler, HandlerProcess):
        handler.finish(partial(_see_to, handler, context))
    sys.stdout.flush()
    with os.fdopen(answer_output, "wb") as output:
        output.write(response.body + (b"\n" if response.body and not response.body.endswith(b"\n") else b""))
    if response.status != 200:
        print(f"status {response.status}", file=sys.stderr)
    return int(response.status >= _BAD)


def _see_to(handler: HandlerProcess, context: Any, frame: Frame) -> None:
    """See to what a handler still sends, asks for or logs after its answer."""
    try:
        handler.take_note(context, frame)
    except Exception as error:
        context.logger.error_with("What was sent outside of an event is lost", reason=str(error))


def _read_event(file_name: str) -> Event:
    """Return the event that a JSON document describes by the names of its attributes; bytes may be in base64."""
    try:
        text = sys.stdin.read() if file_name == "-" else Path(file_name).read_text(encoding="utf-8")
        document = json.loads(text)
    except OSError as error:
        raise ConfigurationError(f"{file_name}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{file_name}: not JSON: {error}") from None
    if not isinstance(document, Mapping):
        raise ConfigurationError(f'{file_name}: should be an object such as {{"body": "…", "headers": {{}}}}')
    try:
        return make_event(**_complete(dict(document)))
    except (TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise ConfigurationError(f"{file_name}: {error}") from None


def _complete(fields: dict[str, Any]) -> dict[str, Any]:
    if fields.pop("body_encoding", "text") == "base64":
        fields["body"] = base64.b64decode(fields.get("body", ""), validate=True)
    if isinstance(trigger := fields.get("trigger"), Mapping):
        fields["trigger"] = TriggerInfo(str(trigger.get("kind", HTTP)), str(trigger.get("name", "default-http")))
    return fields


def run(arguments: Sequence[str]) -> int:
    """Run the function that the arguments name; return the exit status."""
    options = read_options(arguments)
    prepare_output()
    try:
        function = read_function(options.config, secrets=options.secrets, folder=options.folder)
        function = replace(function, debug_port=options.debug_port, shared=options.shared)
        return _run_once(function, options.event) if options.event else _serve(function, options)
    except ConfigurationError as error:
        print(f"processor: {error}", file=sys.stderr)
        return 1


def _serve(function: Function, options: Options) -> int:
    function = replace(function, reloads=options.reload)
    if function.debug_port:
        # An event may be halted for as long as a person looks at it.
        alone = tuple(replace(trigger, workers=1) for trigger in function.triggers)
        function = replace(function, triggers=alone, event_timeout=0.0)
    # What is not process 1 of a container shares its files with other programs.
    specs = plan_workers(function, CrashFiles(FOLDER if os.getpid() == 1 else None))
    preload(specs)
    preload_outputs(function)
    supervisor = Supervisor(function, specs, open_logger("processor", function.sink))
    return supervisor.run(options.health_port, options.metrics_port)


def _run_once(function: Function, file_name: str) -> int:
    return run_once(function, file_name)
