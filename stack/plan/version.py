"""RabbitMQ's releases: which reads the data of which, and the way from one to another."""

import re

# The series to which each may be upgraded in place, as RabbitMQ's page on upgrades has them. Of a later series than
# these it is only known that the series before it will do.
_NEXT = {
    (3, 8): ((3, 9),),
    (3, 9): ((3, 10),),
    (3, 10): ((3, 11),),
    (3, 11): ((3, 12),),
    (3, 12): ((3, 13),),
    (3, 13): ((4, 0), (4, 1), (4, 2)),
    (4, 0): ((4, 1), (4, 2)),
    (4, 1): ((4, 2),),
    (4, 2): ((4, 3),),
}
_KNOWN = sorted({*_NEXT, *(one for found in _NEXT.values() for one in found)})
_MOST_STEPS = 20
_VERSION = re.compile(r"(\d+)\.(\d+)")

Series = tuple[int, int]


def read_series(version: str) -> Series | None:
    """Return the series of a version: 4.0.5 is of (4, 0); nothing for a text that is no version."""
    match = _VERSION.match(version.strip())
    return (int(match[1]), int(match[2])) if match else None


def find_path(old: Series, new: Series) -> tuple[Series, ...] | None:
    """Return the series through which data goes from one to another, both included, by the fewest steps.

    Nothing if there is no way, such as back to an older one.
    """
    if old == new:
        return (old,)
    paths: list[tuple[Series, ...]] = [(old,)]
    while paths:
        path = paths.pop(0)
        for one in sorted(_list_next(path[-1]), reverse=True):
            if one == new:
                return (*path, one)
            if one < new and len(path) < _MOST_STEPS:
                paths.append((*path, one))
    return None


def explain_step(old: str, new: str) -> str:
    """Return why data of one version cannot be read by another, and what can; nothing if it can."""
    before, after = read_series(old), read_series(new)
    if before is None or after is None:
        return ""
    path = find_path(before, after)
    if path is None and after < before:
        return (
            f"RabbitMQ {new} does not read the data of {old}, which is newer. Take an image of {_name(before)} or "
            "later (`images.rabbitmq` in stack.yaml, or a newer release of this system)."
        )
    if path is None:
        return f"No way is known from the data of RabbitMQ {old} to {new}. Take an image of {_name(before)}."
    if len(path) > 2:
        way = ", then ".join(_name(one) for one in path[1:])
        return (
            f"RabbitMQ {new} does not read the data of {old} at once. Go by way of {way}: set `images.rabbitmq` in "
            f"stack.yaml to rabbitmq:{_name(path[1])}-management, and type `invoke upgrade`, for each."
        )
    return ""


def needs_feature_flags(old: str, new: str) -> bool:
    """Return whether all stable feature flags are to be enabled before the step: whenever the series changes."""
    return read_series(old) != read_series(new)


def _list_next(series: Series) -> tuple[Series, ...]:
    if series in _NEXT:
        return _NEXT[series]
    # A series that came after this was written is taken to follow the one before it.
    return ((series[0], series[1] + 1),) if series >= _KNOWN[-1] else ()


def _name(series: Series) -> str:
    return f"{series[0]}.{series[1]}"
