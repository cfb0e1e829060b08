"""The topics `broker`: what RabbitMQ holds, and who consumes; and `traffic:KIND:NAME`: copies of messages, live."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from time import monotonic
from typing import Any

from stack.contract import MQTT_EXCHANGE, to_key
from stack.errors import BrokerError, StackError
from stack.live.channel import LogTail
from stack.live.docker import FAILURES, AsyncEngine
from stack.live.metrics import RateMeter
from stack.rabbitmq.management_async import Binding, Consumer, Exchange, Flow, Management, Queue
from stack.rabbitmq.observer import PREFIX, Observed, Observer, Place, describe_message

_PAUSE = 2.0
# For how long, in seconds, a consumer counts that was seen.
_CONSUMER_SECONDS = 15.0


class BrokerSource:
    """What RabbitMQ holds, but for the queues by which we observe it."""

    pause = _PAUSE

    def __init__(self, management: Management, engine: AsyncEngine) -> None:
        self._management = management
        self._engine = engine
        self._rate_meter = RateMeter()
        self._consumers: dict[Consumer, float] = {}

    async def look(self) -> dict[str, Any]:
        """Return everything; empty, and why, while the broker does not answer."""
        ask = self._management
        try:
            queues, exchanges, bindings, consumers = await asyncio.gather(
                ask.queues(), ask.exchanges(), ask.bindings(), ask.consumers()
            )
        except BrokerError as error:
            return {"queues": [], "exchanges": [], "bindings": [], "reachable": False, "problem": str(error)}
        functions = await find_functions(self._engine)
        self._rate_meter.forget(monotonic())
        self._note(consumers)
        told = [self._tell(one, functions) for one in queues if not one.name.startswith(PREFIX)]
        return {
            "queues": told,
            "exchanges": [self._tell_exchange(one, find_flow(one.name, told, bindings=bindings)) for one in exchanges],
            "bindings": [asdict(one) for one in bindings if not one.destination.startswith(PREFIX)],
            "reachable": True,
            "problem": "",
        }

    async def rest(self) -> None:
        """Do nothing: nothing is open."""

    def _note(self, consumers: Sequence[Consumer]) -> None:
        """Remember for a while who consumes: RabbitMQ leaves out some of them now and then."""
        now = monotonic()
        self._consumers |= dict.fromkeys(consumers, now)
        self._consumers = {one: seen for one, seen in self._consumers.items() if now - seen < _CONSUMER_SECONDS}

    def _tell(self, queue: Queue, functions: Mapping[str, str]) -> dict[str, Any]:
        own = [one for one in self._consumers if one.queue == queue.name] if queue.consumers else []
        names = sorted({functions[one.host] for one in own if one.host in functions})
        arriving = self._rate_meter.measure((queue.name, "arrived"), queue.arrived, monotonic(), otherwise=0.0)
        return {
            "name": queue.name,
            "durable": queue.durable,
            "exclusive": queue.exclusive,
            "messages": queue.messages,
            "ready": queue.ready,
            "unacked": queue.unacked,
            "consumers": queue.consumers,
            "publish_rate": max(self._measure(queue.published, queue.name, "published"), arriving),
            "deliver_rate": self._measure(queue.delivered, queue.name, "delivered"),
            "functions": names,
            "others": max(queue.consumers - sum(one.host in functions for one in own), 0),
        }

    def _tell_exchange(self, exchange: Exchange, least: tuple[float, float]) -> dict[str, Any]:
        return {
            "name": exchange.name,
            "type": exchange.type,
            "durable": exchange.durable,
            "internal": exchange.internal,
            "in_rate": max(self._measure(exchange.taken, exchange.name, "taken"), least[0]),
            "out_rate": max(self._measure(exchange.given, exchange.name, "given"), least[1]),
        }

    def _measure(self, flow: Flow, *key: str) -> float:
        return self._rate_meter.measure(key, flow.total, monotonic(), otherwise=flow.rate)


def find_flow(
    exchange: str, queues: Sequence[Mapping[str, Any]], *, bindings: Sequence[Binding]
) -> tuple[float, float]:
    """Return how much goes into an exchange and out of it at least, by the queues that get messages nowhere else.

    Of an exchange, too, RabbitMQ does not count what comes over MQTT.
    """
    sources: dict[str, set[str]] = {}
    for one in bindings:
        sources.setdefault(one.destination, set()).add(one.source)
    rates = [queue["publish_rate"] for queue in queues if sources.get(queue["name"]) == {exchange}]
    return max(rates, default=0.0), round(sum(rates), 2)


async def find_functions(engine: AsyncEngine) -> dict[str, str]:
    """Return the function at each address of the network of functions; none while Docker does not answer."""
    try:
        instances = await engine.instances()
    except FAILURES:
        return {}
    return {one.address: one.container.function for one in instances if one.address and one.container.function}


_KEPT = 200
_PAUSE_WATCHING = 3.0
_LONGEST = 2000
_KINDS = ("queue", "exchange", "topic")


class TrafficSource:
    """What goes to one queue, through one exchange, or over MQTT to the topics of a filter.

    Of a queue, that is what its bindings bring; what is sent to it by name goes through the default exchange, to which
    nothing can be bound. An entry with a `note` says how the watching goes.
    """

    pause = _PAUSE_WATCHING

    def __init__(self, management: Management, subject: str, touch: Callable[[], None]) -> None:
        self._kind, _, self._name = subject.partition(":")
        if self._kind not in _KINDS or not self._name:
            raise StackError(
                f"There is no traffic of {subject!r}; name one of {', '.join(_KINDS)}, such as queue:NAME."
            )
        self._management = management
        self._touch = touch
        self._observer: Observer | None = None
        self._entries: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._count = 0
        self._noted = ""

    async def look(self) -> LogTail:
        """Return the last messages."""
        try:
            places = await self._find_places()
            observer = self._observer = self._observer or Observer(
                await self._management.broker(), self._hear, bound=self._touch
            )
            observer.observe(places)
            # Not before: what somebody sends who has read it would be missed.
            if observer.problem or observer.is_bound or not places:
                self._note(observer.problem or self._tell(places))
        except BrokerError as error:
            self._note(str(error))
        return LogTail(self._count, tuple(self._entries))

    async def rest(self) -> None:
        """Observe no more, and forget."""
        if self._observer:
            await self._observer.close()
        self._observer = None
        self._entries.clear()
        self._noted = ""

    async def _find_places(self) -> Sequence[Place]:
        if self._kind == "topic":
            return [(MQTT_EXCHANGE, to_key(self._name))]
        if self._kind == "exchange":
            return [(self._name, "#")]
        bindings = await self._management.bindings_of(self._name)
        return [(one.source, one.key) for one in bindings]

    def _tell(self, places: Sequence[Place]) -> str:
        """Say what is watched."""
        if self._kind != "queue":
            return f"Watching the {self._kind} {self._name}."
        if not places:
            return "No binding leads to this queue: all its messages are sent to it by name, and cannot be watched."
        bindings = ", ".join(f"{exchange} {key}".strip() for exchange, key in places)
        return f"Watching what is bound to {self._name}: {bindings}."

    def _hear(self, message: Observed) -> None:
        self._add(describe_message(message))
        self._touch()

    def _note(self, text: str) -> None:
        if text != self._noted:
            self._noted = text
            self._add({"note": text})

    def _add(self, entry: dict[str, Any]) -> None:
        self._entries.append(entry)
        self._count += 1
