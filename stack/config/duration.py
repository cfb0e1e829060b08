"""Durations as Go and Nuclio write them: 500ms, 10s, 1h30m."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)", re.ASCII)
# Go counts nanoseconds in 64 bits; these are the whole hours that fit, and leave room for a margin.
_MOST_HOURS = 2_562_047
_SHOWN = 40


def parse_duration(text: str) -> float:
    """Return the seconds that a duration means.

    Raises:
        ValueError: the text is not a duration, or a longer one than Go, and so Docker, can say.
    """
    if text == "0":
        return 0.0
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"should be a duration such as 500ms, 10s or 1h30m, not {text!r}")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds > _MOST_HOURS * _UNITS["h"]:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        raise ValueError(f"should be a duration of at most {_MOST_HOURS}h, not {shown!r}")
    return seconds


def _check(text: str) -> str:
    if text:
        parse_duration(text)
    return text


def _write_zero(value: object) -> object:
    """Return a bare 0, which is the only number that needs no unit, as a text."""
    return "0" if value == 0 and type(value) is int else value


Duration = Annotated[str, BeforeValidator(_write_zero), AfterValidator(_check)]
