"""Tracebacks in the last lines of a container, which fails in the same way each time that it starts."""

from collections.abc import Iterator, Sequence

_BEGINNING = "Traceback (most recent call last):"
_BELOW = "(the same traceback as below)"


def tell_tracebacks_once(lines: Sequence[str]) -> Iterator[str]:
    """Yield lines, with a word in the place of each traceback that comes again: the last one is what counts."""
    blocks = list(_split(lines))
    for number, block in enumerate(blocks):
        if len(block) > 1 and block in blocks[number + 1 :]:
            yield _BELOW
        else:
            yield from block


def _split(lines: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield each traceback with its error's line, and each other line alone."""
    start = 0
    while start < len(lines):
        end = _find_end(lines, start)
        yield tuple(lines[start:end])
        start = end


def _find_end(lines: Sequence[str], start: int) -> int:
    """Return where the traceback that begins at a line ends, with its error's line; the next line if none begins."""
    if not lines[start].endswith(_BEGINNING):
        return start + 1
    end = start + 1
    while end < len(lines) and lines[end].startswith(" "):
        end += 1
    return min(end + 1, len(lines))
