"""What RabbitMQ tells of connections: its events of their begin and end, and the lines of its log that say why."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from stack.config.device import NAME
from stack.contract import device_topic, to_key
from stack.processor.source.rabbitmq.field_table import to_text


class Reason(StrEnum):
    """Why a connection ended."""

    CLEAN = "clean"
    """The device said that it goes."""
    KEEP_ALIVE = "keep-alive"
    """Nothing came from it for longer than it had promised."""
    LOST = "lost"
    """Its network connection ended without a word."""
    REPLACED = "replaced"
    """The same device connected again."""
    CLOSED = "closed"
    """The stack closed it, as where it was given another password."""
    REVOKED = "revoked"
    """It may not log in any more."""
    REFUSED = "refused"
    """It did what it may not, or what MQTT knows not."""
    BROKER = "broker-stopped"
    """The broker ended, or the machine."""


@dataclass(frozen=True)
class Connection:
    """A connection of a user to the broker."""

    name: str
    user: str
    since: float
    """Since when, in seconds since 1970."""
    protocol: str = ""

    @property
    def address(self) -> str:
        """Return from where it comes: RabbitMQ calls a connection `HOST:PORT -> HOST:PORT`."""
        return self.name.partition(" -> ")[0].rpartition(":")[0]


# Lines of RabbitMQ 4, the most telling first: MQTT's, MQTT's over WebSocket, and AMQP's.
_LINES = (
    (re.compile(r"keep-?alive timeout|missed heartbeats", re.I), Reason.KEEP_ALIVE),
    (re.compile(r"duplicate id", re.I), Reason.REPLACED),
    (re.compile(r"authorization failure|protocol error|packet error|cannot parse|unparse", re.I), Reason.REFUSED),
    (re.compile(r"will terminate because peer closed|unexpectedly closed|network error", re.I), Reason.LOST),
    (re.compile(r"closing connection .*: |disconnecting client .* reason: ", re.I | re.S), Reason.CLOSED),
    (re.compile(r"\bclosing .*connection ", re.I | re.S), Reason.CLEAN),
)
# A line has what a client sent, such as a topic, so that how long is searched is bounded.
_MOST_LETTERS = 4096
_NAME = re.compile(r"""[^\s<>"'()]{1,64}:\d{1,5} -> [^\s<>"'()]{1,64}:\d{1,5}""")
_VERSION = re.compile(r"\d+")
_WORDS = re.compile(r"[A-Za-z]+")
_SESSION = re.compile(rf"mqtt-subscription-({NAME.pattern})qos[01]")


def read_connection(headers: Mapping[str, Any]) -> Connection:
    """Return the connection that an event of its begin tells of."""
    milliseconds = headers.get("timestamp_in_ms")
    since = milliseconds / 1000 if isinstance(milliseconds, int) else time.time()
    user, protocol = to_text(headers.get("user", "")), to_text(headers.get("protocol", ""))
    return Connection(to_text(headers.get("name", "")), user, since, write_protocol(protocol))


def write_protocol(text: str) -> str:
    """Return a protocol as people write it, such as MQTT 3.1.1, of what RabbitMQ says in one way or another."""
    version = ".".join(_VERSION.findall(text))
    words = " ".join(_WORDS.findall(text)) or ("AMQP" if version else "")
    return f"{words} {version}".strip()


_END_OF_NODE = re.compile(r"rabbit on node '?rabbit@[\w.-]+'? down")


def is_end_of_node(line: str) -> bool:
    """Return whether a line of the log tells that another node of the broker is gone."""
    return bool(_END_OF_NODE.search(line[:_MOST_LETTERS]))


def read_end(line: str) -> tuple[str, Reason] | None:
    """Return of which connection a line of the log tells the end, and why; nothing of another line."""
    start = line[:_MOST_LETTERS]
    name = _NAME.search(start) if " -> " in start else None
    if not name:
        return None
    reason = next((one for pattern, one in _LINES if pattern.search(start)), None)
    return (name[0], reason) if reason else None


def read_subscription(headers: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return which device has subscribed to which of the stack's own topics about it; nothing of another binding.

    It may have done so by a wider filter, of which # is what is left.
    """
    queue = _SESSION.fullmatch(to_text(headers.get("destination_name", "")))
    if not queue:
        return None
    levels = to_text(headers.get("routing_key", "")).split(".")
    for own in to_key(device_topic(queue[1], "")).removesuffix(".").split("."):
        level = levels.pop(0) if levels else ""
        if level == "#":
            return queue[1], "#"
        if level not in ("*", own):
            return None
    return (queue[1], "/".join(levels)) if levels else None
