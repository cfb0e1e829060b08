"""What a processor's /metrics tells."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from stack.plan.trouble import Handling, read_handling

_PREFIX = "nuclio_processor_"
_NAMES = frozenset(
    {
        "handled_events_total",
        "handled_events_duration_seconds_bucket",
        "handled_events_duration_seconds_sum",
        "retried_events_total",
        "dead_lettered_events_total",
    }
)


@dataclass(frozen=True)
class Counters:
    """What was counted since the start; a bucket is a bound in seconds and how many events took no longer.

    `seconds` is how long all events took together; 0 where that is not told.
    """

    events: float = 0.0
    failures: float = 0.0
    retried: float = 0.0
    dead: float = 0.0
    buckets: tuple[tuple[float, float], ...] = ()
    seconds: float = 0.0

    def __add__(self, other: "Counters") -> "Counters":
        return Counters(
            self.events + other.events,
            self.failures + other.failures,
            self.retried + other.retried,
            self.dead + other.dead,
            _combine(self.buckets, other.buckets, sign=1),
            self.seconds + other.seconds,
        )

    def __sub__(self, other: "Counters") -> "Counters":
        return Counters(
            self.events - other.events,
            self.failures - other.failures,
            self.retried - other.retried,
            self.dead - other.dead,
            _combine(self.buckets, other.buckets, sign=-1),
            self.seconds - other.seconds,
        )

    def quantile(self, share: float) -> float | None:
        """Return the seconds that a share of the events did not exceed; None of none.

        It is what Prometheus estimates, but no more than is possible with the time that all events took together: few
        events in a wide bucket would else seem to take as long as its upper bound.
        """
        rank = share * (self.buckets[-1][1] if self.buckets else 0.0)
        lower, before = 0.0, 0.0
        for bound, count in self.buckets:
            if rank and count >= rank:
                # Of those beyond the last bound nothing more is known.
                width = 0.0 if bound == float("inf") else bound - lower
                estimate = lower + width * (rank - before) / (count - before)
                return max(min(estimate, self._find_most(rank)), lower) if self.seconds else estimate
            lower, before = bound, count
        return None

    def _find_most(self, rank: float) -> float:
        """Return what the event of a rank, and so each one above it, can have taken at most, in seconds."""
        place = ceil(rank)
        lower, before, least = 0.0, 0.0, 0.0
        for bound, count in self.buckets:
            least += lower * max(min(count, place - 1) - before, 0.0)
            lower, before = bound, count
        return (self.seconds - least) / (before - place + 1)


@dataclass(frozen=True)
class Condition:
    """What a processor tells of itself: the events that it has in progress, and how often something began again."""

    in_flight: float = 0.0
    reconnects: float = 0.0
    restarts: float = 0.0
    handling: Handling = field(default_factory=Handling)


def read_condition(text: str) -> Condition:
    """Sum a processor's page over its triggers; what it does not tell is 0."""
    sums: dict[str, float] = {}
    for name, sample in _read_samples(text):
        sums[name] = sums.get(name, 0.0) + sample.value
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
    for name, sample in _read_samples(text):
        if name not in _NAMES:
            continue
        if bound := sample.labels.get("le"):
            buckets[float(bound)] = buckets.get(float(bound), 0.0) + sample.value
        else:
            label = sample.labels.get("result", name)
            sums[label] = sums.get(label, 0.0) + sample.value
    failures = sums.get("failure", 0.0)
    return Counters(
        events=sums.get("success", 0.0) + failures,
        failures=failures,
        retried=sums.get("retried_events_total", 0.0),
        dead=sums.get("dead_lettered_events_total", 0.0),
        buckets=tuple(sorted(buckets.items())),
        seconds=sums.get("handled_events_duration_seconds_sum", 0.0),
    )


def _read_samples(text: str) -> Iterator[tuple[str, Sample]]:
    """Yield a processor's figures by their names without the prefix; nothing of a page of something else."""
    with suppress(ValueError):
        for family in text_string_to_metric_families(text):
            yield from ((one.name.removeprefix(_PREFIX), one) for one in family.samples)


Buckets = Sequence[tuple[float, float]]


def _combine(some: Buckets, others: Buckets, *, sign: int) -> tuple[tuple[float, float], ...]:
    """Add or take away histograms, which have the same bounds unless one is empty."""
    known = dict(others)
    bounds = [bound for bound, _ in some] or [bound for bound, _ in others]
    mine = dict(some)
    return tuple((bound, mine.get(bound, 0.0) + sign * known.get(bound, 0.0)) for bound in bounds)
