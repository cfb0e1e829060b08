"""The NUL character, which no variable, label or path of a container can have."""

from collections.abc import Iterator

from stack.config.problem import Problem

_ZERO = "\0"


def find_zeros(document: object) -> Iterator[Problem]:
    """Find each text of a document, keys included, that has a NUL character."""
    waiting: list[tuple[tuple[str, ...], object]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        pairs: list[tuple[str, object]] = []
        if isinstance(value, dict):
            pairs = [(str(key), item) for key, item in value.items()]
            yield from (_tell((*path, key), "its key") for key, _ in pairs if _ZERO in key)
        elif isinstance(value, list):
            pairs = [(str(number), item) for number, item in enumerate(value)]
        elif isinstance(value, str) and _ZERO in value:
            yield _tell(path, "it")
        waiting += [((*path, part), item) for part, item in reversed(pairs)]


def _tell(path: tuple[str, ...], what: str) -> Problem:
    return Problem(path, f"should have no NUL character; take \\0 out of {what}")
