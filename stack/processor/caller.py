"""Who calls a function over HTTP, and what a caller is told of its log and of why it failed."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from stack.contract import is_proof
from stack.processor.attributes import Attributes
from stack.processor.request import Reply


@dataclass(frozen=True)
class CallerRights:
    """What one trigger's callers are told; None is only those that prove to be the dashboard or the command line."""

    key: bytes = b""
    traces: bool | None = True
    logs: bool | None = True

    def is_own(self, headers: Mapping[Any, Any], proof: Any) -> bool:
        """Return whether a call is Tidegate's own; `proof` is the name of the header that proves it."""
        value = headers.get(proof)
        if value is None:
            return False
        text = value if isinstance(value, str) else bytes(value).decode(errors="replace")
        return is_proof(text, self.key, now=time.time())


EVERYONE = CallerRights()


class Caller(NamedTuple):
    """Who proves to be Tidegate's own, asks for the log of a call from a level onwards, or for a response by MQTT."""

    is_own: bool
    level: str | bytes | None
    reply: Reply | None = None


def read_rights(attributes: Attributes, key: bytes, *, is_local: bool) -> CallerRights:
    """Read an http trigger's attributes; a function that runs on its author's machine keeps nothing from anyone."""
    default = True if is_local else None
    return CallerRights(key, _read(attributes, "hideTraceback", default), _read(attributes, "hideLogs", default))


def _read(attributes: Attributes, name: str, default: bool | None) -> bool | None:
    return default if attributes.raw(name) is None else not attributes.flag(name, False)
