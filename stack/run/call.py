"""One call of a function over HTTP: what is sent, and all that comes back, its log with it."""

import http.client
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from stack.errors import FunctionError
from stack.plan.function import service_name
from stack.plan.gateway import PORT
from stack.plan.gateway import SERVICE as GATEWAY
from stack.processor.caller import HEADER, prove
from stack.run.docker.address import find_url as find_container_url
from stack.run.place import is_inside

# Nuclio's own limit for a call from its dashboard.
TIMEOUT_SECONDS = 60.0
LEVELS = ("debug", "info", "warn", "error")
_ASKED, RETURNED = "x-nuclio-log-level", "x-nuclio-logs"
# The port of a processor inside the stack.
_HTTP_PORT = 8080


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
    return f"http://{GATEWAY}:{PORT}/{name}" if url else find_container_url(service_name(name), _HTTP_PORT)


def call_function(name: str, url: str, request: Request) -> Answer:
    """Call a function at its address and return its answer, whatever its status.

    Raises:
        FunctionError: the call cannot be made, or the function does not answer.
    """
    there = urlsplit(url)
    # What is encoded already stays as it is.
    path = quote(f"{there.path}/{request.path.lstrip('/')}", safe="/?&=%:@!$'()*+,;~")
    method = request.method.upper() or ("POST" if request.body else "GET")
    headers = dict(request.headers) | ({_ASKED: request.log_level} if request.log_level else {})
    headers |= {HEADER: prove(request.key, time.time())} if request.key else {}
    connection = http.client.HTTPConnection(there.netloc, timeout=request.timeout)
    start = time.perf_counter()
    try:
        connection.request(method, path, request.body or None, headers)
        answer = connection.getresponse()
        return _read(answer, answer.read(request.most_bytes), time.perf_counter() - start)
    except ValueError as error:
        raise FunctionError(f"The call cannot be made: {error}.") from error
    except TimeoutError as error:
        message = f"{name} did not answer within {request.timeout:g} s. `invoke logs {name}` tells what it does."
        raise FunctionError(message) from error
    except ConnectionRefusedError as error:
        raise FunctionError(f"Nothing answers at {there.netloc}. Type `invoke up`, then this again.") from error
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise FunctionError(f"{name} broke the call off: {reason}. `invoke logs {name}` tells why.") from error
    finally:
        connection.close()


def _read(answer: http.client.HTTPResponse, body: bytes, seconds: float) -> Answer:
    logs = read_logs(answer.headers.get(RETURNED, ""))
    return Answer(answer.status, answer.reason, answer.getheaders(), body, seconds, logs)


def read_logs(text: str) -> Sequence[Mapping[str, Any]] | None:
    """Read the header X-Nuclio-Logs; None if it has no log."""
    try:
        lines = json.loads(text)
    except ValueError:
        return None
    return [line for line in lines if isinstance(line, dict)] if isinstance(lines, list) else None
