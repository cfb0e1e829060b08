"""When a cron trigger is due: every so often, or by a crontab line in a time zone."""

import os
import time
from collections.abc import Callable
from datetime import datetime, tzinfo
from math import floor
from typing import Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from stack.contract import parse_duration
from stack.processor.attributes import Attributes, ConfigurationError

_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = "@every "
_ZONES = ("TZ=", "CRON_TZ=")
_FIELDS_WITH_SECONDS = 6


class Schedule(Protocol):
    """The moments at which a trigger is due, by the clock that goes with it."""

    now: Callable[[], float]
    is_of_clock: bool
    """Whether its moments are the same wherever they are looked for."""

    def find_next(self, after: float) -> float:
        """Return the first moment after another."""


class Interval:
    """Every so many seconds from the start on, however long a run takes."""

    def __init__(self, seconds: float) -> None:
        self.now, self.is_of_clock = time.monotonic, False
        self._seconds = seconds
        self._start = self.now()

    def find_next(self, after: float) -> float:
        """Return the first moment after another."""
        return self._start + (floor((after - self._start) / self._seconds) + 1) * self._seconds


class Crontab:
    """A line of five fields, or six with the seconds first.

    Raises:
        ValueError: it is not such a line.
    """

    def __init__(self, line: str, zone: tzinfo) -> None:
        self.now, self.is_of_clock = time.time, True
        fields = _DESCRIPTORS.get(line, line).replace("?", "*").split()
        if len(fields) == _FIELDS_WITH_SECONDS and fields[0] == "*":
            # As with Nuclio: a function would otherwise run each second, where each minute is meant.
            fields[0] = "0"
        # Only five fields run once on a day whose clock skips their hour, or has it twice.
        self._second = int(fields.pop(0)) if len(fields) == _FIELDS_WITH_SECONDS and _is_second(fields[0]) else 0
        self._line = " ".join(fields)
        self._zone = zone
        try:
            CronSim(self._line, datetime.now(zone))
        except CronSimError as error:
            raise ValueError(str(error)) from None

    def find_next(self, after: float) -> float:
        """Return the first moment after another; for ever away where there is none, such as on 30 February."""
        found = CronSim(self._line, datetime.fromtimestamp(after - self._second, self._zone))
        # Where the clock has an hour twice, the first that is found in its second turn is one of its first turn.
        moments = (moment.timestamp() + self._second for moment in found)
        return next((moment for moment in moments if moment > after), float("inf"))


def _is_second(field: str) -> bool:
    return field.isascii() and field.isdigit() and int(field) in range(60)


def read_schedule(attributes: Attributes) -> Schedule:
    """Read a trigger's attributes; the interval wins over the schedule, as with Nuclio.

    Raises:
        ConfigurationError: neither is there, or one is malformed.
    """
    interval = attributes.seconds("interval", 0.0)
    line = attributes.text("schedule").strip()
    if interval:
        return Interval(interval)
    if not line:
        raise ConfigurationError(f"{attributes.path}: needs a schedule, such as '*/5 * * * *', or an interval")
    try:
        return parse_schedule(line, attributes.text("timezone"))
    except ValueError as error:
        raise ConfigurationError(f"{attributes.path}.schedule: {line!r}: {error}") from None


def parse_schedule(line: str, timezone: str) -> Schedule:
    """Read a schedule; a time zone that it begins with wins over the other.

    Raises:
        ValueError: it is none, or there is no such time zone.
    """
    own, line = _split_zone(line)
    if line.startswith(_EVERY):
        return _read_every(line.removeprefix(_EVERY).strip())
    return Crontab(line, _find_zone(own or timezone))


def _read_every(text: str) -> Interval:
    seconds = parse_duration(text)
    if not seconds:
        raise ValueError("should be longer than nothing")
    return Interval(seconds)


def _split_zone(line: str) -> tuple[str, str]:
    """Return the time zone that a line begins with, and the rest of it."""
    prefix = next((prefix for prefix in _ZONES if line.startswith(prefix)), "")
    if not prefix:
        return "", line
    zone, _, rest = line.removeprefix(prefix).partition(" ")
    return zone, rest.strip()


def _find_zone(name: str) -> ZoneInfo:
    """Return a time zone; the container's own where none is named."""
    name = name or os.environ.get("TZ", "") or "UTC"
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name!r}; they are called such as Europe/Rome") from None
