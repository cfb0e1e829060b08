import asyncio
import logging
from enum import StrEnum

import nuclio_sdk
from nuclio_sdk import Response


class Kind(StrEnum):
    CSV = "text/csv"


class Text(str):
    def encode(self, *arguments):
        return 5

    def __str__(self):
        return self


class Bytes(bytes):
    def __len__(self):
        return 1_000_000


class TextlessError(Exception):
    def __str__(self):
        raise SystemExit("no text")


class Shown:
    def __repr__(self):
        raise SystemExit("no text")

    __str__ = __log__ = __repr__


def handler(context, event):
    return ODD[event.path](context)


async def async_handler(context, event):
    return ODD[event.path](context)


def throw(error):
    raise error


class Closed:
    """A log that fails once."""

    def __init__(self, handler):
        self.handler, self.stream = handler, handler.stream

    def write(self, text):
        self.handler.stream = self.stream
        raise RecursionError("no log")

    def flush(self):
        pass


def close_the_log(context):
    handler = logging.getLogger("nuclio").handlers[0]
    handler.stream = Closed(handler)
    throw(ValueError("unheard"))


def cancel(context):
    asyncio.current_task().cancel()
    return "cancelled"


def log_odd(context):
    loop = {}
    loop["loop"] = loop
    context.logger.info_with("odd", loop=loop)
    return "logged"


ODD = {
    "/text": lambda context: "text",
    "/name-space": lambda context: Response({"a b": "1"}),
    "/name-empty": lambda context: Response({"": "1"}),
    "/name-umlaut": lambda context: Response({"ü": "1"}),
    "/value-lines": lambda context: Response({"X-A": "1\r\nX-B: 2"}),
    "/value-nul": lambda context: Response({"X-A": "1\0"}),
    "/value-surrogate": lambda context: Response({"X-A": "\ud800"}),
    "/value-huge": lambda context: Response({"X-A": "a" * 20_000}),
    "/many-headers": lambda context: Response({f"X-{number}": "1" for number in range(200)}),
    "/headers-text": lambda context: context.Response("text"),
    "/headers-list": lambda context: Response([("X-A", "1")]),
    "/type-surrogate": lambda context: Response(body="x", content_type="text/\ud800"),
    "/type-lines": lambda context: Response(body="x", content_type="text/plain\r\nX-B: 2"),
    "/type-number": lambda context: Response(body="x", content_type=7),
    "/body-surrogate": lambda context: "\ud800",
    "/response-surrogate": lambda context: Response(body="\ud800"),
    "/body-shown": lambda context: Response(body=Shown()),
    "/result-shown": lambda context: Shown(),
    "/status-99": lambda context: Response(status_code=99),
    "/status-100": lambda context: Response(status_code=100),
    "/status-101": lambda context: (101, "x"),
    "/status-1000": lambda context: (1000, "x"),
    "/status-text": lambda context: Response(status_code="200"),
    "/status-none": lambda context: Response(status_code=None),
    "/status-shown": lambda context: (Shown(), "x"),
    "/raise-surrogate": lambda context: throw(ValueError("half: \ud800")),
    "/raise-textless": lambda context: throw(TextlessError()),
    "/raise-keyboard": lambda context: throw(KeyboardInterrupt()),
    "/raise-cancelled": lambda context: throw(asyncio.CancelledError()),
    "/raise-response-odd": lambda context: throw(nuclio_sdk.ExceptionWithResponse(503, Shown())),
    "/raise-response-type": lambda context: throw(nuclio_sdk.ExceptionWithResponse(503, "x", "\ud800")),
    "/first-piece": lambda context: (piece for piece in ["\ud800"]),
    "/first-head": lambda context: (piece for piece in [Response({"a b": "1"})]),
    "/close-the-log": close_the_log,
    "/kind": lambda context: Response({"X-Kind": Kind.CSV}, body="x", content_type=Kind.CSV),
    "/own-text": lambda context: Text("own"),
    "/own-bytes": lambda context: Bytes(b"own"),
    "/umlaut": lambda context: Response({"X-A": "grüße ☃"}),
    "/cancel": cancel,
    "/log-odd": log_odd,
}
