"""A service on the web that is called."""

from functools import partial

import urllib3

from stack.processor.configuration import Function, Output
from stack.processor.output.message import OutputError, OutputMessage, describe_message
from stack.processor.output.target import Target

_TIMEOUT = 10.0
# How much of an answer an error shows.
_SHOWN = 200
# The first status that is no success.
_BAD = 300


def open_target(output: Output, _function: Function) -> Target:
    """Return what calls the service; it keeps its connections."""
    attributes = output.attributes
    given = attributes.raw("headers") or {}
    headers = {str(name): str(value) for name, value in given.items()}
    if output.secret:
        headers["Authorization"] = f"Bearer {output.secret}"
    pool = urllib3.PoolManager(timeout=attributes.seconds("timeout", _TIMEOUT), retries=False)
    request = partial(pool.request, attributes.text("method", "POST"), attributes.text("url"))

    def call(message: OutputMessage) -> None:
        try:
            answer = request(body=message.body, headers=headers | describe_message(message))
        except urllib3.exceptions.HTTPError as error:
            raise OutputError(f"the output {output.name}: {type(error).__name__}: {error}") from None
        if answer.status >= _BAD:
            said = answer.data[:_SHOWN].decode(errors="replace")
            raise OutputError(f"the output {output.name}: answered with status {answer.status}: {said}")

    return Target(output.name, call=call)
