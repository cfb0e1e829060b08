"""Dead letters: messages that a function failed to handle as often as it may."""

import hashlib
from collections.abc import Mapping
from typing import Any

from stack.record import dataclass

# What the processor puts behind the name of a queue, and into the headers of a message that failed.
DEAD, RETRY = ".dead", ".retry."
EXCHANGE = "x-nuclio-exchange"
ROUTING_KEY = "x-nuclio-routing-key"
_ATTEMPTS, _FUNCTION, _ERROR = "x-nuclio-attempts", "x-nuclio-function", "x-nuclio-error"
_TRACEBACK = "x-nuclio-traceback"
_KEY_LENGTH = 24
_FIRST_FAILED, _LAST_FAILED = "x-nuclio-first-failed", "x-nuclio-last-failed"
# The broker's own: how often it delivered a message, which is another number each time.
_DELIVERIES = frozenset(("x-delivery-count", "x-acquired-count"))
# Where it was first published is told again, so that its event is what it was; the rest is forgotten.
_FORGOTTEN = _DELIVERIES | frozenset((_ATTEMPTS, _FUNCTION, _ERROR, _TRACEBACK, _FIRST_FAILED, _LAST_FAILED))


@dataclass(frozen=True)
class Letter:
    """One dead letter; `number` is its place in the listing, from 1 on."""

    number: int
    queue: str
    headers: Mapping[str, Any]
    body: bytes
    properties: str = ""
    """What else tells it from others: the ids and the time that its publisher gave it."""

    @property
    def key(self) -> str:
        """Return what it is addressed by, wherever it is in its queue; letters with one key are the same in all."""
        headers = [item for item in sorted(self.headers.items()) if item[0] not in _DELIVERIES]
        parts = (self.queue, self.properties, repr(headers), self.body.hex())
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_KEY_LENGTH]

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.body.decode(errors="replace")

    @property
    def target(self) -> str:
        """Return the queue that it came from."""
        return self.queue.removesuffix(DEAD)

    @property
    def own_headers(self) -> dict[str, Any]:
        """Return the headers that its publisher gave it."""
        return {
            name: value
            for name, value in self.headers.items()
            if not name.startswith("x-nuclio-") and name not in _DELIVERIES
        }

    @property
    def fresh_headers(self) -> dict[str, Any]:
        """Return the headers with which it is sent again."""
        return {name: value for name, value in self.headers.items() if name not in _FORGOTTEN}

    def matches(self, text: str) -> bool:
        """Tell whether the body, the error, the routing key or the function holds a text, whatever its case."""
        fields = (self.text, *(str(self.headers.get(name, "")) for name in (_ERROR, ROUTING_KEY, _FUNCTION)))
        return any(text.lower() in field.lower() for field in fields)

    def describe(self) -> dict[str, Any]:
        """Return all that is known of it."""
        return {
            "number": self.number,
            "queue": self.queue,
            "function": str(self.headers.get(_FUNCTION, "")),
            "error": str(self.headers.get(_ERROR, "")),
            "traceback": str(self.headers.get(_TRACEBACK, "")),
            "attempts": self.headers.get(_ATTEMPTS, 0),
            "first_failed": str(self.headers.get(_FIRST_FAILED, "")),
            "last_failed": str(self.headers.get(_LAST_FAILED, "")),
            "exchange": str(self.headers.get(EXCHANGE, "")),
            "routing_key": str(self.headers.get(ROUTING_KEY, "")),
            "headers": self.own_headers,
            "body": self.text,
        }
