"""Figures in words, as pages show them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from markupsafe import Markup

UNKNOWN = "\u2013"
_UNITS = ("B", "kB", "MB", "GB")
# What stands between thousands: a thin space.
_THIN = "\u2009"
# The box in which a small chart is drawn, and the room above and below its line.
_WIDTH, _HEIGHT, _ROOM = 100, 24, 2


def write_count(value: float | None) -> str:
    """Return how many, with thin spaces between thousands."""
    return UNKNOWN if value is None else f"{value:,}".replace(",", _THIN)


def write_rate(value: float | None) -> str:
    """Return how many a second."""
    if value is None:
        return UNKNOWN
    if not value:
        return "0/s"
    if value < 0.1:
        return "<0.1/s"
    return f"{value:.1f}/s" if value < 10 else f"{write_count(round(value))}/s"


def write_bytes(value: float | None) -> str:
    """Return how many bytes, in a unit that suits them."""
    if value is None:
        return UNKNOWN
    power = 0
    while value >= 1000 and power < len(_UNITS) - 1:
        value, power = value / 1000, power + 1
    return f"{value:.1f} {_UNITS[power]}" if value < 10 and power else f"{value:.0f} {_UNITS[power]}"


def write_milliseconds(value: float | None) -> str:
    """Return how many milliseconds, or seconds where there are a thousand of them."""
    if value is None:
        return UNKNOWN
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


def write_time(seconds: float, precision: str = "seconds") -> str:
    """Return a time, given in seconds since 1970, in ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec=precision)


def draw_sparkline(values: Sequence[float]) -> Markup:
    """Return the paths of a small chart of values in the order of time; none of fewer than two."""
    if len(values) < 2:
        return Markup("")
    low, high = min(values), max(values)
    step, scale = _WIDTH / (len(values) - 1), (_HEIGHT - 2 * _ROOM) / (high - low) if high > low else 0.0
    ys = [_HEIGHT - _ROOM - (value - low) * scale if scale else _HEIGHT / 2 for value in values]
    line = "M" + "L".join(f"{at * step:.1f} {y:.1f}" for at, y in enumerate(ys))
    area = f"{line}L{_WIDTH} {_HEIGHT}L0 {_HEIGHT}Z"
    return Markup('<path class="area" d="{}"/><path d="{}"/>').format(area, line)


FILTERS = {
    "count_text": write_count,
    "rate": write_rate,
    "bytes": write_bytes,
    "milliseconds": write_milliseconds,
    "iso_time": write_time,
    "sparkline": draw_sparkline,
}
