"""The topic `devices`: who is connected to the broker, and the last value of each topic."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic, time
from typing import Any

from stack.contract import DEVICE_TOPICS, MQTT_EXCHANGE, to_topic
from stack.errors import BrokerError
from stack.live.broker import find_functions
from stack.live.docker import AsyncEngine
from stack.live.metrics import RateMeter
from stack.plan.device_account import SERVICE_ACCOUNT
from stack.plan.message import read_number, read_text
from stack.processor.source.rabbitmq.field_table import to_text
from stack.rabbitmq.management_async import Connection, Management, Refusal
from stack.rabbitmq.observer import NAME, Observed, Observer

# RabbitMQ's own events and traces go through topic exchanges, too.
_INTERNAL = "amq.rabbitmq."

# What the stack and devices tell each other of the devices themselves is no reading.
_OWN_TOPICS = f"{DEVICE_TOPICS}/"

_PAUSE = 2.0
# How many topics are kept, how many values of each, and how many characters of one.
_TOPICS, _POINTS, _LONGEST = 100, 40, 200
# For how long, in seconds, a client is shown that left, and how many of them.
_GONE_SECONDS, _GONE = 600.0, 50
# So many users and addresses whose login was refused are told of.
_MOST_REFUSALS = 100


@dataclass(frozen=True)
class Client:
    """A connection, when it was last heard of, and whether it is there."""

    connection: Connection
    last_seen: float | None
    is_there: bool = True


class DevicesSource:
    """The broker's clients, and copies of what goes through its topic exchanges."""

    pause = _PAUSE

    def __init__(self, management: Management, engine: AsyncEngine, touch: Callable[[], None]) -> None:
        self._management = management
        self._engine = engine
        self._touch = touch
        self._observer: Observer | None = None
        self._topics: dict[str, dict[str, Any]] = {}
        self._clients: dict[str, Client] = {}
        self._rate_meter = RateMeter()
        self._refusals: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._has_refusals = False
        self._looked_at = float("-inf")
        self._problem = ""

    async def look(self) -> dict[str, Any]:
        """Return the clients and the topics."""
        if monotonic() >= self._looked_at + _PAUSE:
            await self._ask()
            self._looked_at = monotonic()
            self._rate_meter.forget(self._looked_at)
        functions = await find_functions(self._engine)
        return {
            "connections": [self._describe(one, functions) for one in self._clients.values()],
            "topics": dict(sorted(self._topics.items())),
            "refusals": list(self._refusals.values()),
            "reachable": not self._problem,
            "problem": self._problem,
        }

    async def rest(self) -> None:
        """Observe no more; the last values stay for anyone who comes next."""
        if self._observer:
            await self._observer.close()
        self._observer = None

    async def _ask(self) -> None:
        try:
            connections, exchanges, refusals = await asyncio.gather(
                self._management.connections(), self._management.exchanges(), self._management.refusals()
            )
        except BrokerError as error:
            self._problem = str(error)
            self._clients = follow_clients(self._clients, [], time=time())
            return
        self._problem = ""
        self._clients = follow_clients(self._clients, connections, time=time())
        functions = await find_functions(self._engine)
        self._refusals = follow_refusals(
            self._refusals, refusals, functions=functions, time=time() if self._has_refusals else None
        )
        self._has_refusals = True
        observer = self._observer = self._observer or Observer(await self._management.broker(), self._hear)
        places = [one.name for one in exchanges if one.type == "topic" and not one.name.startswith(_INTERNAL)]
        observer.observe([(name, "#") for name in places])

    def _hear(self, message: Observed) -> None:
        entry = describe_value(message)
        if entry["topic"].startswith(_OWN_TOPICS):
            return
        name = " ".join(filter(None, (entry["topic"], entry["sensor"])))
        number = read_number(message.body)
        before = self._topics.pop(name, {}).get("points", [])
        new = [] if number is None else [[entry["time"], number]]
        self._topics[name] = entry | {"points": [*before, *new][-_POINTS:]}
        if len(self._topics) > _TOPICS:
            del self._topics[next(iter(self._topics))]
        self._touch()

    def _describe(self, client: Client, functions: Mapping[str, str]) -> dict[str, Any]:
        connection, now = client.connection, monotonic()
        rates = [
            self._rate_meter.measure((connection.name, way), flow.total, now, otherwise=flow.rate)
            for way, flow in (("received", connection.received), ("sent", connection.sent))
        ]
        received, sent = rates if client.is_there else (0.0, 0.0)
        return describe_client(client, functions) | {"receive_rate": received, "send_rate": sent}


def describe_value(message: Observed) -> dict[str, Any]:
    """Return what the pages are told of a message; `sensor` is the header of that name, as `invoke client` gives it."""
    is_mqtt, key = message.exchange == MQTT_EXCHANGE, to_text(message.key)
    return {
        "topic": to_topic(key) if is_mqtt else f"{to_text(message.exchange)} {key}",
        "exchange": to_text(message.exchange),
        "key": key,
        "sensor": to_text((message.properties.headers or {}).get("sensor", "")),
        "protocol": "MQTT" if is_mqtt else "AMQP",
        "value": read_text(message.body, _LONGEST),
        "time": round(message.time, 3),
    }


def follow_clients(before: Mapping[str, Client], now: Sequence[Connection], *, time: float) -> dict[str, Client]:
    """Return who is connected now, and who left of late and is not back under the same name.

    A client is seen when bytes come from it.
    """
    there = {one.name: Client(one, _find_last_seen(before.get(one.name), one, time=time)) for one in now}
    names = {one.client for one in now} - {""}
    gone = [one for name, one in before.items() if name not in there and one.connection.client not in names]
    kept = [one for one in gone if time - (one.last_seen or one.connection.since) < _GONE_SECONDS][-_GONE:]
    return there | {one.connection.name: replace(one, is_there=False) for one in kept}


def follow_refusals(
    before: Mapping[tuple[str, str, str], Mapping[str, Any]],
    now: Sequence[Refusal],
    *,
    functions: Mapping[str, str],
    time: float | None,
) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return what the pages are told of refused logins: how many, and since when there are so many.

    That is not known, and so is None, of those that were there at the first look, whose time is None. RabbitMQ forgets
    all of them every two minutes (core_metrics_gc_interval), and counts from the beginning then; the latest are kept.
    """
    known = {key: {**one, "counted": 0} for key, one in before.items()}
    found = {(one.user, one.host, one.protocol): one for one in now}
    for key, one in found.items():
        older = before.get(key, {"count": 0, "counted": 0, "last": None})
        new = one.count - (older["counted"] if one.count >= older["counted"] else 0)
        known.pop(key, None)
        known[key] = {
            "user": one.user,
            "host": one.host,
            "protocol": one.protocol,
            "count": older["count"] + new,
            # Of the broker's own count.
            "counted": one.count,
            "function": functions.get(one.host, ""),
            "last": (time and round(time)) if new else older["last"],
        }
    latest = sorted(known, key=lambda key: known[key]["last"] or 0)[-_MOST_REFUSALS:]
    return {key: known[key] for key in known if key in set(latest)}


def describe_client(client: Client, functions: Mapping[str, str]) -> dict[str, Any]:
    """Return what the pages are told of a client, without how much it sends."""
    connection = client.connection
    return {
        "name": connection.name,
        "protocol": connection.protocol,
        "client": connection.client,
        "user": connection.user,
        "peer": f"{connection.host}:{connection.port}",
        "since": connection.since,
        "last_seen": client.last_seen,
        "connected": client.is_there,
        "function": functions.get(connection.host, ""),
        "node_is_function": connection.host in functions,
        "is_own": connection.host in functions or connection.client in (NAME, SERVICE_ACCOUNT),
    }


def _find_last_seen(before: Client | None, now: Connection, *, time: float) -> float | None:
    if now.received.rate or (before and before.connection.received.total != now.received.total):
        return round(time)
    return before.last_seen if before else None
