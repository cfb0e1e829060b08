"""What differs between two versions of a function's files, line by line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

# Lines around a change that stay the same and are shown with it.
_AROUND = 3
# Longer files take long to compare and nobody reads it.
_MOST_LINES = 5_000


@dataclass(frozen=True)
class Line:
    """One line of a difference: `kind` is same, added, removed, or skipped before lines that are not shown."""

    kind: str
    text: str


@dataclass(frozen=True)
class FileDifference:
    """One file that differs: `kind` is added, removed or changed; of what is no text there are no lines."""

    path: str
    kind: str
    lines: tuple[Line, ...]

    @property
    def added(self) -> int:
        """Return how many lines are new."""
        return sum(line.kind == "added" for line in self.lines)

    @property
    def removed(self) -> int:
        """Return how many lines are gone."""
        return sum(line.kind == "removed" for line in self.lines)


def compare_files(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> tuple[FileDifference, ...]:
    """Return the files that differ, by their paths."""
    paths = sorted({*before, *after})
    return tuple(_compare(path, before, after) for path in paths if before.get(path) != after.get(path))


def _compare(path: str, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> FileDifference:
    kind = "changed" if path in before and path in after else "added" if path in after else "removed"
    old, new = (_read_lines(files.get(path, b"")) for files in (before, after))
    if old is None or new is None or max(len(old), len(new)) > _MOST_LINES:
        return FileDifference(path, kind, ())
    return FileDifference(path, kind, tuple(_compare_lines(old, new)))


def _read_lines(content: bytes) -> list[str] | None:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text.splitlines()


def _compare_lines(old: list[str], new: list[str]) -> Iterator[Line]:
    shown = 0
    for group in SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(_AROUND):
        if group[0][1] > shown:
            yield Line("skipped", _tell_place(group[0][1], group[0][3]))
        for tag, begin, end, new_begin, new_end in group:
            if tag == "equal":
                yield from (Line("same", text) for text in old[begin:end])
                continue
            yield from (Line("removed", text) for text in old[begin:end])
            yield from (Line("added", text) for text in new[new_begin:new_end])
        shown = group[-1][2]


def _tell_place(old: int, new: int) -> str:
    return f"line {old + 1}" if old == new else f"line {old + 1}, now {new + 1}"
