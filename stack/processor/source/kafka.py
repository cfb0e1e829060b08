"""The room for messages of Kafka topics (Nuclio's kind kafka-cluster); nobody lives here yet."""

from typing import NoReturn

from stack.processor.configuration import Trigger
from stack.processor.source.kind import refuse_kind


def open_kafka(trigger: Trigger) -> NoReturn:
    """Refuse: a consumer group would read the attributes `brokers`, `topics` and `consumerGroup`."""
    refuse_kind(trigger)
