"""How a function is, in one of Nuclio's words."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from stack.run.catalogue.sketch import Sketch
from stack.run.deploy.log import ROLLBACK, Attempt, Result
from stack.run.docker.container import Container
from stack.run.job.job import Job

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


def tell_state(sketch: Sketch, containers: Sequence[Container], job: Job | None) -> State:
    """Say how a function is. A deploy that failed counts until the next, although what ran before runs on.

    One that was to go back to an older revision does not: what runs is what its folder and its clients know.
    """
    last = sketch.attempts[-1] if sketch.attempts else None
    if _is_building(sketch, job):
        return State(BUILDING, is_settled=job is not None)
    if sketch.refusal:
        return State(ERROR, sketch.refusal)
    if last and last.end and last.result is not Result.READY and not _is_lost_rollback(sketch, last):
        return State(ERROR, last.end.message)
    if sketch.deployed is None:
        return State(ERROR, sketch.problem) if sketch.problem else State(NOT_DEPLOYED)
    if sketch.deployed.spec.disable:
        return State(STANDBY)
    if not sketch.replicas:
        return State(SCALED_TO_ZERO)
    return _tell_health(last, containers)


def _is_lost_rollback(sketch: Sketch, last: Attempt) -> bool:
    """Return whether the last deploy was a rollback that failed: the function is as it was before."""
    return sketch.deployed is not None and last.begin.reason.startswith(ROLLBACK)


def _is_building(sketch: Sketch, job: Job | None) -> bool:
    begun = sketch.attempts[-1].begin.time if sketch.attempts else 0.0
    return sketch.is_being_deployed or (job is not None and job.is_deploy and begun < job.began)


def _tell_health(last: Attempt | None, containers: Sequence[Container]) -> State:
    if any(one.is_ready for one in containers):
        return State(READY, _tell_lost_rollback(last))
    is_new = last is not None and last.end is not None and _age(last.end.time) < _HEALTH_MILLISECONDS
    if is_new and any(one.is_running and one.health == "starting" for one in containers):
        return State(READY, is_settled=False)
    conditions = ", ".join(sorted({one.condition for one in containers}))
    return State(UNHEALTHY, f"Its containers are {conditions}." if conditions else "It has no container.")


def _tell_lost_rollback(last: Attempt | None) -> str:
    if last is None or last.end is None or last.result is Result.READY:
        return ""
    return f"The last {last.begin.reason} failed: {last.end.message}"


def _age(milliseconds: float) -> float:
    return time.time() * 1000 - milliseconds
