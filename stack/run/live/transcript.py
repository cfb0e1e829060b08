"""What the containers of one function have said, put together in the order of time; asked for once, not followed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiodocker import Docker

from stack.errors import EngineError
from stack.run.docker.container import Container
from stack.run.live.engine import AsyncEngine
from stack.run.live.events import FAILURES
from stack.run.live.log import read_line

# The most lines of one container that are read at once: about 10 MB.
MOST_LINES = 50_000


@dataclass(frozen=True)
class Excerpt:
    """Which lines: so many of each container at most, none older than a time (seconds since 1970)."""

    tail: int = MOST_LINES
    since: float = 0.0


async def read_transcript(project: str, function: str, excerpt: Excerpt) -> tuple[dict[str, Any], ...]:
    """Return the lines of all containers of a function, each as the topic `logs:NAME` has it.

    Raises:
        EngineError: Docker does not answer.
    """
    async with _open_engine(project) as engine:
        containers = [one.container for one in await engine.instances() if one.container.function == function]
        read = await asyncio.gather(*(_read(engine, one, excerpt) for one in containers))
    return tuple(sorted((entry for entries in read for entry in entries), key=lambda entry: entry["time"]))


def write_transcript(entries: Sequence[dict[str, Any]]) -> str:
    """Return lines as text, each with its time, and its container's name where there are several."""
    has_several = len({entry["container"] for entry in entries}) > 1
    return "".join(_write(entry, has_container=has_several) for entry in entries)


async def _read(engine: AsyncEngine, container: Container, excerpt: Excerpt) -> Sequence[dict[str, Any]]:
    tail = min(excerpt.tail, MOST_LINES)
    query = f"timestamps=1&tail={tail}&since={excerpt.since:.9f}"
    text = "".join([piece async for piece in engine.texts(container.id, query)])
    return [read_line(container.name, line) for line in text.splitlines()]


@asynccontextmanager
async def _open_engine(project: str) -> AsyncIterator[AsyncEngine]:
    try:
        async with Docker() as docker:
            # Finds out which of its versions Docker speaks.
            await docker.version()
            yield AsyncEngine(docker, project)
    except FAILURES as error:
        raise EngineError(f"Docker does not tell the log: {error}.") from error


def _write(entry: dict[str, Any], *, has_container: bool) -> str:
    time = datetime.fromtimestamp(entry["time"], UTC).isoformat(timespec="milliseconds")
    return f"{time} {entry['container'] + ' ' if has_container else ''}{entry['text']}\n"
