"""Flags of `docker build` that a function's author may set."""

import shlex
from collections.abc import Iterator

from stack.config.image import is_image_name

# What `docker build` may be told; what is built, from what, and where it goes, is Tidegate's own. Those that lend the
# build a key, a file, a folder or a right of this machine are not among them.
_WITH_VALUE = frozenset(
    {
        *("--add-host", "--build-arg", "--cache-from", "--label", "--network", "--no-cache-filter", "--platform"),
        *("--shm-size", "--ulimit"),
    }
)
_ALONE = frozenset({"--no-cache", "--pull"})
# Flags of Nuclio's own builder that BuildKit has no use for.
_NEEDLESS = frozenset({"--force-rm", "--rm", "--compress"})
# Networks that give a build no more than it has.
_PLAIN_NETWORKS = ("none", "default")
# Arguments that tell BuildKit itself what to do, such as to read the Dockerfile by another program.
_OF_BUILDKIT = "BUILDKIT_"


def split_flags(flags: list[str]) -> tuple[str, ...]:
    """Return the words of flags for `docker build`, each written with its value or before it.

    Raises:
        ValueError: one is not permitted, lacks its value, or no flag stands before a value.
    """
    return tuple(word for name, _, words in _parse(flags) if name not in _NEEDLESS for word in words)


def find_host_flags(flags: list[str]) -> tuple[str, ...]:
    """Return the flags by which a build uses this machine's own network, each with its value."""
    return tuple(f"{name}={value}" for name, value, _ in _parse(flags) if _is_of_host(name, value))


def _is_of_host(name: str, value: str) -> bool:
    return name == "--add-host" or (name == "--network" and value not in _PLAIN_NETWORKS)


def _parse(flags: list[str]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield each flag: its name, its value, and the words that it is written with."""
    words = iter([word for flag in flags for word in shlex.split(flag)])
    for word in words:
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            raise ValueError(f"{word!r} should be a flag, such as --no-cache")
        if name not in _WITH_VALUE | _ALONE | _NEEDLESS:
            known = ", ".join(sorted(_WITH_VALUE | _ALONE))
            raise ValueError(f"{name!r} is not permitted; known: {known}")
        written: tuple[str, ...] = (word,)
        if name in _WITH_VALUE and not equals:
            value = next(words, "")
            if not value or value.startswith("-"):
                raise ValueError(f"{name} needs a value, such as {name}=VALUE")
            written = (word, value)
        _check_value(name, value)
        yield name, value, written


def _check_value(name: str, value: str) -> None:
    if name == "--cache-from" and not is_image_name(value):
        raise ValueError(f"--cache-from should be the name of an image, not {value!r}")
    if name == "--build-arg" and value.upper().startswith(_OF_BUILDKIT):
        raise ValueError(f"{value.partition('=')[0]!r} is an argument for BuildKit itself, which is not permitted")
