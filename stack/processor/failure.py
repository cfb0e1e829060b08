"""What is said of a handler's error: to the log, to whom it concerns, and in a response that it carries itself."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import nuclio_sdk

from stack.contract import RETRY_HEADER
from stack.processor.delivery import Failure
from stack.processor.response import Response, refuse
from stack.processor.runtime.registry import Handler, Runtime, describe_error, show_error

# Bytes of an answer that are told.
_SHOWN = 500
# What Nuclio makes of a response without a body.
_NOTHING = b"None"


def log_failure(error: BaseException, runtime: Runtime, *, handler: Handler, logger: Any) -> tuple[str, Failure]:
    """Log an error; return what a client is told if it may know, and what is said of the message."""
    trace = runtime.format_trace(error, handler)
    # A handler may have closed what the log is written to; the event is settled all the same.
    with suppress(Exception):
        logger.error_with("Exception caught in handler", exc=show_error(error), traceback=trace)
    told = runtime.failed.format(error=show_error(error), trace=trace)
    return told, Failure(describe_error(error), runtime.describe_origin(error, trace))


def describe_answer(response: Response) -> Failure:
    """Return what is said of a message whose event was answered with a status of 500 or more: the text, if it is one.

    The header `x-nuclio-retry: no` says that to try it again is of no use.
    """
    is_final = any(name.lower() == RETRY_HEADER and value == "no" for name, value in response.headers.items())
    is_text = response.content_type.startswith("text/") and response.body != _NOTHING
    said = f": {response.body[:_SHOWN].decode(errors='replace')}" if is_text and response.body else ""
    return Failure(f"the handler answered with status {response.status}{said}", "", is_final)


def respond_with(error: Any, judge: Callable[[Any], Any], logger: Any) -> Response:
    """Return the response that an error carries; Nuclio's SDK has the class, and its processor answers 500."""
    logger.warn_with("The handler raised a response", status=error.status_code)
    body = "" if error.body is None else error.body
    try:
        response = judge(nuclio_sdk.Response(None, body, error.content_type, error.status_code))
    except BaseException as wrong:
        return refuse(500, f"the raised response cannot be sent: {show_error(wrong)}")
    return response if isinstance(response, Response) else refuse(500, "a raised response cannot be a generator")
