"""What becomes of a message whose event failed: tried again after growing delays, then kept as a dead letter.

A copy goes to a queue whose messages expire, after the delay, into the queue that they came from; so messages behind
it are not held up, and the count of attempts, being in the copy's headers, outlives processor and broker. After the
last attempt the copy goes to the queue of dead letters. The original is acknowledged only when the broker has
confirmed the copy.
"""

import time
from collections.abc import Mapping
from typing import Any

from pika import BasicProperties

from stack.processor.attributes import Attributes, ConfigurationError
from stack.processor.delivery import Failure
from stack.processor.message import AmqpMessage
from stack.processor.source.rabbitmq.topology import QUEUE_TYPE
from stack.record import dataclass

ATTEMPTS = "x-nuclio-attempts"
EXCHANGE = "x-nuclio-exchange"
ROUTING_KEY = "x-nuclio-routing-key"
FUNCTION = "x-nuclio-function"
ERROR = "x-nuclio-error"
TRACEBACK = "x-nuclio-traceback"
FIRST_FAILED = "x-nuclio-first-failed"
LAST_FAILED = "x-nuclio-last-failed"

# The broker writes these when a message expires, and how often it was delivered; an author's CC and BCC would send each
# copy to other queues again.
_DELIVERIES = {"x-delivery-count", "x-acquired-count"}
_DEATHS = frozenset(
    ("x-death", *(f"x-{which}-death-{what}" for which in ("first", "last") for what in ("exchange", "queue", "reason")))
)
_NOT_COPIED = _DEATHS | _DELIVERIES | {"CC", "BCC"}
# Not for the handler: the event's path has them.
_HIDDEN = _DEATHS | {EXCHANGE, ROUTING_KEY}

_FIRST_DELAY, _FACTOR, _LONGEST_DELAY = 1.0, 5, 600.0
_PERSISTENT = 2


@dataclass(frozen=True)
class Policy:
    """What to do with a failed message."""

    action: str
    """`retry`, `ack` (forget it) or `nack` (refuse it, for the queue's own dead-letter exchange if it has one)."""
    requeue: bool
    retries: int


@dataclass(frozen=True)
class Copy:
    """A message as it goes to a queue of retries, or of dead letters if there is no delay; the delay is in seconds."""

    queue: str
    delay: float
    body: bytes
    properties: Any

    def arguments(self, queue_type: str) -> dict[str, Any]:
        """Return what the queue is declared with.

        A quorum queue lets go of a message that expired when the queue which it goes back to has confirmed it.
        """
        arguments: dict[str, Any] = {QUEUE_TYPE: queue_type} if queue_type else {}
        if not self.delay:
            return arguments
        source = self.queue.rpartition(".retry.")[0]
        arguments |= {
            "x-message-ttl": round(self.delay * 1000),
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": source,
        }
        if queue_type == "quorum":
            arguments |= {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
        return arguments


def read_policy(attributes: Attributes) -> Policy:
    """Read a trigger's attributes; onError and requeueOnError mean what newer Nuclio means by them."""
    requeue = attributes.flag("requeueOnError", False)
    action = attributes.text("onError").lower() or ("nack" if requeue else "retry")
    if action not in ("ack", "nack", "retry"):
        raise ConfigurationError(f"{attributes.path}.onError: should be ack, nack or retry, not {action!r}")
    return Policy(action, requeue, attributes.integer("maxRetries", 3))


def restore_origin(exchange: str, routing_key: str, properties: Any, body: bytes) -> AmqpMessage:
    """Return a message as it was before it was retried, or sent again: where it was published, without our own notes.

    The headers that tell of its failures stay.
    """
    headers = properties.headers
    if headers and EXCHANGE in headers:
        exchange, routing_key = headers.get(EXCHANGE, exchange), headers.get(ROUTING_KEY, routing_key)
        properties.headers = {name: value for name, value in headers.items() if name not in _HIDDEN}
    return AmqpMessage(exchange, routing_key, properties, body)


def copy_message(message: AmqpMessage, failure: Failure, *, queue: str, retries: int, function: str) -> Copy:
    """Return the copy of a failed message, and where it goes."""
    attempts = _count_attempts(message.properties.headers) + 1
    dead = attempts > retries
    delay = 0.0 if dead else find_delay(attempts)
    return Copy(
        queue=f"{queue}.dead" if dead else f"{queue}.retry.{round(delay * 1000)}ms",
        delay=delay,
        body=message.body,
        properties=_copy_properties(message, _describe(message, failure, attempts=attempts, function=function)),
    )


def find_delay(attempts: int) -> float:
    """Return the seconds to wait after so many failed attempts."""
    return min(_LONGEST_DELAY, _FIRST_DELAY * float(_FACTOR ** (attempts - 1)))


def _count_attempts(headers: Mapping[str, Any] | None) -> int:
    count = (headers or {}).get(ATTEMPTS, 0)
    return count if isinstance(count, int) else 0


def _describe(message: AmqpMessage, failure: Failure, *, attempts: int, function: str) -> dict[str, Any]:
    """Return the headers of a copy."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    headers = {name: value for name, value in (message.properties.headers or {}).items() if name not in _NOT_COPIED}
    return {
        **headers,
        ATTEMPTS: attempts,
        EXCHANGE: message.exchange,
        ROUTING_KEY: message.routing_key,
        FUNCTION: function,
        ERROR: failure.error,
        TRACEBACK: failure.origin,
        FIRST_FAILED: headers.get(FIRST_FAILED, now),
        LAST_FAILED: now,
    }


def _copy_properties(message: AmqpMessage, headers: dict[str, Any]) -> Any:
    """Return the properties of a copy.

    The original's `expiration` would end the copy before its time, and its `user_id` must be the publisher's own, or
    the broker closes the channel.
    """
    old = message.properties
    return BasicProperties(
        content_type=old.content_type,
        content_encoding=old.content_encoding,
        headers=headers,
        delivery_mode=_PERSISTENT,
        priority=old.priority,
        correlation_id=old.correlation_id,
        reply_to=old.reply_to,
        message_id=old.message_id,
        timestamp=old.timestamp,
        type=old.type,
        app_id=old.app_id,
        cluster_id=old.cluster_id,
    )
