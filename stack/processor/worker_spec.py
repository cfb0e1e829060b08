"""The processes that a function is made of: one specification for each, which the supervisor keeps running.

A worker usually has a source of its own. Where the source cannot be had more than once (one listening port, one MQTT
session) and there are several workers, a dispatcher has the source and hands each message to a worker that is free: N
slow requests on N workers then take the time of one, on whichever connections they came.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import count

from stack.contract import HTTP_PORT, PYTHON
from stack.processor.attributes import ConfigurationError
from stack.processor.configuration import Function, Trigger
from stack.processor.in_flight import MEMORY_BYTES, MOST_DEATHS, CrashFiles, CrashLedger, InFlight, NothingInFlight
from stack.processor.runtime.registry import find_runtime
from stack.processor.stats import EventTimer, WorkerStats
from stack.processor.trigger.registry import find_kind

# Connections that may wait to be accepted at an http trigger's port.
BACKLOG = 1024


class Role(Enum):
    """What a process does."""

    WORKER = "worker"
    """Has a source and the handler."""
    DISPATCHER = "dispatcher"
    """Has the source, and hands out its messages."""
    DISPATCHED = "dispatched"
    """Has the handler, and takes messages from the dispatcher."""


@dataclass(frozen=True)
class WorkerSpec:
    """One process to keep running; its sockets and its memory are made once and outlive the processes that use them."""

    trigger: Trigger
    role: Role
    index: int = 0
    ports: tuple[socket.socket, ...] = field(default=(), repr=False)
    listener: socket.socket | None = field(default=None, repr=False)
    pool: tuple["WorkerSpec", ...] = field(default=(), repr=False)
    """Where triggers share their workers: one dispatcher, which has no process of its own, for each."""
    runtime: str = PYTHON
    debug_port: int = 0
    """Where it listens for a debugger; nowhere where it is 0."""
    in_flight: InFlight = field(default_factory=InFlight, repr=False)
    stats: WorkerStats = field(default_factory=WorkerStats, repr=False)
    timer: EventTimer = field(default_factory=EventTimer, repr=False)

    @property
    def answers_late(self) -> bool:
        """Return whether the process answers itself, while its handler takes too long, those who wait for that."""
        return self.role is Role.WORKER and bool(self.ports)

    @property
    def title(self) -> str:
        """The worker's name in messages."""
        kind = "dispatcher" if self.role is Role.DISPATCHER else f"worker {self.index}"
        return f"trigger {self.trigger.name}, {kind}"

    @property
    def logger_name(self) -> str:
        """The name under which Nuclio logs what a handler says here."""
        return f"processor.{self.trigger.kind}.w{self.index}.{self.runtime}.logger"

    @property
    def takes_requests(self) -> bool:
        """Return whether its process listens to clients, the gateway among them."""
        return any(spec.ports for spec in (self, *self.pool))

    def close_ports(self) -> None:
        """Close this process's copies of the ports: they must end when the source that serves them closes its own."""
        for port in (port for spec in (self, *self.pool) for port in spec.ports):
            port.close()

    def close_listener(self) -> None:
        """Close this process's copy of the socket at which the dispatcher takes its workers."""
        if self.listener:
            self.listener.close()


def plan_workers(function: Function, files: CrashFiles | None = None) -> tuple[WorkerSpec, ...]:
    """Return the workers of a function, whose ports are taken already.

    Raises:
        ConfigurationError: the runtime or the kind of a trigger is not supported, or an address cannot be listened on.
    """
    # Loaded here, both are shared by all processes that are forked.
    find_runtime(function.runtime)
    for trigger in function.triggers:
        find_kind(trigger)
    pools: dict[str, list[Trigger]] = {}
    for trigger in function.triggers:
        pools.setdefault(f"pool {trigger.allocator}" if trigger.allocator else f"own {trigger.name}", []).append(
            trigger
        )
    known = files or CrashFiles(None)
    specs = (spec for triggers in pools.values() for spec in _plan_pool(triggers, function, known))
    ports = count(function.debug_port)
    debugged = function.debug_port > 0
    return tuple(
        replace(
            spec,
            runtime=function.runtime,
            debug_port=next(ports) if debugged and spec.role is not Role.DISPATCHER else 0,
        )
        for spec in specs
    )


def _plan_pool(triggers: Sequence[Trigger], function: Function, files: CrashFiles) -> list[WorkerSpec]:
    """Return the workers of triggers that share their workers; as with Nuclio, the first says how many there are.

    All their sources are in one dispatcher, so that a message of any is for whichever worker is free.
    """
    first = triggers[0]
    if len(triggers) == 1:
        return _plan_trigger(replace(first, allocator=""), function, files)
    triggers = [replace(trigger, workers=first.workers) for trigger in triggers]
    shared = replace(first, name=first.allocator, kind="", batch=None)
    sources = tuple(
        WorkerSpec(trigger, Role.DISPATCHER, ports=_open_ports(trigger), in_flight=NothingInFlight())
        for trigger in triggers
    )
    labels = tuple(WorkerSpec(trigger, Role.DISPATCHER) for trigger in triggers)
    listener = _open_listener()
    dispatched = [
        WorkerSpec(shared, Role.DISPATCHED, index, listener=listener, pool=labels) for index in range(first.workers)
    ]
    return [
        WorkerSpec(shared, Role.DISPATCHER, listener=listener, pool=sources, in_flight=NothingInFlight()),
        *dispatched,
    ]


def _open_ports(trigger: Trigger) -> tuple[socket.socket, ...]:
    return _listen(trigger) if find_kind(trigger).has_port else ()


def _plan_trigger(trigger: Trigger, function: Function, files: CrashFiles) -> list[WorkerSpec]:
    kind, ports = find_kind(trigger), _open_ports(trigger)
    # A worker that may end at any time must not have the only connection to those who wait for an answer.
    # The time that the stack sets for all is long: there the source answers first (HttpSource), which costs no process.
    may_end = function.reloads or (function.has_own_timeout and bool(function.event_timeout))
    is_alone = trigger.workers == 1 and not may_end
    if kind.is_serial:
        return [WorkerSpec(trigger, Role.WORKER)]
    if is_alone or not kind.is_single:
        memories = _open_in_flight(trigger, files)
        return [
            WorkerSpec(trigger, Role.WORKER, index, ports=ports, in_flight=in_flight)
            for index, in_flight in enumerate(memories)
        ]
    listener = _open_listener()
    dispatched = [WorkerSpec(trigger, Role.DISPATCHED, index, listener=listener) for index in range(trigger.workers)]
    return [
        WorkerSpec(trigger, Role.DISPATCHER, ports=ports, listener=listener, in_flight=NothingInFlight()),
        *dispatched,
    ]


def _open_in_flight(trigger: Trigger, files: CrashFiles) -> list[InFlight]:
    """Return where each worker notes what is in flight; where clients wait, no message comes again by itself."""
    ledger = CrashLedger()
    for fingerprint in files.attributed:
        ledger.attribute(
            fingerprint, f"it was being handled each time that the container ended, {MOST_DEATHS} times or more"
        )
    if find_kind(trigger).has_port:
        return [InFlight(ledger) for _ in range(trigger.workers)]
    return [InFlight(ledger, files.open_memory(MEMORY_BYTES)) for _ in range(trigger.workers)]


def _listen(trigger: Trigger) -> tuple[socket.socket, ...]:
    """Return the trigger's port."""
    host, _, port = trigger.url.rpartition(":")
    if not port.isdigit():
        host, port = trigger.url, str(HTTP_PORT)
    try:
        return (_bind(host, int(port)),)
    except OSError as error:
        address = f"{host}:{port}"
        raise ConfigurationError(f"spec.triggers.{trigger.name}.url: cannot listen on {address}: {error}") from None


def _bind(host: str, port: int) -> socket.socket:
    """Take a port; its source listens when there is a worker, since no client is to wait before."""
    bound = socket.socket()
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def _open_listener() -> socket.socket:
    """Return a listening Unix socket whose name the kernel chooses and which leaves nothing on the disk."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("")
    listener.listen()
    return listener
