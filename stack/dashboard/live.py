"""Live parts of the pages: one stream of server-sent events for each page, with the topics that it shows."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from functools import lru_cache
from urllib.parse import unquote

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from stack.dashboard.desk import desk_of
from stack.dashboard.security.login import is_logged_in
from stack.errors import StackError
from stack.run.live.hub import Hub
from stack.run.live.topic import Update

# Milliseconds after which a browser tries a lost connection again; seconds between two comments that keep it.
_RETRY = 1000
_PING_SECONDS = 15
# Seconds that the stream has to end in order when the dashboard does.
_GRACE_SECONDS = 1.0
# Events that are kept as bytes for the next page that wants them.
_ENCODED = 64


def routes() -> list[BaseRoute]:
    """Return the route of the stream."""
    return [Route("/live", _stream)]


async def _stream(request: Request) -> Response:
    """Stream the topics of `?topics=a,b`, each name quoted for itself."""
    hub = desk_of(request).hub
    topics = read_topics(request.url.query)
    try:
        hub.check(topics)
    except StackError as error:
        return PlainTextResponse(f"{error}\n", 404)
    return EventSourceResponse(
        _encode_all(hub, topics, lambda: is_logged_in(request)),
        ping=_PING_SECONDS,
        shutdown_event=hub.ending,
        shutdown_grace_period=_GRACE_SECONDS,
    )


def read_topics(query: str) -> Sequence[str]:
    """Return the topics of a query string; a quoted comma does not part two of them."""
    values = (pair.partition("=")[2] for pair in query.split("&") if pair.startswith("topics="))
    return [unquote(name) for value in values for name in value.split(",") if name]


async def _encode_all(hub: Hub, topics: Sequence[str], may_see: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Yield events until who follows them is logged out."""
    yield ServerSentEvent(comment="live", retry=_RETRY).encode()
    async with aclosing(hub.follow(topics)) as updates:
        async for update in updates:
            if not may_see():
                return
            yield _encode(update)


@lru_cache(_ENCODED)
def _encode(update: Update) -> bytes:
    """Write an update as an event, once for all pages that are told of it."""
    return ServerSentEvent(update.text, event=update.topic, id=str(update.number)).encode()
