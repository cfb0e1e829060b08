"""What messages hold, as a page may show it: always as text, whatever it is."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

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
        return _join(_ENCODER.iterencode(json.loads(text)))
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
