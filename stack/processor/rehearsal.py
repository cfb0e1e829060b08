"""One event from a file through the handler, and its response on standard output."""

import base64
import binascii
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nuclio_sdk import Event, TriggerInfo

from stack.processor.attributes import ConfigurationError
from stack.processor.configuration import Function
from stack.processor.environment import apply_environment
from stack.processor.handler import HandlerError, format_user_traceback, load_handler
from stack.processor.testing import HandlerRunner, make_event, open_context

_BAD = 400


def run_once(function: Function, file_name: str) -> int:
    """Handle the event in a file; return the exit status, which is 1 if the answer's status is 400 or more.

    Whatever the function prints goes to standard error, so that standard output has the answer's body and no more.

    Raises:
        ConfigurationError: the file cannot be read, or holds no event.
    """
    event = _read_event(file_name)
    answer_output = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    apply_environment(function)
    try:
        runner = HandlerRunner(load_handler(function.handler, function.folder), open_context(function.namespace))
    except HandlerError as error:
        raise ConfigurationError(str(error)) from None
    try:
        runner.prepare()
    except BaseException as error:
        raise ConfigurationError(f"init_context failed:\n{format_user_traceback(error)}") from None
    response = runner.respond(event)
    sys.stdout.flush()
    with os.fdopen(answer_output, "wb") as output:
        output.write(response.body + (b"\n" if response.body and not response.body.endswith(b"\n") else b""))
    if response.status != 200:
        print(f"status {response.status}", file=sys.stderr)
    return int(response.status >= _BAD)


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
        fields["trigger"] = TriggerInfo(str(trigger.get("kind", "http")), str(trigger.get("name", "default-http")))
    return fields
