"""Calls of devices: what a device is asked to do, on which topics, and what became of it.

A call goes to `tidegate/devices/NAME/cmd/ID`, and its answer comes to `tidegate/devices/NAME/ack/ID`, which MQTT 5 is
told as Response Topic and Correlation Data. The answer is any JSON, or a text; an object with `error` refuses the call.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, JsonValue

from stack.config.document import Document
from stack.contract import CALL_WAIT, MOST_CALL_WAIT, device_topic, parse_days, to_key

_CALL, _ANSWER = "cmd", "ack"
# Bytes of what goes to a device, and of what it answers.
MOST_BYTES = 64 * 1024
# Lists and objects within each other; every program that has it on its way goes through them by recursion.
_DEEPEST = 64
_LONGEST_METHOD = 100
# Calls of a device that are listed.
USUALLY_LISTED, MOST_LISTED = 20, 200
_USUAL_EXPIRY, _MOST_EXPIRY = "1h", "30d"
_ERROR = "error"


class CallState(StrEnum):
    """What became of a call."""

    QUEUED = "queued"
    """It is kept until the device is there and listens."""
    SENT = "sent"
    """The device, or its session at the broker, has it."""
    ANSWERED = "answered"
    REFUSED = "refused"
    """The device answered with an error."""
    EXPIRED = "expired"
    """There was no answer in time."""

    @property
    def is_over(self) -> bool:
        """Return whether nothing will become of it any more."""
        return self not in (CallState.QUEUED, CallState.SENT)


def _check_method(text: str) -> str:
    if not 0 < len(text) <= _LONGEST_METHOD or not text.isprintable():
        raise ValueError(f"should be a text of at most {_LONGEST_METHOD} characters that can be printed, not {text!r}")
    return text


def _check_expiry(text: str) -> str:
    if not 0 < parse_days(text) <= parse_days(_MOST_EXPIRY):
        raise ValueError(f"should be a duration from 1ms to {_MOST_EXPIRY}, not {text!r}")
    return text


def _encode(data: Any) -> bytes:
    """Return data as JSON, as every program reads it.

    Raises:
        ValueError: it has what JSON has no word for, or halves of characters, or is nested too deep.
    """
    if _is_deep(data, _DEEPEST):
        raise ValueError(f"should be nested at most {_DEEPEST} deep")
    return json.dumps(data, ensure_ascii=False, allow_nan=False).encode()


def _is_deep(data: Any, deepest: int) -> bool:
    items = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return deepest < 0 or any(_is_deep(one, deepest - 1) for one in items)


def _check_data(data: Any) -> Any:
    if (size := len(_encode(data))) > MOST_BYTES:
        raise ValueError(f"should be at most {MOST_BYTES} bytes of JSON, not {size}")
    return data


class CallRequest(Document):
    """A call that is to be made."""

    method: Annotated[str, AfterValidator(_check_method)]
    """What the device is to do."""
    data: Annotated[JsonValue, AfterValidator(_check_data)] = None
    """What goes with it: anything that JSON has."""
    wait: Annotated[float, Field(ge=0, le=MOST_CALL_WAIT)] = CALL_WAIT
    """For how many seconds an answer is waited for."""
    expires: Annotated[str, AfterValidator(_check_expiry)] = _USUAL_EXPIRY
    """How long it is kept for a device that is away, such as 10m or 7d; it reaches no device later."""


@dataclass(frozen=True)
class Call:
    """One call; times are in seconds since 1970, and nothing where something has not happened."""

    id: str
    device: str
    method: str
    data: Any
    by: str
    """Who made it."""
    made: float
    expires: float
    state: CallState = CallState.QUEUED
    sent: float | None = None
    ended: float | None = None
    answer: Any = None
    late: int = 0
    """How many answers came when it was over, which no one was told."""

    @property
    def topic(self) -> str:
        """Return where the device is told."""
        return device_topic(self.device, f"{_CALL}/{self.id}")

    @property
    def answer_topic(self) -> str:
        """Return where the device answers."""
        return device_topic(self.device, f"{_ANSWER}/{self.id}")

    @property
    def body(self) -> bytes:
        """Return what the device gets."""
        return _encode({"id": self.id, "method": self.method, "data": self.data})


# The routing keys of answers, as a binding key, and as an expression for device and call.
ANSWERS = to_key(device_topic("+", f"{_ANSWER}/+"))
_ANSWER_KEY = re.compile(re.escape(ANSWERS).replace(r"\*", r"([^.]+)"))


def read_answer_key(key: str) -> tuple[str, str] | None:
    """Return device and id of the call that a message with this routing key answers; None if it answers none."""
    found = _ANSWER_KEY.fullmatch(key)
    return (found[1], found[2]) if found else None


def read_answer(body: bytes) -> tuple[CallState, Any]:
    """Return what a device's answer makes of its call, and what it says: JSON where it is that, else a text."""
    if len(body) > MOST_BYTES:
        return CallState.REFUSED, f"the answer has {len(body)} bytes, of at most {MOST_BYTES}"
    try:
        answer = json.loads(body) if body else None
        _encode(answer)
    except (ValueError, RecursionError):
        answer = body.decode(errors="replace")
    if isinstance(answer, Mapping) and isinstance(error := answer.get(_ERROR), str):
        return CallState.REFUSED, error
    return CallState.ANSWERED, answer


def hears_calls(device: str, keys: Iterable[str]) -> bool:
    """Return whether a session that is bound by these keys gets calls of its device."""
    words = to_key(device_topic(device, f"{_CALL}/+")).split(".")
    return any(_matches(key.split("."), words) for key in keys)


def _matches(pattern: list[str], words: list[str]) -> bool:
    """Return whether a binding key of MQTT's kind, which has # at its end alone, takes all keys that `words` takes."""
    if pattern[-1] == "#":
        pattern, words = pattern[:-1], words[: len(pattern) - 1]
    pairs = zip(pattern, words, strict=False)
    return len(pattern) == len(words) and all(one in ("*", other) for one, other in pairs)


def describe_call(call: Call) -> dict[str, Any]:
    """Return what the API and --json tell of a call."""
    return {**vars(call), **{name: _tell(getattr(call, name)) for name in ("made", "expires", "sent", "ended")}}


def _tell(time: float | None) -> str | None:
    return None if time is None else datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
