"""Another function, called as `context.platform.call_function` calls it."""

from http.client import HTTPException

from nuclio_sdk import Event, Platform

from stack.processor.configuration import Function, Output
from stack.processor.output.message import OutputError, OutputMessage, describe_request
from stack.processor.output.target import Target

_TIMEOUT = 30.0
_BAD = 300


def open_target(output: Output, function: Function) -> Target:
    """Return what calls the function."""
    attributes, platform = output.attributes, Platform("local", function.namespace)
    name, path, timeout = attributes.text("name"), attributes.text("path", "/"), attributes.seconds("timeout", _TIMEOUT)

    def call(message: OutputMessage) -> None:
        headers = describe_request(message)
        event = Event(body=message.body, content_type=message.content_type, headers=headers, method="POST", path=path)
        try:
            answer = platform.call_function(name, event, timeout=timeout)
        except (OSError, HTTPException, ValueError) as error:
            raise OutputError(f"the output {output.name}: the function {name} cannot be called: {error}") from None
        if answer.status_code >= _BAD:
            raise OutputError(f"the output {output.name}: the function {name} answered {answer.status_code}")

    return Target(output.name, call=call, timeout=timeout)
