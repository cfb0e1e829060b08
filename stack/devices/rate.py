"""How much devices send: one that sends more than its type allows is cut off, and kept out for a minute.

RabbitMQ limits no rate. It counts the bytes that come over each connection, and not the messages, of which MQTT's are
in no statistics of a connection. So what is limited is bytes a second, as the management API tells of all connections
at once; it is only asked where a device has a limit.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from stack import console
from stack.errors import BrokerError
from stack.rabbitmq.device_account import close_sessions
from stack.rabbitmq.management import Broker, RefusedError

# Seconds between two looks; for how long, in seconds, a device may send as much as it may in that time all at once;
# and for how long one is kept out that sent more.
_PAUSE, BURST_SECONDS, BARRED_SECONDS = 2.0, 10.0, 60.0
_COLUMNS = "name,user,recv_oct"


@dataclass(frozen=True)
class Traffic:
    """A connection of a device, and the bytes that have come over it."""

    connection: str
    device: str
    received: int


@dataclass(frozen=True)
class Excess:
    """A device that sent more than it may, in bytes a second."""

    device: str
    rate: float
    limit: int


@dataclass
class RateMeter:
    """A leaky bucket for each device that has a limit: what it sends fills it, and what it may send leaves it."""

    _received: Mapping[str, int] | None = None
    _levels: dict[str, float] = field(default_factory=dict)
    _looked: float = 0.0

    def look(self, connections: Iterable[Traffic], limits: Mapping[str, int], now: float) -> Iterator[Excess]:
        """Yield who has sent too much since; nothing is known of what came before the first look."""
        there = [one for one in connections if one.device in limits]
        before, passed = self._received, now - self._looked
        self._received, self._looked = {one.connection: one.received for one in there}, now
        if before is None:
            return
        sent: dict[str, int] = {}
        for one in there:
            sent[one.device] = sent.get(one.device, 0) + max(0, one.received - before.get(one.connection, 0))
        levels = {
            name: self._levels.get(name, 0.0) - limits[name] * passed for name in {*sent, *self._levels} & limits.keys()
        }
        self._levels = {name: max(0.0, level) + sent.get(name, 0) for name, level in levels.items()}
        for name, level in [*self._levels.items()]:
            limit = limits.get(name, 0)
            if limit and level > limit * BURST_SECONDS:
                yield Excess(name, sent.get(name, 0) / passed, limit)
                level = 0.0
            if not level or not limit:
                del self._levels[name]


class RateWatch:
    """Looks at what devices send, and cuts off who sends too much."""

    def __init__(self, broker: Broker, path: Path) -> None:
        self._broker = broker
        self._path = path
        self._meter = RateMeter()
        self._barred: dict[str, float] = {}
        self._is_ending = Event()
        self._thread = Thread(target=self._run, name="rates", daemon=True)

    def is_barred(self, device: str) -> bool:
        """Return whether a device may not log in for now."""
        return self._barred.get(device, 0.0) > time.monotonic()

    def start(self) -> None:
        """Look again and again, until it is closed."""
        self._thread.start()

    def _run(self) -> None:
        while not self._is_ending.wait(_PAUSE):
            try:
                self.look(time.monotonic())
            except RefusedError as error:
                console.warn(str(error))
            except BrokerError:
                # The link tells of a broker that is away.
                self._meter = RateMeter()

    def close(self) -> None:
        """Look no more."""
        self._is_ending.set()
        self._thread.join(_PAUSE)

    def look(self, now: float) -> None:
        """Look once.

        Raises:
            BrokerError: the broker does not answer.
        """
        if not (limits := load_limits(self._path)):
            self._meter = RateMeter()
            return
        self._barred = {name: until for name, until in self._barred.items() if until > now}
        for one in self._meter.look(fetch_traffic(self._broker), limits, now):
            self._barred[one.device] = now + BARRED_SECONDS
            console.warn(
                f"{time.strftime('%H:%M:%S')} {one.device} sends {one.rate:,.0f} bytes a second and may send "
                f"{one.limit:,}: it is cut off, and may log in again in {BARRED_SECONDS:.0f} seconds."
            )
            close_sessions(self._broker, one.device)


def fetch_traffic(broker: Broker) -> Sequence[Traffic]:
    """Ask what has come over each connection.

    Raises:
        BrokerError: the broker does not answer.
    """
    found = broker.request("GET", f"/api/connections?columns={_COLUMNS}")
    return [Traffic(one["name"], one["user"], int(one.get("recv_oct") or 0)) for one in found if one.get("user")]


def load_limits(path: Path) -> Mapping[str, int]:
    """Return how many bytes a second devices may send that have a limit; none where the file is missing."""
    try:
        return {str(name): int(limit) for name, limit in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError):
        return {}
