"""The topics `logs:NAME`: what the containers of a function, or of another service, say."""

import asyncio
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiodocker import Docker

from stack.docker.container import Container
from stack.docker.engine import Engine
from stack.errors import EngineError
from stack.live.channel import LogTail
from stack.live.docker import FAILURES, AsyncEngine
from stack.plan.function import service_name

_KEPT = 500
_PAUSE = 5.0
# Characters of a line that are shown.
_LONGEST = 4000
# The levels of Nuclio's console, and those of RabbitMQ, HAProxy and JSON lines.
_LETTER = re.compile(r"^[\d.]{8} [\d:.]{12} \((?P<letter>[DIWE])\) ")
_WORD = re.compile(r"^(?:\S+ \S+ )?\[(?P<word>\w+)\]|^\{.*?\"level\": ?\"(?P<field>\w+)\"", re.IGNORECASE)
# Nuclio's console: date, level's letter, the logger's name, which pages show before the message or not at all.
_CONSOLE = re.compile(r"^\d\d\.\d\d\.\d\d \d\d:\d\d:\d\d\.\d{3} \([DIWE]\)\s+\S+ ")
_TRACEBACK = "Traceback (most recent call last)"
_OF_LINES = frozenset({"message", "level", "name", "time", "datetime"})
_LETTERS = {"D": "debug", "I": "info", "W": "warn", "E": "error"}
_WORDS = {
    "debug": "debug", "info": "info", "notice": "info", "warn": "warn", "warning": "warn", "error": "error",
    "alert": "error", "critical": "error",
}  # fmt: skip


class LogSource:
    """The last lines of all containers of one service, and what they say next."""

    pause = _PAUSE

    def __init__(self, engine: AsyncEngine, name: str, touch: Callable[[], None]) -> None:
        self._engine = engine
        self._names = (name, service_name(name))
        self._touch = touch
        self._entries: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._reader = RecordReader()
        self._count = 0
        self._followers: dict[str, asyncio.Task[None]] = {}
        self._last: dict[str, float] = {}

    async def look(self) -> LogTail:
        """Return the last lines, each as `RecordReader` has it."""
        # What was said stays to be read while Docker is away.
        with suppress(*FAILURES):
            await self._see_to_followers()
        return LogTail(self._count, tuple(self._entries))

    async def rest(self) -> None:
        """Follow no more, and forget."""
        for task in self._followers.values():
            task.cancel()
        await asyncio.gather(*self._followers.values(), return_exceptions=True)
        self._followers.clear()
        self._last.clear()
        self._entries.clear()
        self._reader = RecordReader()

    async def _see_to_followers(self) -> None:
        containers = [one.container for one in await self._engine.instances() if one.container.service in self._names]
        new = [one for one in containers if one.id not in self._last]
        said = await asyncio.gather(*(self._engine.lines(one, tail=_KEPT) for one in new))
        for one in new:
            self._last[one.id] = 0.0
        pairs = [(one, line) for one, lines in zip(new, said, strict=True) for line in lines]
        for one, line in sorted(pairs, key=lambda pair: pair[1].partition(" ")[0]):
            self._note(one, line)
        for one in containers:
            task = self._followers.get(one.id)
            if one.is_running and (task is None or task.done()):
                self._followers[one.id] = asyncio.create_task(self._follow(one))

    async def _follow(self, container: Container) -> None:
        try:
            async for line in self._engine.follow(container, self._last[container.id]):
                if self._note(container, line):
                    self._touch()
        except FAILURES:
            return

    def _note(self, container: Container, line: str) -> bool:
        """Keep a line, unless it was kept before; Docker's `since` includes the last one."""
        time = _read_time(line)
        if time <= self._last[container.id]:
            return False
        self._last[container.id] = time
        self._entries.append(self._reader.read(read_line(container.name, line)))
        self._count += 1
        return True


class RecordReader:
    """Reads what containers say as records: one line each, but for the lines of a traceback."""

    def __init__(self) -> None:
        self._last: dict[str, _Record] = {}

    def read(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return a line of `read_line` as pages show it; one that goes on has the `record` of the one before it."""
        raw, last = entry["text"], self._last.get(entry["container"])
        if last and not entry["level"] and (last.is_inside or raw.startswith(_TRACEBACK)):
            last.is_inside = raw.startswith(_TRACEBACK) or not raw or raw[0].isspace()
        else:
            last = self._last[entry["container"]] = _Record(f"{entry['container']} {entry['time']:.6f}")
            raw = read_text(raw)
        return entry | {"text": _cut(raw), "record": last.key}


@dataclass
class _Record:
    """The last record of a container; a traceback ends with its first line without indent."""

    key: str
    is_inside: bool = False


def read_line(container: str, line: str) -> dict[str, Any]:
    """Read a line that has its time before it, in seconds since 1970; a line that tells no level has an empty one."""
    text = line.partition(" ")[2]
    return {"time": _read_time(line), "container": container, "level": read_level(text), "text": text}


def read_text(text: str) -> str:
    """Return what a line says, as Nuclio's logger writes it to the console or as JSON, with what was logged with it."""
    if not text.startswith("{"):
        return _CONSOLE.sub("", text)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if "message" not in document or "level" not in document:
        return text
    rest = {key: value for key, value in document.items() if key not in _OF_LINES}
    fields = f" {json.dumps(rest, ensure_ascii=False, separators=(',', ':'))}" if rest else ""
    # JSON may hold half of a surrogate pair, which no page can.
    return f"{document['message']}{fields}".encode(errors="replace").decode()


def _cut(text: str) -> str:
    """Return as much of a line as is shown; the log that is downloaded has all."""
    more = len(text) - _LONGEST
    return f"{text[:_LONGEST]}… ({more} characters more; Download has all)" if more > 0 else text


def read_level(text: str) -> str:
    """Return the level of a line: debug, info, warn, error, or nothing."""
    if match := _LETTER.match(text):
        return _LETTERS[match["letter"]]
    if match := _WORD.match(text):
        return _WORDS.get((match["word"] or match["field"]).lower(), "")
    return ""


def _read_time(line: str) -> float:
    """Return the time in seconds since 1970; Docker's has nanoseconds, which Python passes over."""
    try:
        return datetime.fromisoformat(line.partition(" ")[0]).timestamp()
    except ValueError:
        return 0.0


# The most lines of one container that are read at once: about 10 MB.
MOST_LINES = 50_000


@dataclass(frozen=True)
class Excerpt:
    """Which lines: so many of each container at most, none older than a time (seconds since 1970)."""

    tail: int = MOST_LINES
    since: float = 0.0


async def read_transcript(engine: Engine, function: str, *, excerpt: Excerpt) -> tuple[dict[str, Any], ...]:
    """Return the lines of all containers of a function, each as the topic `logs:NAME` has it.

    Raises:
        EngineError: Docker does not answer.
    """
    containers = [one for one in await asyncio.to_thread(engine.listed) if one.function == function]
    async with _open_engine(engine.project) as live:
        read = await asyncio.gather(*(_read(live, one, excerpt=excerpt) for one in containers))
    return tuple(sorted((entry for entries in read for entry in entries), key=lambda entry: entry["time"]))


def write_transcript(entries: Sequence[dict[str, Any]]) -> str:
    """Return lines as text, each with its time, and its container's name where there are several."""
    has_several = len({entry["container"] for entry in entries}) > 1
    return "".join(_write(entry, has_container=has_several) for entry in entries)


async def _read(engine: AsyncEngine, container: Container, *, excerpt: Excerpt) -> Sequence[dict[str, Any]]:
    tail = min(excerpt.tail, MOST_LINES)
    query = f"timestamps=1&tail={tail}&since={excerpt.since:.9f}"
    text = "".join([piece async for piece in engine.texts(container, query)])
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
