"""What messages hold, as a page may show it: always as text, whatever it is."""

import json

from stack.record import dataclass

# Characters of a text, and bytes of anything else, that a page shows; the whole can be downloaded.
_LONGEST_TEXT, _LONGEST_BYTES = 100_000, 4096
_ROW = 16


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


def excerpt(body: bytes, length: int) -> str:
    """Return the beginning of a body in one line."""
    content = present(body)
    text = " ".join((body.decode(errors="replace") if content.kind != "binary" else body[:length].hex(" ")).split())
    return text if len(text) <= length else f"{text[: length - 1]}…"


def dump(body: bytes) -> str:
    """Write bytes as hexadecimal numbers, with the characters that they are beside them."""
    return "\n".join(_write_row(place, body[place : place + _ROW]) for place in range(0, len(body), _ROW))


def _write_row(place: int, row: bytes) -> str:
    characters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
    return f"{place:08x}  {row.hex(' '):<{_ROW * 3 - 1}}  {characters}"


def _indent(text: str) -> str:
    """Return JSON with indents; nothing if it is a bare value, or none."""
    if not text.lstrip().startswith(("{", "[")):
        return ""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""
