"""The stream of server-sent events: parts of pages as HTML, and what scripts draw as JSON.

A page includes the template of a part when it is opened, and the same template is rendered again whenever what it shows
has changed: once for all who look. htmx puts it in its place.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from stack import console
from stack.dashboard.page import render_part
from stack.dashboard.security.auth import is_logged_in
from stack.dashboard.services import Services, services_of
from stack.errors import FunctionError, StackError
from stack.live.channel import Update

# Milliseconds after which a browser tries a lost connection again; seconds between two comments that keep it.
_RETRY = 1000
_PING_SECONDS = 15
# Seconds that the stream has to end in order when the dashboard does.
_GRACE_SECONDS = 1.0
# Events, and parts, that are kept for the next page that wants them.
_KEPT = 64
# Seconds that a page waits for what is not known yet; the rest comes by the stream.
_PATIENCE = 0.12
# Behind the name of a part: a page that listens to this gets the rows of its tables alone where only they have changed.
_ROWS = "/rows"
_ROW = re.compile(r'<tr id="([^"]*)".*?</tr>', re.DOTALL)

Known = Mapping[str, Any]
# Returns what a template is to know, of the subject and the latest value of each topic; it is called in a thread.
Describe = Callable[[Services, str, Known], Mapping[str, Any]]


@dataclass(frozen=True)
class Fragment:
    """A part of pages. With a `:` at its end the name is that of a family, whose parts have a subject behind it.

    A topic that ends so has the same subject. `describe` is given None for a topic that is not known yet.
    """

    name: str
    template: str
    topics: tuple[str, ...]
    describe: Describe


@dataclass(frozen=True)
class Part:
    """A fragment, and its subject, empty if it has none."""

    fragment: Fragment
    subject: str = ""

    @property
    def topics(self) -> tuple[str, ...]:
        """Return the topics that it shows."""
        return tuple(f"{one}{self.subject}" if one.endswith(":") else one for one in self.fragment.topics)

    def describe(self, services: Services, values: Sequence[Any]) -> Mapping[str, Any]:
        """Return what its template is to know, of the value of each topic."""
        known = dict(zip(self.fragment.topics, values, strict=True))
        return self.fragment.describe(services, self.subject, known)


class Parts:
    """Every fragment by its name; renders parts, each once for all who look at it."""

    def __init__(self, services: Services, fragments: Sequence[Fragment]) -> None:
        self._services = services
        self._fragments = {one.name: one for one in fragments}
        self._problem = ""
        self._latest: dict[Part, tuple[Sequence[Update], asyncio.Future[str]]] = {}

    def find(self, name: str) -> Part | None:
        """Return the part of a name; None if there is none."""
        if name in self._fragments:
            return Part(self._fragments[name])
        family, _, subject = name.partition(":")
        fragment = self._fragments.get(f"{family}:")
        return Part(fragment, subject) if fragment and subject else None

    async def render(self, part: Part, updates: Sequence[Update]) -> str:
        """Return a part's HTML; nothing where what it shows cannot be read, of which one warning tells."""
        known = self._latest.pop(part, None)
        if known is None or known[0] != updates:
            values = [one.value for one in updates]
            known = updates, asyncio.ensure_future(run_in_threadpool(self._render, part, values))
        self._latest[part] = known
        if len(self._latest) > _KEPT:
            del self._latest[next(iter(self._latest))]
        return await asyncio.shield(known[1])

    def _render(self, part: Part, values: Sequence[Any]) -> str:
        try:
            return render_part(part.fragment.template, **part.describe(self._services, values))
        except FunctionError:
            # It is gone, and so is what there was to show.
            return ""
        except StackError as error:
            if str(error) != self._problem:
                console.warn(f"{part.fragment.name}{part.subject} cannot be shown: {error}")
            self._problem = str(error)
            return ""


async def look(request: Request, *names: str) -> dict[str, Any]:
    """Return what the templates of parts are to know when a page is opened, as far as it is known at once.

    Raises:
        StackError: it cannot be read.
    """
    services = services_of(request)
    context: dict[str, Any] = {}
    for name in names:
        part = request.app.state.parts.find(name)
        values = await asyncio.gather(*(_ask(services, topic) for topic in part.topics))
        context |= await run_in_threadpool(part.describe, services, values)
    return context


async def _ask(services: Services, topic: str) -> Any:
    """Return the latest of a topic; None if that would take time."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await services.broadcaster.latest(topic)
    except (TimeoutError, StackError):
        return None


def routes() -> list[BaseRoute]:
    """Return the route of the stream."""
    return [Route("/live", _stream)]


async def _stream(request: Request) -> Response:
    """Stream the parts and the topics of `?topics=a,b`, each name quoted for itself."""
    services, parts = services_of(request), request.app.state.parts
    names = read_topics(request.url.query)
    found = {name: part for name in names if (part := parts.find(name.removesuffix(_ROWS)))}
    try:
        services.broadcaster.check([name for name in names if name not in found])
    except StackError as error:
        return PlainTextResponse(f"{error}\n", 404)
    follower = Follower(services, parts, found, frozenset(names) - found.keys())
    return EventSourceResponse(
        follower.run(lambda: is_logged_in(request)),
        ping=_PING_SECONDS,
        shutdown_event=services.broadcaster.ending,
        shutdown_grace_period=_GRACE_SECONDS,
    )


def read_topics(query: str) -> Sequence[str]:
    """Return the topics of a query string; a quoted comma does not part two of them."""
    values = (pair.partition("=")[2] for pair in query.split("&") if pair.startswith("topics="))
    return [unquote(name) for value in values for name in value.split(",") if name]


@dataclass(frozen=True)
class Follower:
    """Who follows a page's stream: which parts it shows, by the names of their events, and which topics as JSON."""

    services: Services
    parts: Parts
    shown: Mapping[str, Part]
    topics: frozenset[str]

    async def run(self, may_see: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Yield events until who follows them is logged out."""
        yield ServerSentEvent(comment="live", retry=_RETRY).encode()
        known: dict[str, Update] = {}
        sent: dict[str, str] = {}
        by_rows = frozenset(name.removesuffix(_ROWS) for name in self.shown if name.endswith(_ROWS))
        wanted = dict.fromkeys([*self.topics, *(topic for part in self.shown.values() for topic in part.topics)])
        async with aclosing(self.services.broadcaster.follow(list(wanted))) as updates:
            async for update in updates:
                if not may_see():
                    return
                known[update.topic] = update
                if update.topic in self.topics:
                    yield _encode(update)
                async for name, text in self._render(update.topic, known):
                    before = sent.get(name)
                    if not text or text == before:
                        continue
                    rows = find_changed_rows(before, text) if before and name in by_rows else ""
                    sent[name] = text
                    yield ServerSentEvent(rows or text, event=f"{name}{_ROWS}" if rows else name).encode()

    async def _render(self, topic: str, known: Mapping[str, Update]) -> AsyncIterator[tuple[str, str]]:
        """Yield each part that shows a topic, once all of its topics are known."""
        for name, part in self.shown.items():
            if not name.endswith(_ROWS) and topic in part.topics and all(one in known for one in part.topics):
                yield name, await self.parts.render(part, [known[one] for one in part.topics])


def find_changed_rows(before: str, after: str) -> str:
    """Return the rows of a part that differ, each for htmx to put in its place; nothing where more than rows differ."""
    old, new = list(_ROW.finditer(before)), list(_ROW.finditer(after))
    if [one[1] for one in old] != [one[1] for one in new] or _ROW.sub("", before) != _ROW.sub("", after):
        return ""
    changed = [row[0] for known, row in zip(old, new, strict=True) if known[0] != row[0]]
    return "".join(row.replace("<tr ", '<tr hx-swap-oob="morph" ', 1) for row in changed)


@lru_cache(_KEPT)
def _encode(update: Update) -> bytes:
    """Write an update as an event, once for all pages that are told of it."""
    return ServerSentEvent(update.text, event=update.topic, id=str(update.number)).encode()
