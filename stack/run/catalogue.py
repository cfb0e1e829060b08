"""The catalogue: what is known of every function, whether it is only in its folder, deployed, or both.

It is put together from functions/, .stack/state/ and Docker, and kept until one of these changes: those who follow them
says so by `forget` and `forget_containers`.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from watchfiles import awatch

from stack.config.function import DEFAULT_PROJECT, FunctionConfig
from stack.config.output.registry import Output
from stack.config.source import FOLDER
from stack.docker.container import Container
from stack.docker.stack import Stack, open_stack
from stack.errors import EngineError, FunctionError
from stack.plan.function_export import NuclioFunction
from stack.plan.gateway import find_url
from stack.run.function_snapshot import WATCHED, FunctionSnapshot, SnapshotCache
from stack.run.function_status import (
    BUILDING,
    ERROR,
    NOT_DEPLOYED,
    READY,
    UNHEALTHY,
    State,
    find_running_state,
)
from stack.run.job import Job, Jobs
from stack.state.deploy_log import ROLLBACK, Attempt, Entry, Result
from stack.state.workspace import Workspace, make_folder

# For how long something is believed: what is watched, in case that an event was lost; and what nothing tells of, such
# as a deploy that is killed, or a Docker that no one follows.
_LONGEST_SECONDS, _SHORTEST_SECONDS = 30.0, 0.5
# How long several changes of files are gathered.
_DEBOUNCE_MILLISECONDS, _STEP_MILLISECONDS = 200, 50


@dataclass(frozen=True, kw_only=True)
class FunctionRecord(NuclioFunction):
    """One function as a whole: what clients of Nuclio's dashboard are told of it, and what else is known.

    `config`, `handler` and `triggers`, the default ones too, are those of its folder, or of what runs where the folder
    is gone or wrong; `problem` says what is wrong with it. `replicas` is how many containers there should be, and
    `revision` is 0 where it is not deployed.
    """

    files: tuple[str, ...]
    problem: str
    state: str
    message: str
    attempts: tuple[Attempt, ...]
    replicas: int
    ready: int
    url: str = ""
    port: int = 0
    version: str = ""
    """Changes with its folder, so that a client sees that another was quicker."""
    is_log_old: bool = False
    """A deploy has been started and has said nothing yet, so that the log is that of the one before."""
    revision: int = 0
    time: datetime | None = None
    author: str = ""
    reason: str = ""
    note: str = ""
    """What to know of what runs, where its folder does not hold that: it was rolled back, or its folder is gone."""
    is_rolled_back: bool = False
    content: str = ""
    """A digest of what runs, by which it is told from what runs elsewhere."""

    @property
    def outputs(self) -> Mapping[str, Output]:
        """Return where it sends what it makes, by name."""
        return self.config.spec.outputs

    @property
    def logs(self) -> tuple[Entry, ...]:
        """Return what its last deploy said."""
        return self.attempts[-1].entries if self.attempts else ()

    @property
    def is_deployed(self) -> bool:
        """Return whether a version of it was put to work."""
        return self.revision > 0


@dataclass
class Catalogue:
    """What is known of the functions of a workspace. Any thread may ask."""

    workspace: Workspace
    jobs: Jobs
    is_docker_followed: bool = False
    """Somebody calls `forget_containers` at each of Docker's events."""
    _is_watched: bool = False
    _snapshots: SnapshotCache = field(default_factory=SnapshotCache)
    _records: tuple[FunctionRecord, ...] = ()
    _until: float = 0.0
    _containers: Sequence[Container] = ()
    _containers_until: float = 0.0
    _changes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def records(self) -> tuple[FunctionRecord, ...]:
        """Return every function, by name; the same tuple for as long as nothing has changed.

        Raises:
            ConfigError: stack.yaml is wrong.
        """
        with self._lock:
            if time.monotonic() >= self._until:
                changes, now = self._changes, time.monotonic()
                self._records, seconds = self._read()
                self._until = now + seconds if changes == self._changes else 0.0
            return self._records

    def peek(self) -> tuple[FunctionRecord, ...] | None:
        """Return the same at once, if nothing has changed."""
        return self._records if time.monotonic() < self._until else None

    def find(self, name: str) -> FunctionRecord:
        """Return one function.

        Raises:
            FunctionError: there is none of that name.
        """
        records = self.records()
        for one in records:
            if one.name == name:
                return one
        known = ", ".join(one.name for one in records) or "none"
        raise FunctionError(f"There is no function {name!r}. Functions: {known}.")

    def forget(self) -> None:
        """Look at the files again: some may have changed."""
        self._changes += 1
        self._until = 0.0

    def forget_containers(self) -> None:
        """Ask Docker again."""
        self._containers_until = 0.0
        self.forget()

    async def watch(self, told: Callable[[], object] = lambda: None) -> None:
        """Watch the files for ever; `told` is called when some have changed."""
        folders = [self.workspace.root / FOLDER, *(self.workspace.state / name for name in WATCHED)]
        for folder in folders:
            make_folder(folder)
        self._is_watched = True
        try:
            async for _ in awatch(*folders, debounce=_DEBOUNCE_MILLISECONDS, step=_STEP_MILLISECONDS):
                self.forget()
                told()
        finally:
            self._is_watched = False

    def _read(self) -> tuple[tuple[FunctionRecord, ...], float]:
        """Return every function, and for how many seconds that holds if no one says otherwise."""
        stack = open_stack(self.workspace, is_lenient=True)
        containers = self._list_containers(stack)
        found = []
        is_settled = self._is_watched and self.is_docker_followed
        for snapshot in self._snapshots.load_all(stack):
            own = [one for one in containers if one.function == snapshot.name]
            job = self.jobs.running(snapshot.name)
            state = describe_state(snapshot, own, job)
            is_settled = is_settled and state.is_settled
            found.append(_record(stack, snapshot, state=state, containers=own))
        return tuple(found), _LONGEST_SECONDS if is_settled else _SHORTEST_SECONDS

    def _list_containers(self, stack: Stack) -> Sequence[Container]:
        now = time.monotonic()
        if now >= self._containers_until:
            self._containers_until = now + (_LONGEST_SECONDS if self.is_docker_followed else _SHORTEST_SECONDS)
            try:
                self._containers = stack.engine.containers()
            except EngineError:
                self._containers = ()
        return self._containers


def _record(
    stack: Stack, snapshot: FunctionSnapshot, *, state: State, containers: Sequence[Container]
) -> FunctionRecord:
    plan, deployment = snapshot.plan or snapshot.deployed, snapshot.deployment
    runs, last = snapshot.deployed, snapshot.attempts[-1] if snapshot.attempts else None
    config = plan.function.config if plan else FunctionConfig()
    is_here = not config.spec.build.path and not config.spec.image
    return FunctionRecord(
        name=snapshot.name,
        project=plan.project if plan else DEFAULT_PROJECT,
        namespace=plan.namespace if plan else stack.settings.namespace,
        config=config,
        handler=plan.handler if plan else "",
        triggers=plan.triggers if plan else {},
        files=tuple(one.path for one in plan.function.files) if plan else (),
        source=snapshot.source if is_here else "",
        source_path=snapshot.source_path if is_here else "",
        problem=snapshot.problem,
        state=state.word,
        message=state.message,
        attempts=snapshot.attempts,
        replicas=snapshot.replicas,
        ready=state.ready,
        url=find_url(runs, stack.settings) if runs else "",
        port=runs.port if runs else 0,
        image=deployment.image if deployment else "",
        version=snapshot.version,
        is_log_old=state.word == BUILDING and not (last and last.result is Result.RUNNING),
        revision=deployment.revision if deployment else 0,
        time=deployment.time if deployment else None,
        author=deployment.author if deployment else "",
        reason=deployment.message if deployment else "",
        note=snapshot.note,
        is_rolled_back=deployment is not None and bool(deployment.restores),
        content=deployment.content if deployment else "",
    )


# Until Docker's own health check, too, says that a function is ready.
_HEALTH_MILLISECONDS = 15_000


def describe_state(snapshot: FunctionSnapshot, containers: Sequence[Container], job: Job | None) -> State:
    """Say how a function is. A deploy that failed counts until the next, although what ran before runs on.

    One that was to go back to an older revision does not: what runs is what its folder and its clients know.
    """
    last = snapshot.attempts[-1] if snapshot.attempts else None
    state = _find_state(snapshot, last, containers=containers, job=job)
    at_work = [one for one in containers if one.is_ready or (state.word == READY and _has_just_started(last, one))]
    return replace(state, ready=len(at_work))


def _find_state(
    snapshot: FunctionSnapshot, last: Attempt | None, *, containers: Sequence[Container], job: Job | None
) -> State:
    if _is_building(snapshot, job):
        return State(BUILDING, is_settled=job is not None)
    if snapshot.refusal:
        return State(ERROR, snapshot.refusal)
    if last and last.end and last.result is not Result.READY and not _is_lost_rollback(snapshot, last):
        return State(ERROR, last.end.message)
    if snapshot.deployed is None:
        return State(ERROR, snapshot.problem) if snapshot.problem else State(NOT_DEPLOYED)
    state = find_running_state(snapshot.deployed, snapshot.replicas, containers=containers)
    if state.word == READY:
        return replace(state, message=_tell_lost_rollback(last))
    if state.word == UNHEALTHY and any(_has_just_started(last, one) for one in containers):
        return State(READY, is_settled=False)
    return state


def _is_lost_rollback(snapshot: FunctionSnapshot, last: Attempt) -> bool:
    """Return whether the last deploy was a rollback that failed: the function is as it was before."""
    return snapshot.deployed is not None and last.begin.reason.startswith(ROLLBACK)


def _is_building(snapshot: FunctionSnapshot, job: Job | None) -> bool:
    begun = snapshot.attempts[-1].begin.time if snapshot.attempts else 0.0
    return snapshot.is_being_deployed or (job is not None and job.is_deploy and begun < job.began)


def _has_just_started(last: Attempt | None, container: Container) -> bool:
    """Return whether a deploy has seen a container ready of late, which Docker's own health check has not yet."""
    is_new = last is not None and last.end is not None and _age(last.end.time) < _HEALTH_MILLISECONDS
    return is_new and container.is_running and container.health == "starting"


def _tell_lost_rollback(last: Attempt | None) -> str:
    if last is None or last.end is None or last.result is Result.READY:
        return ""
    return f"The last {last.begin.reason} failed: {last.end.message}"


def _age(milliseconds: float) -> float:
    return time.time() * 1000 - milliseconds
