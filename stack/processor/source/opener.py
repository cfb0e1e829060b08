"""Opens the source of a process: its trigger's, those of a pool, or the end of a dispatched worker."""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module

from stack.processor.configuration import Function
from stack.processor.delivery import Delivery, DeliveryQueue, Intake, Report, Source
from stack.processor.loop import LoopSharingQueue
from stack.processor.stats import Count
from stack.processor.status import State
from stack.processor.trigger.registry import FLUSH_INTERVAL, find_kind
from stack.processor.worker_spec import Role, WorkerSpec

Opener = Callable[[Intake, Report], Source]


class PoolSource:
    """Several sources as one: it is ready when all are, and at its end when all are."""

    def __init__(self, openers: Sequence[Opener], intake: Intake, report: Report) -> None:
        self._intake = intake
        self._report = report
        self._lock = threading.Lock()
        self._open = len(openers)
        self._states: list[tuple[State, str]] = [(State.STARTING, "")] * len(openers)
        self._sources = [
            opener(_PoolIntake(self, index), _PoolReport(self, index)) for index, opener in enumerate(openers)
        ]

    def start(self) -> None:
        """Start all."""
        for source in self._sources:
            source.start()

    def flush(self) -> None:
        """Send the outcomes of all."""
        for source in self._sources:
            source.flush()

    def stop(self) -> None:
        """Stop all; the intake is closed when the last has handed over what must be handled."""
        for source in self._sources:
            source.stop()

    def close(self, timeout: float) -> None:
        """Close all, in at most that many seconds each."""
        for source in self._sources:
            source.close(timeout)

    @property
    def is_served(self) -> bool:
        """Return whether there is a worker yet for what any source brings."""
        return self._intake.is_served

    def put(self, index: int, delivery: Delivery) -> None:
        """Hand over what a source brought, and note which it was."""
        delivery.pool_index = index  # type: ignore[attr-defined]
        self._intake.put(delivery)

    def end(self) -> None:
        """Note that a source hands over nothing more."""
        with self._lock:
            self._open -= 1
            if self._open:
                return
        self._intake.close()

    def note(self, index: int, state: State, reason: str) -> None:
        """Note how a source is, and say how all are: as the first that is not ready."""
        with self._lock:
            self._states[index] = (state, reason)
            worst = next((one for one in self._states if one[0] is not State.READY), (State.READY, ""))
        if worst[0] is not State.STARTING:
            self._report(*worst)

    def note_trouble(self, reason: str) -> None:
        """Say what one of the sources cannot see to."""
        self._report.note(reason)

    def count(self, what: Count) -> None:
        """Count for all."""
        self._report.count(what)


class _PoolIntake:
    """Where one of the sources puts what arrives."""

    def __init__(self, pool: PoolSource, index: int) -> None:
        self._pool = pool
        self._index = index
        self.close = pool.end

    @property
    def is_served(self) -> bool:
        """Return whether there is a worker yet."""
        return self._pool.is_served

    def put(self, delivery: Delivery) -> None:
        """Hand over one delivery."""
        self._pool.put(self._index, delivery)


class _PoolReport:
    """What one of the sources tells of itself."""

    def __init__(self, pool: PoolSource, index: int) -> None:
        self._pool = pool
        self._index = index
        self.count, self.note = pool.count, pool.note_trouble

    def __call__(self, state: State, reason: str) -> None:
        """Say how the source is."""
        self._pool.note(self._index, state, reason)


_DISPATCHED = "stack.processor.source.dispatched"


def find_flush_interval(spec: WorkerSpec) -> float:
    """Return for how many seconds outcomes may wait for more of their kind while the handler is busy."""
    return find_kind(spec.trigger).flush_interval if spec.role is Role.WORKER else FLUSH_INTERVAL


def open_queue(spec: WorkerSpec) -> DeliveryQueue | LoopSharingQueue:
    """Return what a sync handler takes its deliveries from: one that runs the source's loop, where it has one."""
    has_loop = spec.role is Role.WORKER and find_kind(spec.trigger).has_loop
    return LoopSharingQueue() if has_loop else DeliveryQueue()


def open_source(spec: WorkerSpec, function: Function, intake: Intake, report: Report) -> Source:
    """Return the source of a process, not started yet."""
    if spec.pool and spec.role is not Role.DISPATCHED:
        return PoolSource([partial(open_source, one, function) for one in spec.pool], intake, report)
    source: Source = import_module(_find_module(spec)).open_source(spec, function, intake, report)
    return source


def preload(specs: tuple[WorkerSpec, ...]) -> None:
    """Import what the sources of these processes need, so that all of them share one copy of it in memory."""
    for spec in specs:
        if spec.pool and spec.role is not Role.DISPATCHED:
            preload(spec.pool)
        else:
            import_module(_find_module(spec))


def _find_module(spec: WorkerSpec) -> str:
    return _DISPATCHED if spec.role is Role.DISPATCHED else find_kind(spec.trigger).source
