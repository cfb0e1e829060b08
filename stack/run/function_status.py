"""How functions are, deployed or not."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from stack import console
from stack.config.settings import Settings
from stack.docker.container import Container
from stack.docker.engine import Engine
from stack.docker.stack import Stack, open_stack, warn_refused
from stack.errors import ConfigError
from stack.plan.gateway import find_url
from stack.plan.metrics import Handling
from stack.plan.stack import Service
from stack.run.function_snapshot import FunctionSnapshot
from stack.run.job import Job
from stack.state.deploy_log import ROLLBACK, Attempt, Result

# The state of a function that asks for what stack.yaml does not allow it of this machine.
NOT_ALLOWED = "not allowed"


@dataclass(frozen=True)
class FunctionStatus:
    """How one function is; `url` is what curl takes, empty where the gateway does not lead to it."""

    name: str
    project: str
    state: str
    url: str
    image: str
    replicas: int
    triggers: tuple[dict[str, str], ...]
    note: str = ""
    """What to know besides: that it was rolled back, or that its folder is gone."""


def list_functions() -> tuple[FunctionStatus, ...]:
    """Tell how every function is, deployed or not; one that is wrong and not deployed is warned of."""
    stack = open_stack(is_lenient=True)
    containers = stack.engine.containers()
    try:
        replace(stack, is_lenient=False).undeployed  # noqa: B018 -- for its errors
    except ConfigError as error:
        console.warn(str(error))
    warn_refused(stack)
    found = [_status(service, containers, stack.settings) for service in stack.inputs.services]
    found += [_tell_refused(stack, name) for name in stack.refused]
    return tuple(replace(one, note=stack.notes.get(one.name, "")) for one in sorted(found, key=lambda one: one.name))


def _tell_refused(stack: Stack, name: str) -> FunctionStatus:
    """Tell of a deployed function that may not run."""
    deployment = stack.deployments[name]
    plan = deployment.plan(stack.settings)
    triggers = tuple({"name": key, "kind": trigger.kind} for key, trigger in plan.triggers.items())
    return FunctionStatus(name, plan.project, NOT_ALLOWED, "", deployment.image, 0, triggers)


def describe_functions(stack: Stack, services: Sequence[Service]) -> tuple[FunctionStatus, ...]:
    """Tell how functions are."""
    containers = stack.engine.containers()
    return tuple(_status(service, containers, stack.settings) for service in services)


def print_functions_table(functions: Sequence[FunctionStatus]) -> None:
    """Show functions as a table."""
    rows = [
        {
            "name": one.name,
            "project": one.project,
            "state": one.state,
            "url": one.url or "-",
            "replicas": str(one.replicas),
            "triggers": ", ".join(trigger["kind"] for trigger in one.triggers),
        }
        for one in functions
    ]
    console.show_table(("name", "project", "state", "url", "replicas", "triggers"), rows)
    for one in functions:
        if one.note:
            console.note(f"{one.name} {one.note}.")


def _status(service: Service, containers: Sequence[Container], settings: Settings) -> FunctionStatus:
    own = [one for one in containers if one.service == service.plan.service]
    return FunctionStatus(
        name=service.plan.name,
        project=service.plan.project,
        state=_tell_state(service, own),
        url=find_url(service.plan, settings) if service.is_deployed else "",
        image=service.image if service.is_deployed else "",
        replicas=sum(one.is_running for one in own),
        triggers=tuple({"name": name, "kind": trigger.kind} for name, trigger in service.plan.triggers.items()),
    )


def _tell_state(service: Service, containers: Sequence[Container]) -> str:
    """Return Nuclio's word where it has one: ready, unhealthy, scaledToZero, standby."""
    if not service.is_deployed and not containers:
        return "not deployed"
    if any(one.is_ready for one in containers):
        return "ready"
    if service.plan.spec.disable:
        return "standby"
    if not service.replicas:
        return "scaledToZero"
    return containers[0].condition if containers else "stopped"


# Characters of a container's id, by which Docker's network knows it too.
_SHORT_ID = 12


@dataclass(frozen=True)
class Figures:
    """One container's figures since it started; `reason` is why it cannot handle events, empty when it can."""

    reason: str = ""
    refusal: str = ""
    """Which queue of failed messages the broker refuses, and why; empty when it does not."""
    events: int = 0
    failures: int = 0
    rate: float = 0.0
    """Events a second, over the last minute."""
    in_flight: int = 0
    retried: int = 0
    dead_lettered: int = 0
    reconnects: int = 0
    restarts: int = 0
    busy_seconds: float = 0.0
    """How long the longest event in progress has taken so far."""
    stuck_workers: int = 0
    """How many workers have been at one event for more than a minute."""
    recent_events: int = 0
    recent_failures: int = 0
    """Of the last fifty events or a little more, how many failed."""

    @property
    def handling(self) -> Handling:
        """Return how its handlers do."""
        return Handling(self.busy_seconds, self.stuck_workers, self.recent_events, self.recent_failures, self.refusal)


def read_figures(engine: Engine, containers: Sequence[Container]) -> dict[str, Figures]:
    """Ask every function's container at once; return the figures of those that answer, by id.

    One of them is made to ask the others, since it reaches them wherever Docker runs, and one command is quick.
    """
    running = [one for one in containers if one.function and one.is_running]
    if not running:
        return {}
    hosts = [one.id[:_SHORT_ID] for one in running]
    asker = next((one for one in running if one.is_ready), running[0])
    states = _parse(engine.execute(asker, "processor", "--states", *hosts))
    return {one.id: _read(states[one.id[:_SHORT_ID]]) for one in running if one.id[:_SHORT_ID] in states}


def _parse(text: str) -> dict[str, dict[str, object]]:
    """Return the states by host; none where the container cannot tell, such as one made by an older release."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _read(state: dict[str, object]) -> Figures:
    known = {field.name for field in fields(Figures)}
    return Figures(**{name: value for name, value in state.items() if name in known})  # type: ignore[arg-type]


BUILDING, READY, ERROR, UNHEALTHY = "building", "ready", "error", "unhealthy"
SCALED_TO_ZERO, STANDBY = "scaledToZero", "standby"
# Tidegate's own: Nuclio has no function that is only a folder.
NOT_DEPLOYED = "not deployed"

# Until Docker's own health check, too, says that a function is ready.
_HEALTH_MILLISECONDS = 15_000


@dataclass(frozen=True)
class State:
    """One of the words, and why; what is not settled may change without a sign."""

    word: str
    message: str = ""
    is_settled: bool = True
    ready: int = 0
    """How many containers do their work."""


def describe_state(snapshot: FunctionSnapshot, containers: Sequence[Container], job: Job | None) -> State:
    """Say how a function is. A deploy that failed counts until the next, although what ran before runs on.

    One that was to go back to an older revision does not: what runs is what its folder and its clients know.
    """
    last = snapshot.attempts[-1] if snapshot.attempts else None
    state = _find_state(snapshot, last, containers, job)
    at_work = [one for one in containers if one.is_ready or (state.word == READY and _has_just_started(last, one))]
    return replace(state, ready=len(at_work))


def _find_state(
    snapshot: FunctionSnapshot, last: Attempt | None, containers: Sequence[Container], job: Job | None
) -> State:
    if _is_building(snapshot, job):
        return State(BUILDING, is_settled=job is not None)
    if snapshot.refusal:
        return State(ERROR, snapshot.refusal)
    if last and last.end and last.result is not Result.READY and not _is_lost_rollback(snapshot, last):
        return State(ERROR, last.end.message)
    if snapshot.deployed is None:
        return State(ERROR, snapshot.problem) if snapshot.problem else State(NOT_DEPLOYED)
    if snapshot.deployed.spec.disable:
        return State(STANDBY)
    if not snapshot.replicas:
        return State(SCALED_TO_ZERO)
    return _tell_health(last, containers)


def _is_lost_rollback(snapshot: FunctionSnapshot, last: Attempt) -> bool:
    """Return whether the last deploy was a rollback that failed: the function is as it was before."""
    return snapshot.deployed is not None and last.begin.reason.startswith(ROLLBACK)


def _is_building(snapshot: FunctionSnapshot, job: Job | None) -> bool:
    begun = snapshot.attempts[-1].begin.time if snapshot.attempts else 0.0
    return snapshot.is_being_deployed or (job is not None and job.is_deploy and begun < job.began)


def _tell_health(last: Attempt | None, containers: Sequence[Container]) -> State:
    if any(one.is_ready for one in containers):
        return State(READY, _tell_lost_rollback(last))
    if any(_has_just_started(last, one) for one in containers):
        return State(READY, is_settled=False)
    conditions = ", ".join(sorted({one.condition for one in containers}))
    return State(UNHEALTHY, f"Its containers are {conditions}." if conditions else "It has no container.")


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
