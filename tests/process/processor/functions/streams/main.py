import asyncio
import time
from pathlib import Path

import nuclio_sdk


def handler(context, event):
    return KINDS[event.path.rpartition("/")[2]](context, event)


async def async_handler(context, event):
    if event.path == "/async-endless":
        return endless_async()
    return handler(context, event)


async def generating_handler(context, event):
    yield "first "
    await asyncio.sleep(0.05)
    yield "second"


def count(context, event):
    for number in range(3):
        time.sleep(float(event.body or 0))
        yield f"{number}\n"


async def count_async(context, event):
    for number in range(3):
        await asyncio.sleep(0.01)
        yield f"{number}\n"


def gated(context, event):
    """Have the second piece once there is a file that the body names."""
    yield "first\n"
    while not Path(event.body.decode()).exists():
        time.sleep(0.02)
    yield "second\n"


def with_head(context, event):
    yield nuclio_sdk.Response(body="a", headers={"X-A": 1}, content_type="text/csv", status_code=201)
    yield context.Response(body=b"b")
    yield 3


def fail_later(context, event):
    yield "good"
    raise ValueError("too late")


def fail_first(context, event):
    raise ValueError("early")
    yield "never"


def endless(context, event):
    try:
        while True:
            time.sleep(0.01)
            yield "x" * 1000
    finally:
        print("the generator ended")


async def endless_async():
    try:
        while True:
            await asyncio.sleep(0.01)
            yield "x" * 1000
    finally:
        print("the generator ended")


def empty(context, event):
    yield from ()


def large(context, event):
    for _ in range(64):
        yield b"0123456789abcdef" * 16384


def read_file(context, event):
    headers = {"X-nuclio-filestream-path": event.body.decode(), "X-A": "1"}
    if event.path.startswith("/delete"):
        headers["x-Nuclio-Filestream-Delete-After-Send"] = "yes"
    return context.Response(headers=headers, content_type="text/csv")


def body_of(context, event):
    return context.Response(body=count(context, event), headers={"X-B": 2.5}, content_type="text/csv", status_code=202)


KINDS = {
    "count": count,
    "async": count_async,
    "gated": gated,
    "with-head": with_head,
    "fail-later": fail_later,
    "fail-first": fail_first,
    "endless": endless,
    "empty": empty,
    "large": large,
    "file": read_file,
    "body": body_of,
    "text": lambda context, event: "text",
    "make": lambda context, event: str(Path(event.body.decode()).exists()),
}
