"""`invoke invoke-function`: a call as the command line asks for it, and its answer printed."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stack import console
from stack.errors import FunctionError
from stack.plan.authentication import OWN_HEADER
from stack.run.call import Request, call_function
from stack.run.function_status import FunctionStatus, list_functions
from stack.run.secret.gateway_login import show_proof
from stack.run.secret.key import function_signature_key
from stack.run.workspace import open_workspace

_OK, _BAD = 200, 400


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
    headers = _read_headers(call.headers)
    body = _read_body(call.body)
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
    if function.state == "not deployed":
        return f"is not deployed. Type `invoke deploy-function {name}`, then this again."
    if function.state == "standby":
        return "is disabled: its function.yaml says `disable: true`."
    if not function.url:
        return "has no http trigger that is published, so only its other triggers call it."
    if function.state == "scaledToZero":
        # Where the scaler has done that, the gateway wakes it.
        return ""
    if not function.replicas:
        return "does not run. Type `invoke up`, then this again."
    if function.state != "ready":
        return f"is {function.state}. `invoke logs {name}` tells why."
    return ""


def _read_headers(headers: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise FunctionError(f"--header {header!r}: should be like 'Name: value'.")
        try:
            header.encode("latin-1")
        except UnicodeEncodeError as error:
            sign = error.object[error.start]
            raise FunctionError(
                f"--header {header!r}: HTTP has no {sign!r} in a header; send it in the body."
            ) from error
        pairs[name.strip()] = value.strip()
    return pairs


def _read_body(body: str) -> bytes:
    if body == "-":
        return sys.stdin.buffer.read()
    if not body.startswith("@"):
        return body.encode(errors="surrogateescape")
    try:
        return Path(body[1:]).expanduser().read_bytes()
    except OSError as error:
        raise FunctionError(f"--body {body}: {error.strerror}. Name a file that can be read.") from error


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
    """Say whether standard output and messages go to the same place, such as by `2>&1`."""
    return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
