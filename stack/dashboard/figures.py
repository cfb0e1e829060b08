"""What pages write of figures and of bodies: always as text, whatever it is."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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


def draw_sparkline(values: Sequence[float | None]) -> Markup:
    """Return the paths of a small chart of values at even times; none of fewer than two that are known."""
    known = [(at, value) for at, value in enumerate(values) if value is not None]
    if len(known) < 2:
        return Markup("")
    low, high = min(value for _, value in known), max(value for _, value in known)
    step, scale = _WIDTH / (len(values) - 1), (_HEIGHT - 2 * _ROOM) / (high - low) if high > low else 0.0
    places = [(at * step, _HEIGHT - _ROOM - (value - low) * scale if scale else _HEIGHT / 2) for at, value in known]
    line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    area = f"{line}L{places[-1][0]:.0f} {_HEIGHT}L{places[0][0]:.0f} {_HEIGHT}Z"
    return Markup('<path class="area" d="{}"/><path d="{}"/>').format(area, line)


FILTERS = {
    "count_text": write_count,
    "rate": write_rate,
    "bytes": write_bytes,
    "milliseconds": write_milliseconds,
    "iso_time": write_time,
    "sparkline": draw_sparkline,
}


# Characters of a text, and bytes of anything else, that a page shows; the whole can be downloaded.
_LONGEST_TEXT, _LONGEST_BYTES = 100_000, 4096
_ROW = 16
# Bytes of one character at most, and how many of a body's are looked at for each of an excerpt, for it may be indented.
_CHARACTER, _WHITE = 4, 16
# Characters of JSON with indents, which are many where it is deep.
_LONGEST_JSON = 500_000


_ENCODER = json.JSONEncoder(indent=2, ensure_ascii=False)


@dataclass(frozen=True)
class Content:
    """A body as text: JSON is indented, and what is no text is written as hexadecimal numbers."""

    kind: str
    """`json`, `text` or `binary`."""
    text: str
    size: int
    is_cut: bool


def present(body: bytes) -> Content:
    """Return a body as a page may show it."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return Content("binary", dump(body[:_LONGEST_BYTES]), len(body), len(body) > _LONGEST_BYTES)
    is_cut = len(text) > _LONGEST_TEXT
    indented = "" if is_cut else _indent(text)
    return Content("json" if indented else "text", indented or text[:_LONGEST_TEXT], len(body), is_cut)


def list_views(body: bytes) -> dict[str, str]:
    """Return the ways in which a body can be shown, the best first: with indents, as its text, as bytes."""
    content = present(body)
    pretty = {"pretty": content.text} if content.kind == "json" else {}
    text = {"text": body.decode()[:_LONGEST_TEXT]} if content.kind != "binary" else {}
    return pretty | text | {"hex": dump(body[:_LONGEST_BYTES])}


def excerpt(body: bytes, length: int) -> str:
    """Return the beginning of a body in one line."""
    beginning = _begin(body, _WHITE * length)
    try:
        text = " ".join(beginning.decode().split())
    except UnicodeDecodeError:
        text = body[:length].hex(" ")
    is_whole = len(text) <= length and len(beginning) == len(body)
    return text if is_whole else f"{text[: length - 1]}…"


def _begin(body: bytes, length: int) -> bytes:
    """Return so many bytes of a body, fewer by those of a character that would be cut."""
    beginning = body[:length]
    try:
        beginning.decode()
    except UnicodeDecodeError as error:
        if len(beginning) < len(body) and error.end == length and length - error.start < _CHARACTER:
            return beginning[: error.start]
    return beginning


def dump(body: bytes) -> str:
    """Write bytes as hexadecimal numbers, with the characters that they are beside them."""
    return "\n".join(_write_row(place, body[place : place + _ROW]) for place in range(0, len(body), _ROW))


def _write_row(place: int, row: bytes) -> str:
    characters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
    return f"{place:08x}  {row.hex(' '):<{_ROW * 3 - 1}}  {characters}"


def _indent(text: str) -> str:
    """Return JSON with indents; nothing if it is a bare value, or none, or deep enough to be all indents."""
    if not text.lstrip().startswith(("{", "[")):
        return ""
    try:
        indented = _join(_ENCODER.iterencode(json.loads(text)))
        # An escaped half of a surrogate pair is JSON, and no text that a page can hold.
        indented.encode()
        return indented
    except (ValueError, RecursionError):
        return ""


def _join(parts: Iterable[str]) -> str:
    """Return a text in one; nothing if it is too long."""
    joined, length = [], 0
    for part in parts:
        joined.append(part)
        length += len(part)
        if length > _LONGEST_JSON:
            return ""
    return "".join(joined)
