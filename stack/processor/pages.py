"""What a processor says of itself: `/ready`, `/live` and `/status` on one port, `/metrics` on another."""

import json
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict
from socket import gethostname
from time import monotonic, time

from nuclio_sdk import Logger

from stack.processor.attributes import ConfigurationError
from stack.processor.configuration import Function
from stack.processor.container_usage import read_usage
from stack.processor.health import Page, Pages, PageServer
from stack.processor.metrics import CONTENT_TYPE, Gauges, RecentOutcomes, Total, render_metrics
from stack.processor.processor_stats import ProcessorStats
from stack.processor.stats import Count
from stack.processor.worker_state import WorkerState

# Seconds over which the rate is told; at least so many lie between two of the looks that it is made of.
_WINDOW, _STEP = 60.0, 1.0
# Seconds without a question of the gateway's from which on there is none; for which a stop waits for one at most; and
# in which what the gateway sent before it knew arrives.
_ABSENT, _LONGEST_DRAIN, _UNDER_WAY = 5.0, 2.0, 0.3
# Seconds at one event from which on a worker is told of.
STUCK_SECONDS = 60.0


class Drain:
    """The time for which requests are still taken although the processor stops: until the gateway knows.

    The gateway asks `/ready?gateway` of each container twice a second; a stop waits until it was answered that the
    processor stops, and for what the gateway has sent meanwhile. Where no gateway has asked, nothing is waited for.
    """

    def __init__(self) -> None:
        self._asked = self._told = self._latest = float("-inf")

    @property
    def ends(self) -> float:
        """Return when it is over, in seconds of the monotonic clock; long ago if it has not begun."""
        return self._latest if self._told < 0 else min(self._latest, self._told + _UNDER_WAY)

    def begin(self) -> float:
        """Begin, since the processor is told to stop; return when it is over at the latest."""
        now = monotonic()
        self._latest = now + (_LONGEST_DRAIN if now - self._asked < _ABSENT else 0.0)
        return self._latest

    def note(self) -> None:
        """Note that the gateway asks."""
        self._asked = monotonic()
        if self._latest > 0 and self._told < 0:
            self._told = self._asked


class Reporter:
    """Makes the pages."""

    def __init__(
        self, function: Function, workers: Sequence[WorkerState], find_trouble: Callable[[], str], drain: Drain
    ) -> None:
        self._drain = drain
        self._start = time()
        self._function = function
        self._workers = workers
        self._find_trouble = find_trouble
        self._total = Total([worker.spec.stats for worker in workers])
        self._recent = RecentOutcomes()
        self._looks: deque[tuple[float, float]] = deque([(monotonic(), 0.0)])
        self.health_pages: Pages = {
            b"/ready": self._tell_ready,
            b"/ready?gateway": self._tell_gateway,
            b"/live": self._tell_live,
            b"/status": self._tell,
        }
        self.metric_pages: Pages = {b"/metrics": self._tell_metrics}

    def measure(self) -> ProcessorStats:
        """Return the state of now."""
        now = monotonic()
        total = self._total
        events = total.successes + total.failures
        busy = [now - began for worker in self._workers if (began := worker.spec.timer.read())]
        recent = self._recent.note(int(events), int(total.failures))
        return ProcessorStats(
            reason=self._find_trouble(),
            failing_seconds=max((worker.failing_seconds(now) for worker in self._workers), default=0.0),
            refusal=next((worker.notice for worker in self._workers if worker.notice), ""),
            events=int(events),
            failures=int(total.failures),
            rate=self._look(now, events),
            in_flight=int(total.in_flight),
            busy_seconds=round(max(busy, default=0.0), 1),
            stuck_workers=sum(seconds > STUCK_SECONDS for seconds in busy),
            recent_events=recent.events,
            recent_failures=recent.failures,
            retried=int(total.count(Count.RETRIED)),
            dead_lettered=int(total.count(Count.DEAD_LETTERED)),
            reconnects=int(total.count(Count.RECONNECTED)),
            restarts=int(total.count(Count.RESTARTED)),
        )

    def _look(self, now: float, events: float) -> float:
        """Return the rate, and keep this look for later ones: the container's health check looks every few seconds."""
        looks = self._looks
        while len(looks) > 1 and looks[1][0] < now - _WINDOW:
            looks.popleft()
        then, before = looks[0]
        if now - looks[-1][0] >= _STEP:
            looks.append((now, events))
        return (events - before) / max(now - then, _STEP)

    def _tell_ready(self) -> Page:
        stats = self.measure()
        trouble = {"error": stats.reason, "failing_seconds": round(stats.failing_seconds, 1)}
        return _as_json(503, trouble) if stats.reason else _as_json(200, {})

    def _tell_gateway(self) -> Page:
        """Say the same to the gateway, by as little work as can be."""
        self._drain.note()
        return _as_json(503 if self._find_trouble() else 200, {})

    def _tell_live(self) -> Page:
        return _as_json(200, {})

    def _tell(self) -> Page:
        return _as_json(200, asdict(self.measure()))

    def _tell_metrics(self) -> Page:
        function = self._function
        instance = os.environ.get("NUCLIO_FUNCTION_INSTANCE") or gethostname()
        stats = self.measure()
        recent = (stats.recent_events, stats.recent_failures)
        gauges = Gauges(stats.busy_seconds, stats.stuck_workers, *recent, self._start, read_usage())
        text = render_metrics(function, [worker.spec for worker in self._workers], instance=instance, gauges=gauges)
        return Page(200, CONTENT_TYPE, text.encode())


def open_servers(reporter: Reporter, logger: Logger, *, health_port: int, metrics_port: int) -> list[PageServer]:
    """Return the servers of both ports; without that of the figures if its port is taken.

    Raises:
        ConfigurationError: the health port cannot be listened on.
    """
    servers = [PageServer(health_port, reporter.health_pages)]
    try:
        servers.append(PageServer(metrics_port, reporter.metric_pages))
    except ConfigurationError as error:
        # A function does its work without being measured.
        logger.warn(str(error))
    return servers


def _as_json(status: int, document: object) -> Page:
    return Page(status, "application/json", json.dumps(document).encode())
