"""The processes that a function is made of: one post for each, which the supervisor keeps filled.

A worker usually has a source of its own. Where the source cannot be had more than once (one listening port, one MQTT
session) and there are several workers, a front has the source and lends each message to a worker that is free: N slow
requests on N workers then take the time of one, whatever connections they came on.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from stack.contract import HTTP_PORT
from stack.processor.attributes import ConfigurationError
from stack.processor.clock import Clock
from stack.processor.configuration import Function, Trigger
from stack.processor.crash_file import MOST_DEATHS, CrashFiles
from stack.processor.hand import MEMORY_BYTES, Book, Hand, IdleHand
from stack.processor.meter import Meter
from stack.processor.source.http.door import BACKLOG
from stack.processor.source.kind import check_kind


class Role(Enum):
    """What the process of a post does."""

    WORKER = "worker"
    """Has a source and the handler."""
    FRONT = "front"
    """Has the source, and lends to borrowers."""
    BORROWER = "borrower"
    """Has the handler, and takes from the front."""


@dataclass(frozen=True)
class Post:
    """One process to keep running; its sockets and its memory are made once and outlive the processes that use them."""

    trigger: Trigger
    role: Role
    index: int = 0
    ports: tuple[socket.socket, ...] = field(default=(), repr=False)
    counter: socket.socket | None = field(default=None, repr=False)
    pool: tuple["Post", ...] = field(default=(), repr=False)
    """Where triggers share their workers: one front, which has no process of its own, for each."""
    hand: Hand = field(default_factory=Hand, repr=False)
    meter: Meter = field(default_factory=Meter, repr=False)
    clock: Clock = field(default_factory=Clock, repr=False)

    @property
    def answers_late(self) -> bool:
        """Return whether the process answers itself, while its handler takes too long, whoever waits for that."""
        return self.role is Role.WORKER and bool(self.ports)

    @property
    def title(self) -> str:
        """The post's name in messages."""
        kind = "front" if self.role is Role.FRONT else f"worker {self.index}"
        return f"trigger {self.trigger.name}, {kind}"

    @property
    def logger_name(self) -> str:
        """The name under which Nuclio logs what a handler says here."""
        return f"processor.{self.trigger.kind}.w{self.index}.python.logger"

    def close_ports(self) -> None:
        """Close this process's copies of the ports: they must end when the source that serves them closes its own."""
        for port in (port for post in (self, *self.pool) for port in post.ports):
            port.close()


def plan_posts(function: Function, files: CrashFiles | None = None) -> tuple[Post, ...]:
    """Return the posts of a function, the sockets that they need already listening.

    Raises:
        ConfigurationError: a trigger is of a kind that is not supported, or its address cannot be listened on.
    """
    for trigger in function.triggers:
        check_kind(trigger)
    pools: dict[str, list[Trigger]] = {}
    for trigger in function.triggers:
        pools.setdefault(f"pool {trigger.allocator}" if trigger.allocator else f"own {trigger.name}", []).append(
            trigger
        )
    known = files or CrashFiles(None)
    return tuple(post for triggers in pools.values() for post in _plan_pool(triggers, function, known))


def is_on_amqp(trigger: Trigger) -> bool:
    """Tell whether an mqtt trigger takes the messages of RabbitMQ's own MQTT from an AMQP queue."""
    return trigger.kind == "mqtt" and trigger.url.startswith(("amqp://", "amqps://"))


def _plan_pool(triggers: Sequence[Trigger], function: Function, files: CrashFiles) -> list[Post]:
    """Return the posts of triggers that share their workers; as with Nuclio, the first says how many there are.

    All their sources are in one front, so that a message of any is for whichever worker is free.
    """
    first = triggers[0]
    if len(triggers) == 1:
        return _plan_trigger(first, function, files)
    shared = replace(first, name=first.allocator, kind="", batch=None)
    sources = tuple(Post(trigger, Role.FRONT, ports=_open_ports(trigger), hand=IdleHand()) for trigger in triggers)
    labels = tuple(Post(trigger, Role.FRONT) for trigger in triggers)
    counter = _open_counter()
    borrowers = [Post(shared, Role.BORROWER, index, counter=counter, pool=labels) for index in range(first.workers)]
    return [Post(shared, Role.FRONT, counter=counter, pool=sources, hand=IdleHand()), *borrowers]


def _open_ports(trigger: Trigger) -> tuple[socket.socket, ...]:
    return _listen(trigger) if trigger.kind == "http" else ()


def _plan_trigger(trigger: Trigger, function: Function, files: CrashFiles) -> list[Post]:
    ports = _open_ports(trigger)
    single_source = trigger.kind == "http" or (trigger.kind == "mqtt" and not is_on_amqp(trigger))
    # A worker that may end at any time must not have the only connection to those who wait for an answer.
    # The time that the stack sets for all is long: there the source answers first (HttpSource), which costs no process.
    may_end = function.reloads or (function.has_own_timeout and bool(function.event_timeout))
    is_alone = trigger.workers == 1 and not may_end
    if trigger.kind == "cron":
        # As with Nuclio, one run at a time, whatever numWorkers says.
        return [Post(trigger, Role.WORKER)]
    if is_alone or not single_source:
        hands = _open_hands(trigger, files)
        return [Post(trigger, Role.WORKER, index, ports=ports, hand=hand) for index, hand in enumerate(hands)]
    counter = _open_counter()
    borrowers = [Post(trigger, Role.BORROWER, index, counter=counter) for index in range(trigger.workers)]
    return [Post(trigger, Role.FRONT, ports=ports, counter=counter, hand=IdleHand()), *borrowers]


def _open_hands(trigger: Trigger, files: CrashFiles) -> list[Hand]:
    """Return the hands of a trigger's workers; one of HTTP has no message that could come again."""
    book = Book()
    for mark in files.blamed:
        book.note(mark, f"it was in hand each time that the container ended, {MOST_DEATHS} times or more")
    if trigger.kind == "http":
        return [Hand(book) for _ in range(trigger.workers)]
    return [Hand(book, files.open_memory(MEMORY_BYTES)) for _ in range(trigger.workers)]


def _listen(trigger: Trigger) -> tuple[socket.socket, ...]:
    """Return the trigger's port."""
    host, _, port = trigger.url.rpartition(":")
    if not port.isdigit():
        host, port = trigger.url, str(HTTP_PORT)
    try:
        return (socket.create_server((host, int(port)), backlog=BACKLOG),)
    except OSError as error:
        address = f"{host}:{port}"
        raise ConfigurationError(f"spec.triggers.{trigger.name}.url: cannot listen on {address}: {error}") from None


def _open_counter() -> socket.socket:
    """Return a listening Unix socket whose name the kernel chooses and which leaves nothing on the disk."""
    counter = socket.socket(socket.AF_UNIX)
    counter.bind("")
    counter.listen()
    return counter
