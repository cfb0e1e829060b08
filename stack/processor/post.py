"""The processes that a function is made of: one post for each, which the supervisor keeps filled.

A worker usually has a source of its own. Where the source cannot be had more than once (one listening port, one MQTT
session) and there are several workers, a front has the source and lends each message to a worker that is free: N slow
requests on N workers then take the time of one, whatever connections they came on.
"""

import socket
from dataclasses import dataclass, field
from enum import Enum

from stack.processor.attributes import ConfigurationError
from stack.processor.configuration import Function, Trigger

KINDS = ("http", "mqtt", "rabbit-mq")

_HTTP_BACKLOG = 1024


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
    """One process to keep running; its sockets are opened once and outlive the processes that use them."""

    trigger: Trigger
    role: Role
    index: int = 0
    port: socket.socket | None = field(default=None, repr=False)
    counter: socket.socket | None = field(default=None, repr=False)

    @property
    def title(self) -> str:
        """The post's name in messages."""
        kind = "front" if self.role is Role.FRONT else f"worker {self.index}"
        return f"trigger {self.trigger.name}, {kind}"

    @property
    def logger_name(self) -> str:
        """The name under which Nuclio logs what a handler says here."""
        return f"processor.{self.trigger.kind}.w{self.index}.python.logger"


def plan_posts(function: Function) -> tuple[Post, ...]:
    """Return the posts of a function, the sockets that they need already listening.

    Raises:
        ConfigurationError: a trigger is of a kind that is not supported, or its address cannot be listened on.
    """
    for trigger in function.triggers:
        if trigger.kind not in KINDS:
            raise ConfigurationError(
                f"spec.triggers.{trigger.name}.kind: {trigger.kind!r} is not supported; kinds: {', '.join(KINDS)}"
            )
    return tuple(post for trigger in function.triggers for post in _plan_trigger(trigger))


def is_on_amqp(trigger: Trigger) -> bool:
    """Tell whether an mqtt trigger takes the messages of RabbitMQ's own MQTT from an AMQP queue."""
    return trigger.url.startswith(("amqp://", "amqps://"))


def _plan_trigger(trigger: Trigger) -> list[Post]:
    port = _listen(trigger) if trigger.kind == "http" else None
    single_source = trigger.kind == "http" or (trigger.kind == "mqtt" and not is_on_amqp(trigger))
    if trigger.workers == 1 or not single_source:
        return [Post(trigger, Role.WORKER, index, port=port) for index in range(trigger.workers)]
    counter = _open_counter()
    borrowers = [Post(trigger, Role.BORROWER, index, counter=counter) for index in range(trigger.workers)]
    return [Post(trigger, Role.FRONT, port=port, counter=counter), *borrowers]


def _listen(trigger: Trigger) -> socket.socket:
    host, _, port = trigger.url.rpartition(":")
    if not port.isdigit():
        host, port = trigger.url, "8080"
    try:
        return socket.create_server((host, int(port)), backlog=_HTTP_BACKLOG)
    except OSError as error:
        address = f"{host}:{port}"
        raise ConfigurationError(f"spec.triggers.{trigger.name}.url: cannot listen on {address}: {error}") from None


def _open_counter() -> socket.socket:
    """Return a listening Unix socket whose name the kernel chooses and which leaves nothing on the disk."""
    counter = socket.socket(socket.AF_UNIX)
    counter.bind("")
    counter.listen()
    return counter
