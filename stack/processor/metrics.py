"""The figures of all processes as Prometheus reads them: its text format, version 0.0.4.

Names and labels are Nuclio's where it has the metric. The format is written here, since prometheus-client would cost
each function 8 MiB of memory and its start 0.07 s, and could not sum over processes without files.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby
from typing import NamedTuple

from stack.processor.configuration import Function, Trigger
from stack.processor.container_usage import ContainerUsage
from stack.processor.stats import BOUNDS, Count, WorkerStats
from stack.processor.worker_spec import Role, WorkerSpec

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_PREFIX = "nuclio_processor_"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
# A label's name and value, in the order in which they are written.
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Total:
    """What all processes of some workers have counted, together."""

    stats: Sequence[WorkerStats]

    def count(self, *what: Count) -> float:
        """Return the sum of some counts."""
        return sum(stats.read(one) for stats in self.stats for one in what)

    @property
    def handled(self) -> float:
        """The events that a handler was done with, well or not."""
        return sum(sum(stats.buckets) for stats in self.stats)

    @property
    def failures(self) -> float:
        """The events that failed, whether a handler was given them or not."""
        return self.count(Count.FAILED, Count.LOST, Count.REFUSED)

    @property
    def successes(self) -> float:
        """The events that a handler handled well."""
        return self.handled - self.count(Count.FAILED)

    @property
    def in_flight(self) -> float:
        """The events that handlers have in flight."""
        return sum(stats.in_flight for stats in self.stats)

    @property
    def buckets(self) -> list[float]:
        """The events by the time that they took, as `BOUNDS` says."""
        return [sum(column) for column in zip(*(stats.buckets for stats in self.stats), strict=True)]


@dataclass(frozen=True)
class _Metric:
    name: str
    kind: str
    help: str
    rows: Iterable[tuple[str, Labels, float]]
    """Of each sample: what its name has behind the metric's, its labels, its value."""


@dataclass(frozen=True)
class Gauges:
    """What is told of the whole container: its longest event in flight, how its last events went, when it began."""

    busy_seconds: float = 0.0
    stuck_workers: int = 0
    recent_events: int = 0
    recent_failures: int = 0
    start_time: float = 0.0
    usage: ContainerUsage = field(default_factory=ContainerUsage)


def render_metrics(function: Function, specs: Sequence[WorkerSpec], *, instance: str, gauges: Gauges) -> str:
    """Return the page of a function's figures."""
    metrics = [*_measure(function, specs, instance), *_measure_whole(function, gauges, instance)]
    return "".join(_write(metric) for metric in metrics)


def _write(metric: _Metric) -> str:
    name = _PREFIX + metric.name
    lines = [f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.kind}"]
    for suffix, labels, value in metric.rows:
        pairs = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels)
        lines.append(f"{name}{suffix}{{{pairs}}} {value!r}")
    return "\n".join(lines) + "\n"


def _measure(function: Function, specs: Sequence[WorkerSpec], instance: str) -> Iterator[_Metric]:
    groups = {trigger: list(group) for trigger, group in groupby(specs, key=lambda spec: spec.trigger)}
    common = {trigger: _label(function, trigger, instance) for trigger in groups}
    totals = {common[trigger]: Total([spec.stats for spec in group]) for trigger, group in groups.items()}
    # A dispatched worker is given what its dispatcher has allotted already.
    allocated = {
        common[trigger]: Total([spec.stats for spec in group if spec.role is not Role.DISPATCHED])
        for trigger, group in groups.items()
    }
    workers = [
        ((*common[spec.trigger], ("worker_index", str(spec.index))), spec.stats)
        for spec in specs
        if spec.role is not Role.DISPATCHER
    ]
    yield from _measure_events(totals, workers)
    yield from _measure_allocation(allocated)
    yield from _measure_more(totals)


def _label(function: Function, trigger: Trigger, instance: str) -> Labels:
    return (
        ("instance", instance),
        ("trigger_kind", trigger.kind),
        ("trigger_id", trigger.name),
        ("namespace", function.namespace),
        ("function", function.name),
        ("project", function.project),
    )


def _measure_events(totals: dict[Labels, Total], workers: list[tuple[Labels, WorkerStats]]) -> Iterator[_Metric]:
    handled = [
        ("", (*labels, ("result", result)), value)
        for labels, total in totals.items()
        for result, value in (("success", total.successes), ("failure", total.failures))
    ]
    yield _Metric("handled_events_total", "counter", "Events, by what became of them.", handled)
    name = "handled_events_duration_milliseconds"
    sums = [("", labels, stats.seconds * 1000) for labels, stats in workers]
    yield _Metric(f"{name}_sum", "counter", "Time that the handler took.", sums)
    counts = [("", labels, sum(stats.buckets)) for labels, stats in workers]
    yield _Metric(f"{name}_count", "counter", "Events that the handler was done with.", counts)


def _measure_allocation(totals: dict[Labels, Total]) -> Iterator[_Metric]:
    results = {
        "success_immediate": Count.IMMEDIATE,
        "success_after_wait": Count.WAITED,
        "error_timeout": Count.REFUSED,
    }
    rows = [
        ("", (*labels, ("result", result)), total.count(what))
        for labels, total in totals.items()
        for result, what in results.items()
    ]
    yield _Metric("worker_allocation_total", "counter", "Events, by how they got a worker.", rows)
    name = "worker_allocation"
    counts = [("", labels, total.count(*results.values())) for labels, total in totals.items()]
    yield _Metric(f"{name}_count", "counter", "Events that asked for a worker.", counts)
    waits = [("", labels, sum(one.wait_seconds for one in total.stats) * 1000) for labels, total in totals.items()]
    yield _Metric(f"{name}_wait_duration_milliseconds_sum", "counter", "Time that events waited for a worker.", waits)
    free = [("", labels, sum(one.free for one in total.stats)) for labels, total in totals.items()]
    yield _Metric(
        f"{name}_workers_available_percentage", "counter", "Per cent of workers free, summed over events.", free
    )


def _measure_more(totals: dict[Labels, Total]) -> Iterator[_Metric]:
    """Measure what Nuclio does not."""
    rows = [row for labels, total in totals.items() for row in _spread(labels, total)]
    yield _Metric("handled_events_duration_seconds", "histogram", "Time that the handler took.", rows)
    in_flight = [("", labels, total.in_flight) for labels, total in totals.items()]
    yield _Metric("events_in_flight", "gauge", "Events that are being handled.", in_flight)
    counters = {
        "retried_events_total": (Count.RETRIED, "Failed events that will be tried again."),
        "dead_lettered_events_total": (Count.DEAD_LETTERED, "Failed events that were kept as dead letters."),
        "reconnects_total": (Count.RECONNECTED, "Connections to a broker that came back."),
        "worker_restarts_total": (Count.RESTARTED, "Processes that were replaced."),
    }
    for name, (what, help_) in counters.items():
        yield _Metric(name, "counter", help_, [("", labels, total.count(what)) for labels, total in totals.items()])


def _measure_whole(function: Function, gauges: Gauges, instance: str) -> Iterator[_Metric]:
    """Measure what is the container's, and not one trigger's."""
    labels = (("instance", instance), ("namespace", function.namespace), ("function", function.name))
    told = {
        "busy_seconds": (gauges.busy_seconds, "How long the longest event being handled has taken so far."),
        "stuck_workers": (float(gauges.stuck_workers), "Workers at one event for more than a minute."),
        "recent_events": (float(gauges.recent_events), "The last events: fifty, or a little more."),
        "recent_failures": (float(gauges.recent_failures), "How many of the last events failed."),
        "memory_bytes": (gauges.usage.memory_bytes, "Memory of the container, the file cache left out."),
        "start_time_seconds": (gauges.start_time, "When the container's process began, in seconds since 1970."),
    }
    for name, (value, help_) in told.items():
        yield _Metric(name, "gauge", help_, [("", labels, value)])
    seconds = [("", labels, gauges.usage.cpu_seconds)]
    yield _Metric("cpu_seconds_total", "counter", "Time that processors have worked for the container.", seconds)


def _spread(labels: Labels, total: Total) -> Iterator[tuple[str, Labels, float]]:
    """Yield the samples of one histogram."""
    bounds = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
    buckets = list(accumulate(total.buckets))
    for bound, value in zip(bounds, buckets, strict=True):
        yield "_bucket", (*labels, ("le", bound)), value
    yield "_sum", labels, sum(stats.seconds for stats in total.stats)
    yield "_count", labels, buckets[-1]


# How many of the last events count; more where many come between two looks.
_COUNTED = 50


class Outcomes(NamedTuple):
    """A number of events, and how many of them failed."""

    events: int
    failures: int


class RecentOutcomes:
    """The counts of a few looks, the oldest of them fifty events ago."""

    def __init__(self) -> None:
        self._looks: deque[Outcomes] = deque([Outcomes(0, 0)])

    def note(self, events: int, failures: int) -> Outcomes:
        """Keep what was counted by now since the start; return what the last events came to."""
        looks = self._looks
        if events != looks[-1].events:
            looks.append(Outcomes(events, failures))
        while len(looks) > 1 and looks[1].events <= events - _COUNTED:
            looks.popleft()
        return Outcomes(events - looks[0].events, failures - looks[0].failures)
