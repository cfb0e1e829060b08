"""What becomes of a message whose event failed: tried again after growing delays, then kept as a dead letter.

A copy goes to a queue whose messages expire, after the delay, into the queue that they came from; so messages behind
it are not held up, and the count of attempts, being in the copy's headers, outlives processor and broker. After the
last attempt the copy goes to the queue of dead letters. The original is acknowledged only when the broker has
confirmed the copy.
"""

from dataclasses import dataclass
from typing import Any

from stack.contract import DEAD, RETRY, name_retry_queue
from stack.processor.attributes import Attributes, ConfigurationError
from stack.processor.delivery import Failure
from stack.processor.message import AmqpMessage
from stack.processor.source.rabbitmq.headers import read_origin, strip_notes, write_notes
from stack.processor.source.rabbitmq.topology import QUEUE_TYPE

_FIRST_DELAY, _FACTOR, _LONGEST_DELAY = 1.0, 5, 600.0
# Attempts after which the delay is the longest anyway.
_STEPS = 8


@dataclass(frozen=True)
class Policy:
    """What to do with a failed message."""

    action: str
    """`retry`, `ack` (forget it) or `nack` (refuse it, for the queue's own dead-letter exchange if it has one)."""
    requeue: bool
    retries: int


@dataclass(frozen=True)
class RetryMessage:
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
        source = self.queue.rpartition(RETRY)[0]
        arguments |= {
            "x-message-ttl": round(self.delay * 1000),
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": source,
        }
        if queue_type == "quorum":
            arguments |= {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
        return arguments


@dataclass(frozen=True)
class RetryPlan:
    """What copies are made with: the queue of the originals, and the function that they failed in."""

    queue: str
    retries: int
    function: str
    key: bytes
    """What the copies are signed with."""


def read_policy(attributes: Attributes) -> Policy:
    """Read a trigger's attributes; onError and requeueOnError mean what newer Nuclio means by them."""
    requeue = attributes.flag("requeueOnError", False)
    action = attributes.text("onError").lower() or ("nack" if requeue else "retry")
    if action not in ("ack", "nack", "retry"):
        raise ConfigurationError(f"{attributes.path}.onError: should be ack, nack or retry, not {action!r}")
    return Policy(action, requeue, attributes.integer("maxRetries", 3))


def restore_origin(message: AmqpMessage, plan: RetryPlan) -> AmqpMessage:
    """Return a message as it was before it was retried, or sent again: where it was published, without our own notes.

    The headers that tell of its failures stay, if they are ours; what others write under our names is left out.
    """
    properties = message.properties
    origin = read_origin(message, plan.queue, plan.key)
    properties.headers = strip_notes(properties.headers, is_ours=origin is not None)
    if origin is None:
        return message
    return message._replace(exchange=origin.exchange, routing_key=origin.routing_key, attempts=origin.attempts)


def build_retry(message: AmqpMessage, failure: Failure, plan: RetryPlan, *, is_bare: bool = False) -> RetryMessage:
    """Return the copy of a failed message, and where it goes.

    A bare copy has none of the original's properties, for a broker that refuses them.
    """
    attempts = max(0, message.attempts) + 1
    dead = is_last(message, plan)
    delay = 0.0 if dead else find_delay(attempts)
    properties = write_notes(
        message._replace(attempts=attempts),
        failure,
        queue=plan.queue,
        function=plan.function,
        key=plan.key,
        bare=is_bare,
    )
    queue = plan.queue + DEAD if dead else name_retry_queue(plan.queue, delay)
    return RetryMessage(queue, delay, message.body, properties)


def is_last(message: AmqpMessage, plan: RetryPlan) -> bool:
    """Return whether a message that failed once more becomes a dead letter."""
    return message.attempts >= plan.retries


def find_delay(attempts: int) -> float:
    """Return the seconds to wait after so many failed attempts."""
    return min(_LONGEST_DELAY, _FIRST_DELAY * float(_FACTOR ** min(_STEPS, attempts - 1)))
