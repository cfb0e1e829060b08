"""A service on the web that is called."""

from functools import partial
from time import monotonic
from typing import Any

import urllib3

from stack.processor.configuration import Function, Output
from stack.processor.output.message import OutputError, OutputMessage, describe_request
from stack.processor.output.target import Target

_TIMEOUT = 10.0
# How much of an answer an error shows, and how much is read so that the connection can be used again.
_SHOWN, _READ = 200, 64 * 1024
# The first status that is no success.
_BAD = 300


def open_target(output: Output, _function: Function) -> Target:
    """Return what calls the service; it keeps its connections."""
    attributes = output.attributes
    given = attributes.raw("headers") or {}
    headers = {str(name): str(value) for name, value in given.items()}
    if output.secret:
        headers["Authorization"] = f"Bearer {output.secret}"
    timeout = attributes.seconds("timeout", _TIMEOUT)
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(total=timeout), retries=False)
    method, url = attributes.text("method", "POST"), attributes.text("url")
    request = partial(pool.request, method, url, preload_content=False)

    def call(message: OutputMessage) -> None:
        try:
            own: Any = describe_request(message, headers)
            answer = request(body=message.body, headers=own)
            said = _read(answer, monotonic() + timeout)
        except urllib3.exceptions.HTTPError as error:
            raise OutputError(f"the output {output.name}: {type(error).__name__}: {error}") from None
        if answer.status >= _BAD:
            shown = said[:_SHOWN].decode(errors="replace")
            raise OutputError(f"the output {output.name}: answered with status {answer.status}: {shown}")

    return Target(output.name, call=call, timeout=timeout)


def _read(answer: Any, deadline: float) -> bytes:
    """Return the beginning of an answer; the connection of a longer or slower one is not used again."""
    pieces, room = [], _READ
    while room > 0 and monotonic() < deadline and (piece := answer.read1(room)):
        pieces.append(piece)
        room -= len(piece)
    if room <= 0 or monotonic() >= deadline:
        answer.close()
    return b"".join(pieces)
