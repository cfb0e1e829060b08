"""What becomes of an MQTT message whose event failed.

With the stack's own broker at hand it goes the way of any queue's messages: kept there, tried again after growing
delays, and at last a dead letter; the MQTT broker may forget it as soon as the other has it. Without, it is tried
again from memory while the MQTT broker, not told that it arrived, keeps it too; and at last it is logged. The broker
delivers it again on the next connection, and says so, by which its attempts go on; a new process counts from the first.
"""

import heapq
import sys
import threading
from itertools import count
from time import monotonic
from typing import Any, Protocol

from stack.contract import ATTEMPTS
from stack.processor.delivery import Failure, Intake, Report, Source
from stack.processor.in_flight import fingerprint_message
from stack.processor.message import TOPIC, AmqpMessage, MqttMessage
from stack.processor.source.mqtt.retry_source import RetryQueueSource
from stack.processor.source.rabbitmq.properties import Properties
from stack.processor.source.rabbitmq.topology import find_delay
from stack.processor.stats import Count
from stack.processor.threads import start_thread

# Bytes of a message that the log shows when it is given up.
_SHOWN = 500
# Messages whose attempts are remembered over a connection that is lost.
_MOST_REMEMBERED = 10_000


class Failed(Protocol):
    """A delivery that failed."""

    message: MqttMessage
    attempts: int

    def acknowledge(self) -> None:
        """Let the MQTT broker forget it."""

    def acknowledge_soon(self) -> None:
        """Do the same from a thread whose source no one has flush afterwards."""

    def resolve_crash(self) -> None:
        """Note that its failure, if it was the death of a worker, is known here."""


class Retries(Source, Protocol):
    """Where failed messages go, and come from when it is time to try them again."""

    def keep(self, delivery: Any, failure: Failure) -> None:
        """See to a delivery that failed."""

    def recall(self, fingerprint: int) -> int:
        """Return how often a message that the broker delivers again has failed, as far as that is known here."""

    def forget(self, fingerprint: int) -> None:
        """Forget how often a message has failed: it is handled."""


class BrokerRetries:
    """Failed messages on the stack's broker."""

    def __init__(self, retry_source: RetryQueueSource) -> None:
        self._retry_source = retry_source
        self.start, self.flush = retry_source.start, retry_source.flush
        self.stop, self.close = retry_source.stop, retry_source.close

    def keep(self, delivery: Failed, failure: Failure) -> None:
        """Keep a message there, and acknowledge it when it is safe."""
        message = _to_amqp(delivery.message, self._retry_source.plan.topology.queue)
        self._retry_source.keep(message, failure, delivery.acknowledge_soon)

    def recall(self, fingerprint: int) -> int:
        """Return 0: what failed is kept with its attempts, and the MQTT broker knows it no more."""
        return 0

    def forget(self, fingerprint: int) -> None:
        """Do nothing: nothing is remembered."""


class MemoryRetries:
    """Failed messages in memory, and with the MQTT broker, which has not heard that they arrived."""

    def __init__(self, retries: int, intake: Intake, report: Report) -> None:
        self._retries = retries
        self._intake = intake
        self._count = report.count
        self._waiting: list[tuple[float, int, Failed]] = []
        self._attempts: dict[int, int] = {}
        self._numbers = count()
        self._changed = threading.Condition()
        self._is_stopped = False

    def start(self) -> None:
        """Wait for failures."""
        start_thread("retries", self._run)

    def flush(self) -> None:
        """Do nothing: nothing is to be sent."""

    def stop(self) -> None:
        """Hand over nothing more; the broker delivers what waits here to the next session."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()
        self._intake.close()

    def close(self, timeout: float) -> None:
        """Do nothing: there is no connection."""

    def keep(self, delivery: Failed, failure: Failure) -> None:
        """Hand a message over again after its delay, or give it up."""
        delivery.attempts += 1
        delivery.resolve_crash()
        fingerprint = fingerprint_message(delivery.message.topic, delivery.message.payload)
        if delivery.attempts > self._retries:
            self.forget(fingerprint)
            self._count(Count.DEAD_LETTERED)
            _give_up(delivery, failure)
            delivery.acknowledge()
            return
        self._remember(fingerprint, delivery.attempts)
        self._count(Count.RETRIED)
        delivery.message.headers[ATTEMPTS] = delivery.attempts
        with self._changed:
            due = monotonic() + find_delay(delivery.attempts)
            heapq.heappush(self._waiting, (due, next(self._numbers), delivery))
            self._changed.notify()

    def recall(self, fingerprint: int) -> int:
        """Return how often a message has failed; of two that are alike, the one that failed last counts."""
        return self._attempts.get(fingerprint, 0)

    def forget(self, fingerprint: int) -> None:
        """Forget how often a message has failed."""
        self._attempts.pop(fingerprint, None)

    def _remember(self, fingerprint: int, attempts: int) -> None:
        self.forget(fingerprint)
        if len(self._attempts) >= _MOST_REMEMBERED:
            self.forget(next(iter(self._attempts)))
        self._attempts[fingerprint] = attempts

    def _run(self) -> None:
        while (delivery := self._take()) is not None:
            self._intake.put(delivery)  # type: ignore[arg-type]

    def _take(self) -> Failed | None:
        """Return the next delivery when it is due; None when nothing more is to be handed over."""
        with self._changed:
            while not self._is_stopped:
                wait = self._waiting[0][0] - monotonic() if self._waiting else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._waiting)[2]
                self._changed.wait(wait)
        return None


def _to_amqp(message: MqttMessage, queue: str) -> AmqpMessage:
    """Return a message as a queue can keep it; sent again, as a dead letter may be, it comes back to that queue."""
    headers = message.headers | {TOPIC: message.topic}
    properties = Properties(headers=headers, content_type=message.content_type or None, timestamp=int(message.received))
    return AmqpMessage("", queue, properties, message.payload)


def _give_up(delivery: Failed, failure: Failure) -> None:
    message = delivery.message
    sys.stderr.write(
        f"given up after {delivery.attempts} attempts: a message on {message.topic}: {failure.error}; "
        f"it was {message.payload[:_SHOWN]!r}\n"
    )
    sys.stderr.flush()
