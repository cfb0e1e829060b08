"""One message of a session on its way through a worker."""

from typing import Protocol

from stack.contract import ATTEMPTS
from stack.processor.delivery import Failure
from stack.processor.in_flight import InFlight, fingerprint_message
from stack.processor.response import Response
from stack.processor.source.mqtt.connection import Publish, read_message
from stack.processor.source.mqtt.retries import Retries


class DeliveringSource(Protocol):
    """What a delivery needs of the source that it came from; a session is a number, another for each connection."""

    in_flight: InFlight
    retries: Retries

    def note_claim(self) -> None:
        """Note that a message waits no longer."""

    def is_current(self, session: int) -> bool:
        """Return whether a connection is the one that there is now, and its messages are still to be handled."""

    def acknowledge(self, mid: int, qos: int, session: int) -> None:
        """Note that a message is to be acknowledged with the next flush."""

    def acknowledge_soon(self) -> None:
        """Send what is to be acknowledged."""


class MqttDelivery:
    """One message on its way through a worker."""

    __slots__ = (
        "_crash_fingerprint",
        "_fingerprint",
        "_is_again",
        "_mid",
        "_qos",
        "_session",
        "_source",
        "attempts",
        "message",
        "pool_index",
        "release",
    )

    def __init__(self, source: DeliveringSource, publish: Publish, session: int) -> None:
        self.message = read_message(publish)
        self.attempts = 0
        self._source = source
        self.release = source.in_flight.release
        self._mid, self._qos = publish.mid, publish.qos
        self._is_again, self._session = publish.is_again, session
        self._crash_fingerprint = self._fingerprint = 0

    def claim(self) -> bool:
        """Return whether it is to be handled.

        It is not when its connection is gone, since the broker sends it again, nor when a worker died of it.
        """
        source = self._source
        if not self.attempts:
            source.note_claim()
        if self._qos and not source.is_current(self._session):
            return False
        fingerprint = fingerprint_message(self.message.topic, self.message.payload)
        self._recall_attempts(fingerprint)
        if self._is_again and (reason := source.in_flight.take_crash(fingerprint)):
            self._crash_fingerprint = fingerprint
            source.retries.keep(self, Failure(reason, ""))
            return False
        self._fingerprint = fingerprint
        return True

    @property
    def is_stale(self) -> bool:
        """Return whether the broker sends the message again."""
        return bool(self._qos) and not self._source.is_current(self._session)

    def hold(self) -> None:
        """Note that the handler gets the message."""
        self._source.in_flight.hold(self._fingerprint)

    def _recall_attempts(self, fingerprint: int) -> None:
        """Go on counting where the broker delivers again, on another connection, what has failed here."""
        if self._is_again and not self.attempts and (attempts := self._source.retries.recall(fingerprint)):
            self.attempts = self.message.headers[ATTEMPTS] = attempts

    def done(self, response: Response) -> None:
        """Have the message acknowledged."""
        self._source.in_flight.release()
        if self.attempts:
            self._source.retries.forget(fingerprint_message(self.message.topic, self.message.payload))
        self.acknowledge()

    def failed(self, response: Response, failure: Failure) -> None:
        """Have the message tried again, or kept as a dead letter."""
        self._source.in_flight.release()
        self._source.retries.keep(self, failure)

    def resolve_crash(self) -> None:
        """Note that the worker that tries the message again knows of the worker that died of it."""
        if self._crash_fingerprint:
            self._source.in_flight.resolve_crash(self._crash_fingerprint)
            self._crash_fingerprint = 0

    def acknowledge(self) -> None:
        """Let the broker forget the message."""
        self.resolve_crash()
        if self._qos:
            self._source.acknowledge(self._mid, self._qos, self._session)

    def acknowledge_soon(self) -> None:
        """Do the same from another thread than the worker's, which may have nothing else to do and so not flush."""
        self.acknowledge()
        self._source.acknowledge_soon()
