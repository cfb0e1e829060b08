"""The room for messages of NATS subjects (Nuclio's kind nats); nobody lives here yet."""

from typing import NoReturn

from stack.processor.configuration import Trigger
from stack.processor.source.kind import refuse_kind


def open_nats(trigger: Trigger) -> NoReturn:
    """Refuse: a session would read the attributes `topic` and `queueName`, and the URL nats://host:4222."""
    refuse_kind(trigger)
