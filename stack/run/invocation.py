"""`invoke invoke-function`: a call as the command line asks for it, and its answer printed."""

import json
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, NewConnectionError, TimeoutError

from stack import console
from stack.contract import CALLER_HEADER, HTTP_PORT, LOG_LEVEL, LOGS, prove
from stack.docker.container import find_url as find_container_url
from stack.errors import FunctionError
from stack.plan.function import service_name
from stack.plan.gateway import OWN_HEADER, PORT
from stack.plan.gateway import SERVICE as GATEWAY
from stack.run.function_status import (
    NOT_DEPLOYED,
    READY,
    SCALED_TO_ZERO,
    STANDBY,
    FunctionStatus,
    list_functions,
)
from stack.state.access import show_proof
from stack.state.http_client import explain, open_local_pool
from stack.state.vault import function_signature_key
from stack.state.workspace import is_inside, open_workspace

# Nuclio's own limit for a call from its dashboard.
TIMEOUT_SECONDS = 60.0
LEVELS = ("debug", "info", "warn", "error")


@dataclass(frozen=True)
class Request:
    """What to send; the method is POST where there is a body and GET where there is none, unless it says otherwise."""

    path: str = ""
    method: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    log_level: str = ""
    """The level from which on the event's log comes back: debug, info, warn or error; none if empty."""
    timeout: float = TIMEOUT_SECONDS
    most_bytes: int | None = None
    """How much of the answer's body is read; all of it where this is None."""
    key: bytes = field(default=b"", repr=False)
    """The function's signature key, by which the call proves to be Tidegate's own; empty for none."""


@dataclass(frozen=True)
class Answer:
    """What a function answered, after so many seconds."""

    status: int
    reason: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    seconds: float
    logs: Sequence[Mapping[str, Any]] | None = None
    """The event's log, each line with `time` (milliseconds since 1970), `level`, `message` and what was logged with it.

    None if it was not asked for, or is too long for the header in which it comes.
    """


def find_call_url(name: str, url: str) -> str:
    """Return where this program finds a function; `url` is its address on this machine, if the gateway leads to it."""
    if not is_inside():
        return url
    return f"http://{GATEWAY}:{PORT}/{name}" if url else find_container_url(service_name(name), HTTP_PORT)


def call_function(name: str, url: str, request: Request) -> Answer:
    """Call a function at its address and return its answer, whatever its status.

    Raises:
        FunctionError: the call cannot be made, or the function does not answer.
    """
    method = request.method.upper() or ("POST" if request.body else "GET")
    headers = dict(request.headers) | ({LOG_LEVEL: request.log_level} if request.log_level else {})
    headers |= {CALLER_HEADER: prove(request.key, time.time())} if request.key else {}
    options: dict[str, Any] = {"body": request.body or None, "headers": headers, "timeout": request.timeout}
    options |= {"redirect": False, "preload_content": False}
    address, start = f"{url}/{request.path.lstrip('/')}", time.perf_counter()
    try:
        with open_local_pool() as pool, pool.request(method, address, **options) as answer:
            content = answer.read(request.most_bytes, decode_content=False)
            return _read(answer, content, seconds=time.perf_counter() - start)
    except ValueError as error:
        raise FunctionError(f"The call cannot be made: {error}.") from error
    except NewConnectionError as error:
        raise FunctionError(f"Nothing answers at {urlsplit(url).netloc}. Type `invoke up`, then this again.") from error
    except TimeoutError as error:
        message = f"{name} did not answer within {request.timeout:g} s. `invoke logs {name}` tells what it does."
        raise FunctionError(message) from error
    except HTTPError as error:
        raise FunctionError(f"{name} broke the call off: {explain(error)}. `invoke logs {name}` tells why.") from error


def _read(answer: BaseHTTPResponse, body: bytes, *, seconds: float) -> Answer:
    logs = read_logs(answer.headers.get(LOGS, ""))
    return Answer(answer.status, answer.reason or "", list(answer.headers.iteritems()), body, seconds, logs)


def read_logs(text: str) -> Sequence[Mapping[str, Any]] | None:
    """Read the header X-Nuclio-Logs; None if it has no log."""
    try:
        lines = json.loads(text)
    except ValueError:
        return None
    return [line for line in lines if isinstance(line, dict)] if isinstance(lines, list) else None


_OK, _BAD = 200, 400
# A header's name, as HTTP has it.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True)
class Call:
    """What to send; a body of `@file` is the file's content, and `-` is standard input."""

    body: str
    method: str
    path: str
    headers: Sequence[str]


def invoke_function(name: str, call: Call) -> None:
    """Call a function and print the body of its answer, as it came.

    Raises:
        FunctionError: it cannot be called, it does not answer, or its status is 400 or more.
    """
    headers, body = read_headers(call.headers), read_body(call.body)
    if not any(header.lower() == "content-type" for header in headers) and (kind := find_content_type(call.body, body)):
        headers["Content-Type"] = kind
    address = _find_address(name)
    key = function_signature_key(open_workspace(), name)
    headers |= {OWN_HEADER: show_proof(open_workspace())}
    answer = call_function(name, address, Request(call.path, call.method, headers, body, key=key))
    _print_body(answer.body, is_last=answer.status == _OK)
    status = f"{answer.status} {answer.reason}".strip()
    if answer.status >= _BAD:
        raise FunctionError(f"{name} answered {status}.")
    if answer.status != _OK:
        console.say(status)


def _find_address(name: str) -> str:
    """Return the address of a function.

    Raises:
        FunctionError: it is not deployed, it is not ready, or the gateway does not lead to it.
    """
    functions = {one.name: one for one in list_functions()}
    function = functions.get(name)
    if function is None:
        known = ", ".join(functions) or "none"
        raise FunctionError(f"There is no function {name}. Functions: {known}.")
    problem = _explain(function)
    if problem:
        raise FunctionError(f"{name} {problem}")
    return function.url


def _explain(function: FunctionStatus) -> str:
    """Return why a function cannot be called, or nothing."""
    name = function.name
    if function.state == NOT_DEPLOYED:
        return f"is not deployed. Type `invoke deploy-function {name}`, then this again."
    if function.state == STANDBY:
        return "is disabled: its function.yaml says `disable: true`."
    if not function.url:
        return "has no http trigger that is published, so only its other triggers call it."
    if function.state == SCALED_TO_ZERO:
        # Where the scaler has done that, the gateway wakes it.
        return ""
    if not function.replicas:
        return "does not run. Type `invoke up`, then this again."
    if function.state != READY:
        return f"is {function.state}. `invoke logs {name}` tells why."
    return ""


def read_headers(headers: Sequence[str]) -> dict[str, str]:
    """Read headers that are written as `Name: value`.

    Raises:
        FunctionError: one is written otherwise, or has a sign that no header can have.
    """
    pairs: dict[str, str] = {}
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not _NAME.fullmatch(name.strip()):
            raise FunctionError(f"--header {header!r}: should be like 'Name: value', its name of a-z, digits and -.")
        try:
            header.encode("latin-1")
        except UnicodeEncodeError as error:
            sign = error.object[error.start]
            raise FunctionError(
                f"--header {header!r}: HTTP has no {sign!r} in a header; send it in the body."
            ) from error
        pairs[name.strip()] = value.strip()
    return pairs


def read_body(body: str) -> bytes:
    """Return what is sent: a text itself, for @FILE the content of a file, and for - standard input.

    Raises:
        FunctionError: the file cannot be read.
    """
    if body == "-":
        return sys.stdin.buffer.read()
    if not body.startswith("@"):
        return body.encode(errors="surrogateescape")
    try:
        return Path(body[1:]).expanduser().read_bytes()
    except OSError as error:
        raise FunctionError(f"--body {body}: {error.strerror}. Name a file that can be read.") from error


def find_content_type(given: str, body: bytes) -> str:
    """Return JSON's content type for an object or a list in JSON, which no one writes by chance; else nothing.

    What comes from a file or a pipe is sent as it is, unless the file's name says that it is JSON.
    """
    if given.startswith("@"):
        return _JSON if given.endswith(".json") else ""
    if not body.lstrip().startswith((b"{", b"[")) or given == "-":
        return ""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return _JSON


_JSON = "application/json"


def _print_body(content: bytes, *, is_last: bool) -> None:
    """Write the answer to standard output byte by byte; what follows it there begins on a line of its own.

    On a terminal that is the prompt, at least, and where messages go to the same place the status.
    """
    sys.stdout.buffer.write(content)
    is_open = bool(content) and not content.endswith(b"\n")
    if is_open and (sys.stdout.isatty() or (not is_last and _go_together())):
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()


def _go_together() -> bool:
    """Return whether standard output and messages go to the same place, such as by `2>&1`."""
    return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
