"""What a processor's /metrics tells, and what of it a person wants to know."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from stack.plan.function_health import Handling, read_handling

_PREFIX = "nuclio_processor_"
_SAMPLE = re.compile(rf"^{_PREFIX}(?P<name>\w+)\{{(?P<labels>.*)\}} (?P<value>\S+)$", re.MULTILINE)
_BOUND, _RESULT = re.compile(r'\ble="([^"]+)"'), re.compile(r'\bresult="(\w+)"')
_NAMES = frozenset(
    {
        "handled_events_total",
        "handled_events_duration_seconds_bucket",
        "retried_events_total",
        "dead_lettered_events_total",
    }
)


@dataclass(frozen=True)
class Counters:
    """What was counted since the start; a bucket is a bound in seconds and how many events took no longer."""

    events: float = 0.0
    failures: float = 0.0
    retried: float = 0.0
    dead: float = 0.0
    buckets: tuple[tuple[float, float], ...] = ()

    def __add__(self, other: "Counters") -> "Counters":
        return Counters(
            self.events + other.events,
            self.failures + other.failures,
            self.retried + other.retried,
            self.dead + other.dead,
            _combine(self.buckets, other.buckets, 1),
        )

    def __sub__(self, other: "Counters") -> "Counters":
        return Counters(
            self.events - other.events,
            self.failures - other.failures,
            self.retried - other.retried,
            self.dead - other.dead,
            _combine(self.buckets, other.buckets, -1),
        )

    def quantile(self, share: float) -> float | None:
        """Return the seconds that a share of the events did not exceed, as Prometheus estimates it; None of none."""
        rank = share * (self.buckets[-1][1] if self.buckets else 0.0)
        lower, before = 0.0, 0.0
        for bound, count in self.buckets:
            if rank and count >= rank:
                # Of those beyond the last bound nothing more is known.
                return lower if bound == float("inf") else lower + (bound - lower) * (rank - before) / (count - before)
            lower, before = bound, count
        return None


@dataclass(frozen=True)
class Condition:
    """What a processor tells of itself: the events that it has in hand, and how often something began anew."""

    in_flight: float = 0.0
    reconnects: float = 0.0
    restarts: float = 0.0
    handling: Handling = field(default_factory=Handling)


def read_condition(text: str) -> Condition:
    """Sum a processor's page over its triggers; what it does not tell is 0."""
    sums: dict[str, float] = {}
    for match in _SAMPLE.finditer(text):
        sums[match["name"]] = sums.get(match["name"], 0.0) + float(match["value"])
    return Condition(
        in_flight=sums.get("events_in_flight", 0.0),
        reconnects=sums.get("reconnects_total", 0.0),
        restarts=sums.get("worker_restarts_total", 0.0),
        handling=read_handling(sums),
    )


def read_counters(text: str) -> Counters:
    """Sum a processor's page over its triggers; what it does not tell, such as Nuclio's own retries, is 0."""
    sums: dict[str, float] = {}
    buckets: dict[float, float] = {}
    for match in _SAMPLE.finditer(text):
        name, labels, value = match["name"], match["labels"], match["value"]
        if name not in _NAMES:
            continue
        if bound := _BOUND.search(labels):
            key = float(bound[1].replace("+Inf", "inf"))
            buckets[key] = buckets.get(key, 0.0) + float(value)
        else:
            result = _RESULT.search(labels)
            label = result[1] if result else name
            sums[label] = sums.get(label, 0.0) + float(value)
    failures = sums.get("failure", 0.0)
    return Counters(
        events=sums.get("success", 0.0) + failures,
        failures=failures,
        retried=sums.get("retried_events_total", 0.0),
        dead=sums.get("dead_lettered_events_total", 0.0),
        buckets=tuple(sorted(buckets.items())),
    )


Buckets = Sequence[tuple[float, float]]


def _combine(some: Buckets, others: Buckets, sign: int) -> tuple[tuple[float, float], ...]:
    """Add or take away histograms, which have the same bounds unless one is empty."""
    known = dict(others)
    bounds = [bound for bound, _ in some] or [bound for bound, _ in others]
    mine = dict(some)
    return tuple((bound, mine.get(bound, 0.0) + sign * known.get(bound, 0.0)) for bound in bounds)
