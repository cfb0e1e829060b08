"""A message as the rules of readings read it: its numbers, its labels' texts, and its time."""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Any

from nuclio_sdk import Event

from stack.contract import SHOVELLED, TAKEN
from stack.processor.recorder.pattern import HEADER, fill_label

# Seconds since 1970 from which on a number is no count of something else. What is less than the first number of a pair
# has the second one as its milliseconds: seconds, milliseconds, microseconds, nanoseconds.
_SECONDS, _UNITS = 1e8, ((1e11, 1e3), (1e14, 1.0), (1e17, 1e-3), (1e20, 1e-6))
# Keys of a JSON object under which its time is looked for, and how far ahead a clock may be, in milliseconds.
_TIMES, _AHEAD = ("timestamp", "time", "ts"), 3_600_000
# Characters of a body that an error shows, and series of which the time of the last reading is remembered.
SHOWN, _REMEMBERED = 100, 100_000
# Seconds by which a clock is set back, and not only made slower.
_SET_BACK = 1.0
# What a message may hold of which every number is kept.
_MOST_NUMBERS, _DEPTH = 1000, 64


class NoReadingError(ValueError):
    """A message has not what a rule asks for; the text says what."""


class Clock:
    """The times of readings that have none: of one series each another, for those of one time would be one reading."""

    def __init__(self) -> None:
        self._latest: dict[str, int] = {}
        self._ahead = -math.inf
        self._now = 0

    def start(self, arrived: float) -> None:
        """Say when the message arrived that is looked at, in seconds since 1970."""
        self._now = int(arrived * 1000)
        # A clock that is set back has given times that it has not reached yet. No reading follows on those: the store
        # passes over what is of the day after tomorrow without a word.
        ahead = time.time() - time.monotonic()
        if ahead < self._ahead - _SET_BACK:
            self._latest.clear()
        self._ahead = ahead

    def next(self, series: str) -> int:
        """Return the time of the next reading of a series."""
        if len(self._latest) >= _REMEMBERED:
            self._latest.clear()
        moment = max(self._now, self._latest.get(series, 0) + 1)
        self._latest[series] = moment
        return moment


@dataclass(slots=True)
class Message:
    """A message as rules read it: `levels` are its topic, or routing key, and the levels, or words, of that."""

    event: Event
    levels: Sequence[str]
    arrived: float
    """Seconds since 1970."""
    clock: "Clock"
    retention: float = math.inf
    """Seconds that readings are kept."""
    _json: list[Any] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        """Return the body as it came, or, where its content type said JSON, that once more."""
        body = self.event.body
        if isinstance(body, bytes):
            return body
        return body.encode() if isinstance(body, str) else json.dumps(body).encode()

    def read_number(self, pointer: str | None) -> str | None:
        """Return a number as it is written in a line; None for JSON's null, by which sensors say that they have none.

        Raises:
            NoReadingError: there is something else.
        """
        value = self.event.body if pointer is None else self._follow(pointer)
        if value is None:
            return None
        number = _to_number(value)
        if number is None:
            where = "the body" if pointer is None else pointer
            raise NoReadingError(f"{where} is no number: {self.show(value)}")
        return number

    def list_numbers(self) -> list[tuple[str, str]]:
        """Return every number of the body, with its path in the JSON; nothing for one that is itself a number.

        Raises:
            NoReadingError: there are too many of them, each of which would be a series, or they lie too deep.
        """
        number = _to_number(self.event.body)
        if number is not None:
            return [("", number)]
        try:
            document = self._parse()
        except NoReadingError:
            return []
        if not isinstance(document, dict | list):
            number = None if isinstance(document, str) else _to_number(document)
            return [] if number is None else [("", number)]
        found = list(islice(_walk(document, "", 0), _MOST_NUMBERS + 1))
        if len(found) > _MOST_NUMBERS:
            raise NoReadingError(f"the body has more than {_MOST_NUMBERS:,} numbers; a rule with values names some")
        return found

    def read_label(self, source: Mapping[str, str]) -> str:
        """Return the text of a label; one that is not there is empty, which the store takes for no label."""
        if pointer := source.get("json"):
            value = self._follow(pointer)
            return value if isinstance(value, str) else json.dumps(value)
        text = source["text"]
        if text.startswith(HEADER):
            return self._read_header(text.removeprefix(HEADER))
        return fill_label(text, self.levels)

    def find_time(self, place: str) -> int | None:
        """Return the reading's own time in milliseconds, or that of its message at another place; None if it has none.

        Raises:
            NoReadingError: a rule names where its time is, and there is none, or it is of tomorrow.
        """
        if place.startswith(HEADER):
            found = _to_time(self._read_header(place.removeprefix(HEADER)))
        elif place:
            found = _to_time(self._follow(place))
        else:
            found = self._guess_time()
        if found is None and place:
            raise NoReadingError(f"{place} is no time: a number since 1970, or as 2026-11-29T03:00:00Z")
        if found is None:
            return self._find_taken()
        latest = self.arrived * 1000
        if found > latest + _AHEAD or found < latest - self.retention * 1000:
            what = "in the future" if found > latest else "longer ago than readings are kept"
            zone = "; one without a zone is taken as UTC" if found > latest else ""
            raise NoReadingError(f"its time is {what}: {found / 1000:.0f} seconds since 1970{zone}")
        return found

    def show(self, value: Any) -> str:
        """Return the beginning of a value."""
        text = value.decode(errors="replace") if isinstance(value, bytes) else json.dumps(value, default=str)
        return text[:SHOWN] + "…" * (len(text) > SHOWN)

    def _guess_time(self) -> int | None:
        document = self._json[0] if self._json else None
        if isinstance(document, dict):
            for key in _TIMES:
                if key in document and (found := _to_time(document[key])) is not None:
                    return found
        return None

    def _find_taken(self) -> int | None:
        """Return when a message that came over a bridge was taken at its place: it may have waited since.

        So one that comes twice is one reading. What a wrong clock there says does not count.
        """
        headers, latest = self.event.headers or {}, self.arrived * 1000
        taken = _to_time(headers.get(TAKEN)) if SHOVELLED in headers else None
        is_likely = taken is not None and latest - self.retention * 1000 <= taken <= latest + _AHEAD
        return taken if is_likely else None

    def _read_header(self, name: str) -> str:
        value = (self.event.headers or {}).get(name, "")
        return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

    def _parse(self) -> Any:
        if not self._json:
            try:
                self._json.append(_load_json(self.event.body))
            except (ValueError, RecursionError):
                raise NoReadingError(f"the body is no JSON: {self.show(self.body)}") from None
        return self._json[0]

    def _follow(self, pointer: str) -> Any:
        value = self._parse()
        for key in _split_pointer(pointer):
            try:
                value = value[int(key)] if isinstance(value, list) else value[key]
            except (KeyError, IndexError, TypeError, ValueError):
                raise NoReadingError(f"there is no {pointer} in the body: {self.show(self.body)}") from None
        return value


@lru_cache(1000)
def _split_pointer(pointer: str) -> tuple[str, ...]:
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def _load_json(body: Any) -> Any:
    """Return what a body says; bytes are UTF-8 almost always, and to look which encoding it is takes as long again."""
    if not isinstance(body, bytes):
        return json.loads(body) if isinstance(body, str) else body
    try:
        return json.loads(body.decode())
    except ValueError:
        return json.loads(body)


def _walk(value: dict[str, Any] | list[Any], path: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield every number of a JSON document; but for its time, which is none of its readings."""
    if depth >= _DEPTH:
        raise NoReadingError(f"the body is nested deeper than {_DEPTH}")
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, dict | list):
            yield from _walk(item, f"{path}/{key}", depth + 1)
        elif isinstance(item, str) or (not path and key in _TIMES and _to_time(item) is not None):
            continue
        elif (number := _to_number(item)) is not None:
            yield f"{path}/{key}"[1:], number


def _to_number(value: Any) -> str | None:
    """Return a finite number as text; true and false are 1 and 0."""
    if type(value) is float and math.isfinite(value):
        return repr(value)
    if isinstance(value, bool):
        return str(int(value))
    if not isinstance(value, int | float | str | bytes):
        return None
    try:
        text = value.encode() if isinstance(value, str) else value
        number = float(text)
    except (ValueError, OverflowError):
        return None
    # To Python alone is 1_000 a number.
    is_name = isinstance(text, bytes) and b"_" in text
    return repr(number) if math.isfinite(number) and not is_name else None


def _to_time(value: Any) -> int | None:
    """Return a time in milliseconds since 1970; None for what is none."""
    if isinstance(value, str) and not _to_number(value):
        # All readings of a day would be of one time.
        if len(value) <= len("2026-11-29"):
            return None
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    text = None if isinstance(value, bool) else _to_number(value)
    number = float(text) if text else 0.0
    if number < _SECONDS:
        return None
    return round(number * next((unit for bound, unit in _UNITS if number < bound), 1.0))
