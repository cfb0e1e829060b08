"""Responses that come piece by piece, as a handler's generator gives them."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from inspect import isasyncgen
from typing import Any, Protocol, runtime_checkable

from stack.processor.delivery import Failure
from stack.processor.response import Response, Stream, begin_stream, to_bytes

# Seconds between looks whether a client has read enough for more to be sent.
LOOK_AGAIN = 0.005


@runtime_checkable
class StreamedDelivery(Protocol):
    """A delivery whose response may be told in pieces: `begin`, any number of `send`, and `end`."""

    is_gone: bool
    """Whether no one waits for the response any more."""

    @property
    def is_full(self) -> bool:
        """Return whether more has been sent than could be passed on yet."""

    def begin(self, response: Response) -> None:
        """Send the head and the first piece."""

    def send(self, piece: bytes) -> None:
        """Send a piece."""

    def end(self, failure: Failure | None) -> None:
        """Say that there is no more; after a failure the response is cut off, so that it cannot pass for a whole."""


def collect(stream: Stream, complete: Callable[[Any], Any]) -> Response:
    """Return a stream as one response, for whom cannot take it in pieces; `complete` runs what is to be awaited."""
    pieces = _iterate(stream.pieces, complete)
    response = begin_stream(stream.head, next(pieces, b""))
    return response._replace(body=response.body + b"".join(map(to_bytes, pieces)))


def send(delivery: StreamedDelivery, stream: Stream, complete: Callable[[Any], Any]) -> BaseException | None:
    """Send a stream; return the error that ended it. An error before anything was sent is raised."""
    pieces = _iterate(stream.pieces, complete)
    delivery.begin(begin_stream(stream.head, next(pieces, b"")))
    try:
        for piece in pieces:
            while delivery.is_full and not delivery.is_gone:
                time.sleep(LOOK_AGAIN)
            if delivery.is_gone:
                pieces.close()
                break
            delivery.send(to_bytes(piece))
    except BaseException as error:
        return error
    return None


async def collect_async(stream: Stream) -> Response:
    """Do as `collect`, in an event loop."""
    pieces = _iterate_async(stream.pieces)
    response = begin_stream(stream.head, await anext(pieces, b""))
    return response._replace(body=response.body + b"".join([to_bytes(piece) async for piece in pieces]))


async def send_async(delivery: StreamedDelivery, stream: Stream) -> BaseException | None:
    """Do as `send`, in an event loop."""
    pieces = _iterate_async(stream.pieces)
    delivery.begin(begin_stream(stream.head, await anext(pieces, b"")))
    try:
        async for piece in pieces:
            while delivery.is_full and not delivery.is_gone:
                await asyncio.sleep(LOOK_AGAIN)
            if delivery.is_gone:
                await pieces.aclose()
                break
            delivery.send(to_bytes(piece))
    except BaseException as error:
        return error
    return None


def _iterate(pieces: Iterable[Any] | AsyncGenerator[Any], complete: Callable[[Any], Any]) -> Generator[Any]:
    if not isasyncgen(pieces):
        yield from pieces  # type: ignore[misc]
        return
    end = object()
    try:
        while (piece := complete(anext(pieces, end))) is not end:
            yield piece
    finally:
        complete(pieces.aclose())


async def _iterate_async(pieces: Iterable[Any] | AsyncGenerator[Any]) -> AsyncGenerator[Any]:
    if isasyncgen(pieces):
        try:
            async for piece in pieces:
                yield piece
        finally:
            await pieces.aclose()
        return
    try:
        for piece in pieces:  # type: ignore[union-attr]
            yield piece
    finally:
        pieces.close()  # type: ignore[union-attr]
