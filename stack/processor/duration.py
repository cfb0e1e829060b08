"""Durations as Nuclio writes them: Go's notation, such as `500ms`, `10s` and `1h30m`."""

import re

# Seconds in each unit of Go's time.ParseDuration.
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Return the seconds that a duration says.

    Raises:
        ValueError: the text is not a duration, or is negative.
    """
    text = text.strip()
    parts = _PART.findall(text)
    if text == "0":
        return 0.0
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration, such as 500ms, 10s or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
