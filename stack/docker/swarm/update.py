"""Waiting until Docker Swarm has updated services, or has taken an update back."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from stack.docker.container import Container
from stack.docker.readiness import read_trouble, tell_failure
from stack.docker.swarm.engine import SwarmEngine
from stack.docker.swarm.task import RUNNING, Document, Swarm, find_failure, is_past, read_labels, read_tasks
from stack.plan.stack import DEFINITION_LABEL

_POLL_SECONDS = 0.2
# How often the containers that do not come up are asked why, and for how long they may have failed by then.
_PROBE_SECONDS, _PATIENCE_SECONDS = 1.0, 5.0
# How long older tasks are waited for, which may have long events to finish.
_ENDING_SECONDS = 2.0
# For how long a service may have no task of its new definition: a manager that is busy says late what it was told.
_UNSEEN_SECONDS = 30.0
_PAUSED = ("paused", "rollback_paused")
_TAKING_BACK = "rollback_started"


@dataclass(frozen=True)
class Goal:
    """How a service is to be: its definition, how many containers it has, and the seconds that it may take."""

    definition: str
    replicas: int
    seconds: float


@dataclass
class UpdateWatch:
    """Services that are being updated."""

    engine: SwarmEngine
    waiting: dict[str, Goal]
    grace: float = 0.0
    """For how many seconds a function that fails to start is waited for: its broker may be starting, too."""
    _began: float = field(default_factory=time.monotonic)
    _probed: float = field(default_factory=time.monotonic)
    _done: dict[str, float] = field(default_factory=dict)

    def look(self) -> dict[str, str]:
        """Return the services that have come up or failed by now, with why they failed, or nothing."""
        swarm, tasks = self.engine.fetch_swarm(), self.engine.fetch_tasks()
        services = {one["Spec"]["Name"].removeprefix(f"{swarm.project}_"): one for one in swarm.services.values()}
        settled = {}
        for name, goal in self.waiting.items():
            service = services.get(name)
            own = [one for one in tasks if service and one["ServiceID"] == service["ID"]]
            if service is None:
                settled[name] = f"{name} was removed meanwhile."
            elif is_done(own, goal, is_global="Global" in service["Spec"]["Mode"]):
                if self._is_over(name, own):
                    settled[name] = ""
            elif reason := self._find_failure(service, own, goal=goal, swarm=swarm):
                settled[name] = reason
        self.waiting = {name: goal for name, goal in self.waiting.items() if name not in settled}
        return settled

    def _is_over(self, name: str, own: list[Document]) -> bool:
        """Return whether older tasks have ended, or have been told to for long enough that nothing comes to them."""
        since = self._done.setdefault(name, time.monotonic())
        ending = [one for one in own if is_past(one) and one["Status"]["State"] == RUNNING]
        return not ending or time.monotonic() > since + _ENDING_SECONDS

    def _find_failure(self, service: Document, own: list[Document], *, goal: Goal, swarm: Swarm) -> str:
        state = (service.get("UpdateStatus") or {}).get("State", "")
        wanted = service["Spec"]["TaskTemplate"]["ContainerSpec"].get("Labels", {}).get(DEFINITION_LABEL)
        new = sorted((one for one in own if _has(one, goal)), key=lambda one: str(one["CreatedAt"]))
        is_new = not service.get("PreviousSpec")
        if not new and time.monotonic() < self._began + _UNSEEN_SECONDS:
            return ""
        if wanted != goal.definition:
            # Swarm itself has taken it back; until the older containers are all there again it is waited for.
            return "" if state == _TAKING_BACK else self._tell(new, swarm, "does not come up")
        if state in _PAUSED or (is_new and find_failure(new)):
            return self._tell(new, swarm, "ended")
        if time.monotonic() > self._began + goal.seconds:
            return self._tell(new, swarm, f"was not ready within {goal.seconds:g} s")
        return self._find_trouble(new, swarm)

    def _find_trouble(self, new: list[Document], swarm: Swarm) -> str:
        """Ask containers that do not come up, now and then: what cannot start says so sooner than Docker."""
        now = time.monotonic()
        if now < self._began + self.grace or now < self._probed + _PROBE_SECONDS:
            return ""
        self._probed = now
        starting = [one for one in read_tasks(new, swarm) if one.is_running and not one.is_ready]
        for id_, page in self.engine.last_probes(starting).items():
            trouble = read_trouble(page)
            if trouble.failing_seconds >= _PATIENCE_SECONDS:
                container = next(one for one in starting if one.id == id_)
                return tell_failure(self.engine, container, what=f"does not come up: {trouble.reason}")
        return ""

    def _tell(self, new: list[Document], swarm: Swarm, what: str) -> str:
        """Say what became of the tasks of a new definition, with the last lines of one that has failed."""
        shown = find_failure(new) or (new[-1] if new else None)
        if shown is None:
            return "Docker did not start it."
        container = _read_alone(shown, swarm)
        err = shown["Status"].get("Err", "")
        return tell_failure(self.engine, container, what=f"{what}: {err}" if err else what)


def _read_alone(task: Document, swarm: Swarm) -> Container:
    return next(read_tasks([{**task, "DesiredState": RUNNING}], swarm))


def _has(task: Document, goal: Goal) -> bool:
    return read_labels(task).get(DEFINITION_LABEL) == goal.definition


def is_done(tasks: list[Document], goal: Goal, *, is_global: bool) -> bool:
    """Return whether a service has as many running tasks of its new definition as it is to have.

    Older ones have been told to end by then, and finish what they have begun.
    """
    live = [one for one in tasks if not is_past(one)]
    new = [one for one in live if _has(one, goal)]
    running = [one for one in new if one["Status"]["State"] == RUNNING]
    wanted = max(1, len(live)) if is_global else goal.replicas
    return len(running) >= wanted and len(new) == len(live)


def watch_updates(engine: SwarmEngine, goals: Mapping[str, Goal], *, grace: float = 0.0) -> Iterator[dict[str, str]]:
    """Look again and again until each service is as it is to be or has failed; yield what each look finds."""
    watch = UpdateWatch(engine, dict(goals), grace)
    while watch.waiting:
        yield watch.look()
        if watch.waiting:
            time.sleep(_POLL_SECONDS)
