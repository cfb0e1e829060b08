"""Tracebacks in the last lines of a container, which fails in the same way each time that it starts."""

from collections.abc import Iterator, Sequence

_BEGINNING = "Traceback (most recent call last):"
_AGAIN = "(the same traceback as above)"


def tell_tracebacks_once(lines: Sequence[str]) -> Iterator[str]:
    """Yield lines, with a word in the place of each traceback that was there before."""
    seen: set[tuple[str, ...]] = set()
    number = 0
    while number < len(lines):
        end = _find_end(lines, number)
        block = tuple(lines[number:end])
        if end - number > 1 and block in seen:
            yield _AGAIN
        else:
            yield from block
        seen.add(block)
        number = end


def _find_end(lines: Sequence[str], start: int) -> int:
    """Return where the traceback that begins at a line ends, with its error's line; the next line if none begins."""
    if not lines[start].endswith(_BEGINNING):
        return start + 1
    end = start + 1
    while end < len(lines) and lines[end].startswith(" "):
        end += 1
    return min(end + 1, len(lines))
