"""Jobs: what the dashboard has done with functions, each by a child process, as if typed at the command line.

So signals, locks and memory are as there, and whatever ends the dashboard leaves the child, or what it leaves behind,
to the same rules.
"""

import asyncio
import os
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict

from stack.state.deploy_log import note_failure
from stack.state.deployment import AUTHOR
from stack.state.workspace import PROGRAM, VARIABLE, Workspace

# Of what a child says besides its log, for the case that it ends without an explanation.
_LAST_LINES = 20
_DEPLOYS = ("deploy", "roll back")
# How many functions are deployed at the same time where all are; each deploy is a process.
_SIDE_BY_SIDE = 2


class FunctionCommand(BaseModel):
    """What is to be done with a function; `number` is a revision, or how many containers."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    verb: Literal["deploy", "roll back", "scale", "delete", "remove"]
    name: str
    number: int = 0
    message: str = ""
    notes: tuple[str, ...] = ()
    """More lines for the log of a deploy."""


@dataclass(eq=False)
class Job:
    """An order that is being followed; `began` is milliseconds since 1970."""

    order: FunctionCommand
    began: float
    process: Process
    outcome: "asyncio.Task[str]" = field(repr=False)

    @property
    def is_deploy(self) -> bool:
        """Return whether the function is being built or started by it."""
        return self.order.verb in _DEPLOYS

    def terminate(self) -> None:
        """Ask it to end in order."""
        with suppress(ProcessLookupError):
            self.process.terminate()

    async def wait(self) -> str:
        """Wait until it is done; return why it failed, or nothing."""
        return await asyncio.shield(self.outcome)


@dataclass
class Jobs:
    """The jobs of one dashboard; `on_change` is told the name of a function whose job begins or ends."""

    workspace: Workspace
    on_change: Callable[[str], object] = lambda _: None
    _running: defaultdict[str, list[Job]] = field(default_factory=lambda: defaultdict(list))
    _series: "set[asyncio.Task[None]]" = field(default_factory=set)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by anyone who looks how a function is and starts a job because of that."""

    def running(self, name: str) -> Job | None:
        """Return the job that works on a function, or waits to do so; of several the latest."""
        jobs = self._running.get(name)
        return jobs[-1] if jobs else None

    async def deploy(self, name: str, *, message: str = "", notes: Sequence[str] = (), author: str = "") -> Job:
        """Deploy a function from its folder; return when that runs. Its log begins with the notes."""
        order = FunctionCommand(verb="deploy", name=name, message=message, notes=tuple(notes))
        return await self._start(order, author)

    def deploy_all(self, names: Sequence[str], *, author: str = "") -> None:
        """Begin to deploy functions from their folders, a few at a time."""
        series = asyncio.create_task(self._deploy_in_turn(names, author))
        self._series.add(series)
        series.add_done_callback(self._series.discard)

    async def roll_back(self, name: str, number: int, *, author: str = "") -> Job:
        """Deploy an older revision of a function; return when that runs."""
        return await self._start(FunctionCommand(verb="roll back", name=name, number=number), author)

    async def scale(self, name: str, replicas: int, *, author: str = "") -> Job:
        """Have so many containers of a function run; return when that runs."""
        return await self._start(FunctionCommand(verb="scale", name=name, number=replicas), author)

    async def delete(self, name: str, *, author: str = "") -> Job:
        """Stop a function and remove what it has but its folder; return when that runs."""
        return await self._start(FunctionCommand(verb="delete", name=name), author)

    async def remove(self, name: str, *, author: str = "") -> Job:
        """Do that, and put its folder away; return when that runs."""
        return await self._start(FunctionCommand(verb="remove", name=name), author)

    async def cancel(self, name: str) -> None:
        """Have the jobs of a function end in order, and wait for it."""
        await self._end(self._running.get(name, ()))

    async def stop(self) -> None:
        """Have every job end in order, as Ctrl-C would, and wait for it."""
        for series in self._series:
            series.cancel()
        await self._end([job for jobs in self._running.values() for job in jobs])

    async def _deploy_in_turn(self, names: Sequence[str], author: str) -> None:
        place = asyncio.Semaphore(_SIDE_BY_SIDE)

        async def deploy(name: str) -> None:
            async with place:
                job = await self.deploy(name, author=author)
                await job.wait()

        await asyncio.gather(*map(deploy, names))

    async def _end(self, jobs: Sequence[Job]) -> None:
        waits = [job.wait() for job in jobs]
        for job in jobs:
            job.terminate()
        await asyncio.gather(*waits)

    async def _start(self, order: FunctionCommand, author: str) -> Job:
        began = time.time() * 1000
        environment = {**os.environ, VARIABLE: str(self.workspace.root), **({AUTHOR: author} if author else {})}
        # In a session of its own, so that Ctrl-C on the dashboard's terminal reaches it once, by `stop`.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "stack.run.job_command", order.model_dump_json(),
            cwd=PROGRAM, env=environment, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True,
        )  # fmt: skip
        job = Job(order, began, process, asyncio.create_task(self._follow(order, began, process=process)))
        self._running[order.name].append(job)
        job.outcome.add_done_callback(lambda _: self._finish(job))
        self.on_change(order.name)
        return job

    async def _follow(self, order: FunctionCommand, began: float, *, process: Process) -> str:
        assert process.stdout is not None
        assert process.stderr is not None
        said = process.stdout.read(), _read_last(process.stderr), process.wait()
        reason, last, status = await asyncio.gather(*said)
        if not status:
            return ""
        why = reason.decode(errors="replace").strip() or f"The task ended with status {status}. It said:\n{last}"
        if order.verb in _DEPLOYS:
            note_failure(self.workspace, order.name, why, since=began)
        return why

    def _finish(self, job: Job) -> None:
        self._running[job.order.name].remove(job)
        if not self._running[job.order.name]:
            del self._running[job.order.name]
        self.on_change(job.order.name)


async def _read_last(stream: asyncio.StreamReader) -> str:
    """Read a stream to its end; return its last lines."""
    last: deque[str] = deque(maxlen=_LAST_LINES)
    while block := await stream.read(65536):
        last.extend(block.decode(errors="replace").splitlines())
    return "\n".join(last)
