"""Small files that the stack keeps of its own: whatever a failing disk made of one is a ValueError in few words."""

from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

_Shape = TypeVar("_Shape")


def parse_json(shape: type[_Shape], content: bytes) -> _Shape:
    """Return a JSON document as the dataclass, or other type, that it should be.

    Raises:
        ValueError: it is something else. The message does not repeat the content, which may be secret.
    """
    try:
        return cast(_Shape, _adapter(cast(Hashable, shape)).validate_json(content))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from None


def parse_word(content: bytes) -> str:
    """Return the one line of printable text that a file holds, without spaces around it; empty of an empty file.

    Raises:
        ValueError: it is something else.
    """
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        raise ValueError("it is no text in UTF-8") from None
    if not text.isprintable():
        raise ValueError("it is not one line of text")
    return text


def try_read_word(path: Path) -> str:
    """Return the line of a file that may be made again at any time; nothing of one that is missing or spoiled."""
    try:
        return parse_word(path.read_bytes())
    except (OSError, ValueError):
        return ""


@cache
def _adapter(shape: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(type[Any], shape))
