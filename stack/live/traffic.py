"""The topics `traffic:queue:NAME`, `traffic:exchange:NAME` and `traffic:topic:FILTER`: copies of messages, live."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from stack.contract import MQTT_EXCHANGE, to_key, to_topic
from stack.errors import BrokerError, StackError
from stack.live.channel import LogTail
from stack.plan.message import read_text
from stack.processor.source.rabbitmq.field_table import to_text
from stack.rabbitmq.management_async import Management
from stack.rabbitmq.observer import Observed, Observer, Place

_KEPT = 200
_PAUSE = 3.0
_LONGEST = 2000
_KINDS = ("queue", "exchange", "topic")


class TrafficSource:
    """What goes to one queue, through one exchange, or over MQTT to the topics of a filter.

    Of a queue, that is what its bindings bring; what is sent to it by name goes through the default exchange, to which
    nothing can be bound. An entry with a `note` says how the watching goes.
    """

    pause = _PAUSE

    def __init__(self, management: Management, subject: str, touch: Callable[[], None]) -> None:
        self._kind, _, self._name = subject.partition(":")
        if self._kind not in _KINDS or not self._name:
            raise StackError(
                f"There is no traffic of {subject!r}; name one of {', '.join(_KINDS)}, such as queue:NAME."
            )
        self._management = management
        self._touch = touch
        self._observer: Observer | None = None
        self._entries: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._count = 0
        self._noted = ""

    async def look(self) -> LogTail:
        """Return the last messages."""
        try:
            places = await self._find_places()
            observer = self._observer = self._observer or Observer(await self._management.broker(), self._hear)
            observer.observe(places)
            self._note(observer.problem or self._tell(places))
        except BrokerError as error:
            self._note(str(error))
        return LogTail(self._count, tuple(self._entries))

    async def rest(self) -> None:
        """Observe no more, and forget."""
        if self._observer:
            await self._observer.close()
        self._observer = None
        self._entries.clear()
        self._noted = ""

    async def _find_places(self) -> Sequence[Place]:
        if self._kind == "topic":
            return [(MQTT_EXCHANGE, to_key(self._name))]
        if self._kind == "exchange":
            return [(self._name, "#")]
        bindings = await self._management.bindings_of(self._name)
        return [(one.source, one.key) for one in bindings]

    def _tell(self, places: Sequence[Place]) -> str:
        """Say what is watched."""
        if self._kind != "queue":
            return f"Watching the {self._kind} {self._name}."
        if not places:
            return "No binding leads to this queue: all its messages are sent to it by name, and cannot be watched."
        bindings = ", ".join(f"{exchange} {key}".strip() for exchange, key in places)
        return f"Watching what is bound to {self._name}: {bindings}."

    def _hear(self, message: Observed) -> None:
        self._add(describe_message(message))
        self._touch()

    def _note(self, text: str) -> None:
        if text != self._noted:
            self._noted = text
            self._add({"note": text})

    def _add(self, entry: dict[str, Any]) -> None:
        self._entries.append(entry)
        self._count += 1


def describe_message(message: Observed) -> dict[str, Any]:
    """Return what the pages are told of a message."""
    given = {name: value for name, value in vars(message.properties).items() if value is not None}
    headers = given.pop("headers", None) or {}
    given.pop("raw_headers", None)
    return {
        "time": round(message.time, 3),
        "topic": to_topic(to_text(message.key)) if message.exchange == MQTT_EXCHANGE else "",
        "exchange": to_text(message.exchange),
        "key": to_text(message.key),
        "size": len(message.body),
        "body": read_text(message.body, _LONGEST),
        "headers": {to_text(name): to_text(value) for name, value in headers.items()},
        "properties": {name: to_text(value) for name, value in given.items()},
    }
