"""Dead letters: messages that a function failed to handle as often as it may."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from stack.contract import (
    ATTEMPTS,
    DEAD,
    DELIVERIES,
    ERROR,
    EXCHANGE,
    FIRST_FAILED,
    FUNCTION,
    LAST_FAILED,
    RETRY,
    ROUTING_KEY,
    TRACEBACK,
)
from stack.processor.source.rabbitmq.field_table import to_text

_KEY_LENGTH = 24


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
        headers = repr(sorted(((name, self.headers[name]) for name in self._lasting), key=repr))
        parts = (self.queue, self.properties, headers, self.body.hex())
        return hashlib.sha256("\n".join(parts).encode(errors="backslashreplace")).hexdigest()[:_KEY_LENGTH]

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
        headers = {to_text(name): present(self.headers[name]) for name in self._lasting}
        return {name: value for name, value in headers.items() if not name.startswith("x-nuclio-")}

    @property
    def function(self) -> str:
        """Return the function that failed."""
        return self._text_of(FUNCTION)

    def matches(self, text: str) -> bool:
        """Return whether the body, the error, the routing key or the function holds a text, whatever its case."""
        fields = (self.text, self.function, *(self._text_of(name) for name in (ERROR, ROUTING_KEY)))
        return any(text.lower() in field.lower() for field in fields)

    def describe(self) -> dict[str, Any]:
        """Return all that is known of it."""
        return {
            "number": self.number,
            "queue": self.queue,
            "function": self.function,
            "error": self._text_of(ERROR),
            "traceback": self._text_of(TRACEBACK),
            "attempts": present(self.headers.get(ATTEMPTS, 0)),
            "first_failed": self._text_of(FIRST_FAILED),
            "last_failed": self._text_of(LAST_FAILED),
            "exchange": self._text_of(EXCHANGE),
            "routing_key": self._text_of(ROUTING_KEY),
            "headers": self.own_headers,
            "body": self.text,
        }

    @property
    def _lasting(self) -> list[Any]:
        """The names of the headers but those in which the broker counts how often it was looked at."""
        return [name for name in self.headers if name not in DELIVERIES]

    def _text_of(self, name: str) -> str:
        return to_text(self.headers.get(name, ""))


def is_kept_for(name: str, queue: str) -> bool:
    """Return whether a queue of this name holds the failed messages of another: to be tried again, or dead letters."""
    return name == queue + DEAD or name.startswith(queue + RETRY)


def present(value: Any) -> Any:
    """Return a header's value as JSON has it; what JSON has not is text."""
    if isinstance(value, dict):
        return {to_text(name): present(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [present(inner) for inner in value]
    is_plain = value is None or isinstance(value, bool | int) or (isinstance(value, float) and isfinite(value))
    return value if is_plain else to_text(value)
