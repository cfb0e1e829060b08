"""Flags of `docker build` that a function's author may set."""

import shlex

# What `docker build` may be told; what is built, from what, and where it goes, is Tidegate's own.
_FLAGS = frozenset(
    {
        *("--add-host", "--build-arg", "--cache-from", "--cgroup-parent", "--label", "--network", "--no-cache"),
        *("--no-cache-filter", "--platform", "--pull", "--shm-size", "--ssh", "--ulimit"),
    }
)
# Flags of Nuclio's own builder that BuildKit has no use for.
_NEEDLESS = frozenset({"--force-rm", "--rm", "--compress"})


def split_flags(flags: list[str]) -> tuple[str, ...]:
    """Return the words of flags for `docker build`, each written with its value or before it.

    Raises:
        ValueError: one is not permitted, or no flag stands before a value.
    """
    words = [word for flag in flags for word in shlex.split(flag)]
    for word in words:
        name = word.partition("=")[0]
        if word.startswith("-") and name not in _FLAGS | _NEEDLESS:
            raise ValueError(f"{name!r} is not permitted; known: {', '.join(sorted(_FLAGS))}")
    if words and not words[0].startswith("-"):
        raise ValueError(f"{words[0]!r} should be a flag, such as --network=host")
    return tuple(word for word in words if word not in _NEEDLESS)
