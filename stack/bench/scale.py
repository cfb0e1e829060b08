"""What so many devices need: machines and money, from what a connection, a message, a function and a request cost.

docs/decisions/0026-scale.md says how each cost was measured, and where each part stops growing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, inf

from stack import console
from stack.errors import StackError

DEVICES = (1_000, 10_000, 100_000, 1_000_000)
# Of a machine, how much is used where nothing is wrong, so that there is room for a bad hour.
_USED = 0.6
_DAY = 86_400.0
_GIB, _GB = 1024, 1e9
_HOURS = 730
# Between two messages of a device: what a network can carry, and a day.
_LEAST_SECONDS, _MOST_SECONDS = 0.001, _DAY
# A cluster of three nodes is given no more devices: after a loss of power all of them log in again.
_CELL = 100_000
# From here on a broker is three nodes; each message is then written three times.
_SINGLE, _NODES = 10_000, 3


@dataclass(frozen=True)
class Costs:
    """What things cost, in seconds of a core and in MiB."""

    broker_cores: float = 0.03
    broker_mib: float = 95.0
    connection_cores: float = 2.5e-5
    """Of a session that says nothing: its keep-alive, and what the broker tells of it."""
    connection_mib: float = 0.062
    tls_mib: float = 0.13
    message_seconds: float = 6.5e-5
    """Of the broker, from MQTT with QoS 1 into a quorum queue and out of it. A broker with little to do takes more: its
    schedulers wait actively before they sleep."""
    event_seconds: float = 1.5e-4
    """Of a function that does nothing, at 500 events a second."""
    request_seconds: float = 2e-4
    """Of gateway and function."""
    function_mib: float = 60.0
    reading_seconds: float = 6e-5
    """Of the recorder and the store."""
    reading_bytes: float = 1.5
    series_mib: float = 0.001
    store_mib: float = 100.0
    rest_cores: float = 0.1
    """Of gateway, dashboard, scaler and the service of devices, where nothing happens."""
    rest_mib: float = 300.0


COSTS = Costs()


@dataclass(frozen=True)
class Machine:
    """A kind of machine; its price is that of an hour, in USD."""

    name: str
    cores: int
    gib: int
    price: float

    @property
    def monthly(self) -> float:
        """Return its price for a month."""
        return self.price * _HOURS


# AWS EC2 on demand, us-east-1, Linux, June 2026; larger ones cost twice as much each.
_SIZES = {"large": 1, "xlarge": 2, "2xlarge": 4, "4xlarge": 8}
MACHINES = tuple(Machine(f"m7g.{name}", 2 * n, 8 * n, 0.0816 * n) for name, n in _SIZES.items())
# Of a GB for a month, on the same terms.
DISK_PRICE = 0.08


@dataclass(frozen=True)
class Load:
    """What devices do: each says something every so many seconds, which is one reading, and is kept for days."""

    devices: int
    every: float = 10.0
    days: int = 90
    requests: float = 0.1
    """For each message."""
    handler_seconds: float = 0.001
    """Of a core, for what the user's own code does with a message."""
    has_tls: bool = True

    @property
    def rate(self) -> float:
        """Return the messages a second of all."""
        return self.devices / self.every

    def be_silent(self) -> "Load":
        """Return the same devices, which say nothing."""
        return replace(self, every=inf)


@dataclass(frozen=True)
class Need:
    """What a part needs; of the disk GB."""

    cores: float
    mib: float
    gb: float = 0.0


def need_broker(load: Load, costs: Costs = COSTS) -> Need:
    """Return what RabbitMQ needs as one node."""
    cores = costs.broker_cores + load.devices * costs.connection_cores + load.rate * costs.message_seconds
    each = costs.connection_mib + (costs.tls_mib if load.has_tls else 0.0)
    return Need(cores, costs.broker_mib + load.devices * each)


# The broker without anyone.
IDLE = Need(COSTS.broker_cores, COSTS.broker_mib)


def need_functions(load: Load, costs: Costs = COSTS) -> Need:
    """Return what functions need, each container of which has one worker."""
    event = costs.event_seconds + load.handler_seconds + load.requests * costs.request_seconds
    cores = load.rate * event
    return Need(cores, ceil(cores / _USED) * costs.function_mib)


def need_store(load: Load, costs: Costs = COSTS) -> Need:
    """Return what the recorder and VictoriaMetrics need, with a series for each device."""
    cores = load.rate * costs.reading_seconds
    mib = costs.store_mib + costs.function_mib + load.devices * costs.series_mib
    return Need(cores, mib, load.rate * load.days * _DAY * costs.reading_bytes / _GB)


@dataclass(frozen=True)
class Estimate:
    """The machines for a load, and what they cost a month."""

    load: Load
    parts: tuple[tuple[str, Need], ...]
    machines: tuple[tuple[int, Machine], ...]

    @property
    def monthly(self) -> float:
        """Return the price of machines and disks."""
        disks = sum(need.gb for _, need in self.parts)
        return sum(count * one.monthly for count, one in self.machines) + disks * DISK_PRICE

    def describe(self) -> dict[str, object]:
        """Return what --json prints."""
        parts = {
            name: {"cores": round(one.cores, 3), "mib": round(one.mib), "gb": round(one.gb, 1)}
            for name, one in self.parts
        }
        machines = [{"count": count, "machine": one.name} for count, one in self.machines]
        head = {"devices": self.load.devices, "messages": self.load.rate}
        return {**head, "parts": parts, "machines": machines, "usd": round(self.monthly)}

    def as_row(self) -> dict[str, str]:
        """Return its line of the table."""
        cells = {name: f"{one.cores:.1f} cores, {one.mib / _GIB:.1f} GiB" for name, one in self.parts}
        disk = sum(one.gb for _, one in self.parts)
        return {
            "devices": f"{self.load.devices:,}",
            "messages/s": f"{self.load.rate:,.0f}",
            **cells,
            "disk": f"{disk:,.0f} GB",
            "machines": ", ".join(f"{count} x {one.name}" for count, one in self.machines),
            "USD a month": f"{self.monthly:,.0f}",
        }


def estimate(load: Load, costs: Costs = COSTS) -> Estimate:
    """Return what a load needs: all on one machine while it has room, then the broker on machines of its own."""
    broker, functions, store = need_broker(load, costs), need_functions(load, costs), need_store(load, costs)
    rest = Need(costs.rest_cores, costs.rest_mib)
    parts = (("broker", broker), ("functions", functions), ("store", store))
    if load.devices <= _SINGLE and (machine := find_machine([broker, functions, store, rest])):
        return Estimate(load, parts, ((1, machine),))
    cells = ceil(load.devices / _CELL)
    # Of three nodes each takes a third of the sessions, and writes every message.
    one = need_broker(replace(load, devices=ceil(load.devices / cells)), costs)
    parts = (("broker", Need(one.cores * cells, one.mib * cells)), *parts[1:])
    machines = [(cells * _NODES, find_machine([Need(one.cores, one.mib / _NODES)]) or MACHINES[-1])]
    machines += [_divide([functions, rest]), _divide([store])]
    return Estimate(load, parts, tuple(machines))


def find_machine(needs: Sequence[Need]) -> Machine | None:
    """Return the smallest machine that has room for parts, if one has."""
    cores, mib = sum(one.cores for one in needs), sum(one.mib for one in needs)
    fit = (one for one in MACHINES if one.cores * _USED >= cores and one.gib * _GIB * _USED >= mib)
    return next(fit, None)


def _divide(needs: Sequence[Need]) -> tuple[int, Machine]:
    """Return how many machines parts need that can be divided among them."""
    largest = MACHINES[-1]
    cores, mib = sum(one.cores for one in needs), sum(one.mib for one in needs)
    if one := find_machine(needs):
        return 1, one
    return ceil(max(cores / largest.cores, mib / _GIB / largest.gib) / _USED), largest


COLUMNS = ("devices", "messages/s", "broker", "functions", "store", "disk", "machines", "USD a month")


def print_scale(*, every: float, as_json: bool) -> None:
    """Show what a thousand devices need, and ten, a hundred and a thousand times as many.

    Raises:
        StackError: they are to say something too often, or too rarely.
    """
    if not _LEAST_SECONDS <= every <= _MOST_SECONDS:
        raise StackError(f"--every should be {_LEAST_SECONDS:g} to {_MOST_SECONDS:g} seconds, not {every:g}.")
    found = [estimate(Load(devices, every)) for devices in DEVICES]
    if as_json:
        console.show_json([one.describe() for one in found])
    else:
        console.show_table(COLUMNS, [one.as_row() for one in found])
