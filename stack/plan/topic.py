"""Messages: what a person is shown of a body."""

import json
import math
from typing import Any

# Names of a field that holds a reading, in the order in which they are looked for.
_FIELDS = ("value", "temperature", "reading")


def read_text(body: bytes, longest: int) -> str:
    """Return the first so many characters of a body; of bytes that are no text, their number."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return f"{len(body)} bytes that are no text"
    more = len(text) - longest
    return f"{text[:longest]}… ({more} characters more)" if more > 0 else text


def read_number(body: bytes) -> float | None:
    """Return the number that a body is, or that is the reading of its JSON object; None if there is none."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(document, dict):
        document = _find_reading(document)
    if isinstance(document, bool) or not isinstance(document, int | float):
        return None
    try:
        number = float(document)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _find_reading(document: dict[str, Any]) -> Any:
    named = (document[name] for name in _FIELDS if name in document)
    numbers = [value for value in document.values() if isinstance(value, int | float)]
    return next(named, numbers[0] if len(numbers) == 1 else None)
