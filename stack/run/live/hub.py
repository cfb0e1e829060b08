"""The hub: gives everybody who watches a topic the same snapshots of it.

Nothing runs for a topic that nobody watches; Docker's event stream alone is followed all the time.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

from aiodocker import Docker
from aiohttp import ClientSession

from stack.errors import StackError
from stack.run.live.engine import AsyncEngine
from stack.run.live.events import Event, EventStream
from stack.run.live.figures import FigureReader
from stack.run.live.functions import FunctionsSource, Records
from stack.run.live.history import HistorySource
from stack.run.live.services import ServicesSource
from stack.run.live.topic import Source, Topic, Update
from stack.run.stack import Stack

# Makes the source of a topic that has a subject, such as `logs:NAME`.
Family = Callable[[str], Source]


class Hub:
    """The topics: those with a name of their own, and families, whose topics have a subject behind a colon."""

    def __init__(self, sources: Mapping[str, Source], families: Mapping[str, Family]) -> None:
        self._topics = {name: Topic(name, source) for name, source in sources.items()}
        self._permanent = frozenset(sources)
        self._families = families
        self._bells: set[asyncio.Event] = set()
        self._is_closed = False

    async def latest(self, topic: str) -> Any:
        """Return the value of a topic; it is looked at now if nobody watches it.

        Raises:
            StackError: there is no such topic.
        """
        async with aclosing(self.follow([topic])) as updates:
            async for update in updates:
                return update.value
        return None

    async def watch(self, topics: Sequence[str]) -> AsyncGenerator[tuple[str, Any], None]:
        """Yield each topic's name and value: first the latest of each, then on change, at most once a second each.

        Raises:
            StackError: there is no such topic.
        """
        async with aclosing(self.follow(topics)) as updates:
            async for update in updates:
                yield update.topic, update.value

    async def follow(self, topics: Sequence[str]) -> AsyncGenerator[Update, None]:
        """Yield what `watch` does, with its JSON, until the hub closes.

        Raises:
            StackError: there is no such topic.
        """
        bell = asyncio.Event()
        found = [self._find(name) for name in dict.fromkeys(topics)]
        known = dict.fromkeys(found, 0)
        self._bells.add(bell)
        for topic in found:
            topic.join(bell)
        try:
            while not self._is_closed:
                bell.clear()
                for topic in found:
                    if update := topic.since(known[topic]):
                        known[topic] = update.number
                        yield update
                await bell.wait()
        finally:
            self._bells.discard(bell)
            for topic in found:
                topic.leave(bell)

    def check(self, topics: Sequence[str]) -> None:
        """Make sure that there are these topics.

        Raises:
            StackError: there is no such topic.
        """
        for name in topics:
            self._find(name)

    def touch(self, *topics: str) -> None:
        """Look again soon at some topics, or at all: something changed."""
        for name, topic in self._topics.items():
            if not topics or name in topics:
                topic.touch()

    async def close(self) -> None:
        """End all watching."""
        self._is_closed = True
        for bell in self._bells:
            bell.set()
        await asyncio.gather(*(topic.close() for topic in self._topics.values()))

    def _find(self, name: str) -> Topic:
        self._forget_subjects()
        if name in self._topics:
            return self._topics[name]
        family, _, subject = name.partition(":")
        if not subject or family not in self._families:
            known = ", ".join([*self._topics, *(f"{one}:NAME" for one in self._families)])
            raise StackError(f"There is no topic {name!r}. Topics: {known}.")
        topic = self._topics[name] = Topic(name, self._families[family](subject))
        return topic

    def _forget_subjects(self) -> None:
        """Forget topics of families that nobody watches any more."""
        over = [name for name, one in self._topics.items() if one.is_asleep and name not in self._permanent]
        for name in over:
            del self._topics[name]


@asynccontextmanager
async def open_hub(
    stack: Stack, records: Records, *, heard: Sequence[Callable[[Event | None], None]] = ()
) -> AsyncIterator[Hub]:
    """Open the hub of a stack; `records` lists its functions, and all of `heard` are told of Docker's events."""
    project = stack.settings.project
    async with Docker() as docker, ClientSession(trust_env=False) as session:
        stream = EventStream(docker, project)
        engine = AsyncEngine(docker, project)
        sources: dict[str, Source] = {
            "stack": ServicesSource(engine),
            "functions": FunctionsSource(engine, FigureReader(session), records),
            "history": HistorySource(stack.workspace, stream),
        }
        hub = Hub(sources, {})
        for listener in (engine.forget, *heard, lambda _: hub.touch(*sources)):
            stream.listen(listener)
        task = asyncio.create_task(stream.run(), name="Docker's events")
        try:
            yield hub
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await hub.close()
