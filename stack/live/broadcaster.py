"""The broadcaster: gives everybody who watches a topic the same snapshots of it.

Nothing runs for a topic that no one watches; Docker's event stream alone is followed all the time.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
from aiodocker import Docker
from aiohttp import ClientSession

from stack.docker.stack import Stack, open_stack
from stack.errors import StackError
from stack.live.broker import BrokerSource, TrafficSource
from stack.live.channel import Channel, Source, Update
from stack.live.devices import DevicesSource
from stack.live.docker import AsyncEngine, Event, EventStream
from stack.live.functions import FunctionsSource, Records, StatsReader
from stack.live.history import DeploySource, HistorySource
from stack.live.log import LogSource
from stack.live.metrics import MetricsSource
from stack.live.presence import PresenceSource, TwinSource
from stack.live.readings import ReadingsSource
from stack.live.services import ServicesSource
from stack.rabbitmq.management import find_broker
from stack.rabbitmq.management_async import Management

# What a source calls when it has something to tell.
Touch = Callable[[], None]
# Makes the source of a topic that has a subject, such as `logs:NAME`.
Family = Callable[[str, Touch], Source]


class Broadcaster:
    """The topics: those with a name of their own, and families, whose topics have a subject behind a colon."""

    def __init__(self) -> None:
        self._topics: dict[str, Channel] = {}
        self._permanent: set[str] = set()
        self._families: dict[str, Family] = {}
        self._wakeups: set[asyncio.Event] = set()
        self.ending = anyio.Event()
        """Set when the program is about to end, so that those who watch leave."""

    def add(self, name: str, make: Callable[[Touch], Source]) -> None:
        """Add a topic."""
        self._topics[name] = Channel(name, make(partial(self.touch, name)))
        self._permanent.add(name)

    def add_family(self, name: str, make: Family) -> None:
        """Add all topics whose names begin with a family's."""
        self._families[name] = make

    async def latest(self, topic: str) -> Any:
        """Return the value of a topic; it is looked at now if no one watches it.

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
        """Yield what `watch` does, with its JSON, until the broadcaster closes.

        Raises:
            StackError: there is no such topic.
        """
        wakeup = asyncio.Event()
        known: dict[Channel, int] = {}
        self._wakeups.add(wakeup)
        try:
            for name in topics:
                topic = self._find(name)
                topic.join(wakeup)
                known[topic] = 0
            while not self.ending.is_set():
                wakeup.clear()
                for topic in known:
                    if update := topic.since(known[topic]):
                        known[topic] = update.number
                        yield update
                await wakeup.wait()
        finally:
            self._wakeups.discard(wakeup)
            for topic in known:
                topic.leave(wakeup)

    def check(self, topics: Sequence[str]) -> None:
        """Make sure that there are these topics.

        Raises:
            StackError: there is no such topic.
        """
        for name in topics:
            self._find(name)

    @property
    def watched(self) -> frozenset[str]:
        """Return the topics that are being looked at."""
        return frozenset(name for name, topic in self._topics.items() if not topic.is_asleep)

    def touch(self, *topics: str) -> None:
        """Look again soon at some topics, or at all: something changed."""
        for name, topic in self._topics.items():
            if not topics or name in topics:
                topic.touch()

    async def end_in_time(self) -> None:
        """Wait until the program is about to end, and have those who watch leave."""
        await self.ending.wait()
        for wakeup in self._wakeups:
            wakeup.set()

    async def close(self) -> None:
        """Stop looking at anything."""
        await asyncio.gather(*(topic.close() for topic in self._topics.values()))

    def _find(self, name: str) -> Channel:
        self._forget_subjects()
        if name in self._topics:
            return self._topics[name]
        family, _, subject = name.partition(":")
        if not subject or family not in self._families:
            known = ", ".join([*self._topics, *(f"{one}:NAME" for one in self._families)])
            raise StackError(f"There is no topic {name!r}. Topics: {known}.")
        topic = self._topics[name] = Channel(name, self._families[family](subject, partial(self.touch, name)))
        return topic

    def _forget_subjects(self) -> None:
        """Forget topics of families that no one watches any more."""
        over = [name for name, one in self._topics.items() if one.is_asleep and name not in self._permanent]
        for name in over:
            del self._topics[name]


@dataclass(frozen=True)
class _Tools:
    """What sources ask."""

    stack: Stack
    engine: AsyncEngine
    stream: EventStream
    session: ClientSession
    management: Management
    records: Records


@asynccontextmanager
async def open_broadcaster(
    stack: Stack, records: Records, *, heard: Sequence[Callable[[Event | None], None]] = ()
) -> AsyncIterator[Broadcaster]:
    """Open the broadcaster of a stack; `records` lists its functions, `heard` is told of Docker's events."""
    project = stack.settings.project
    async with Docker() as docker, ClientSession(trust_env=False) as session:
        stream = EventStream(docker, project, is_swarm=stack.engine.is_swarm)
        management = Management(session, lambda: find_broker(stack.reread()))
        tools = _Tools(
            stack,
            AsyncEngine(docker, project, stack.engine if stack.engine.is_swarm else None),
            stream,
            session,
            management,
            records,
        )
        broadcaster = Broadcaster()
        _fill(broadcaster, tools)
        for listener in (tools.engine.forget, *heard, lambda _: broadcaster.touch()):
            stream.listen(listener)
        tasks = [asyncio.create_task(stream.run()), asyncio.create_task(broadcaster.end_in_time())]
        try:
            yield broadcaster
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await broadcaster.close()


def _fill(broadcaster: Broadcaster, tools: _Tools) -> None:
    """Give a hub its topics."""
    engine, management, workspace = tools.engine, tools.management, tools.stack.workspace
    broadcaster.add("stack", lambda _: ServicesSource(engine, tools.stack))
    broadcaster.add(
        "functions", lambda _: FunctionsSource(engine, StatsReader(tools.session), tools.records, management)
    )
    broadcaster.add("history", lambda _: HistorySource(workspace, tools.stream))
    broadcaster.add("broker", lambda _: BrokerSource(management, engine))
    broadcaster.add("devices", lambda touch: DevicesSource(management, engine, touch))
    open_now = partial(open_stack, workspace, is_lenient=True)
    broadcaster.add("presence", lambda _: PresenceSource(open_now))
    broadcaster.add("readings", lambda _: ReadingsSource(open_now, lambda: broadcaster.latest("devices")))
    broadcaster.add_family("logs", lambda name, touch: LogSource(engine, name, touch))
    broadcaster.add_family("metrics", lambda name, _: MetricsSource(engine, tools.session, name))
    broadcaster.add_family("deploy", lambda name, _: DeploySource(workspace, name))
    broadcaster.add_family("twin", lambda name, _: TwinSource(open_now, name))
    broadcaster.add_family("traffic", lambda subject, touch: TrafficSource(management, subject, touch))
