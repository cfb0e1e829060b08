"""The topic `stack`: each service of the stack, and what is wrong with it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic, time
from typing import Any

from stack.docker.container import Container
from stack.docker.stack import Stack
from stack.errors import StackError
from stack.live.docker import FAILURES, AsyncEngine, Instance, Usage
from stack.plan.broker import SERVICE as BROKER
from stack.plan.gateway import SERVICE as GATEWAY
from stack.rabbitmq.drift import BrokerSurvey, survey_stack_broker
from stack.victoriametrics.state import fetch_state

_PAUSE = 5.0
# Seconds between two looks at the oldest message of each bridge.
_OLDEST_PAUSE = 60.0
_NEEDED = (BROKER, GATEWAY)
# States of a container that comes or goes.
_PASSING = ("created", "removing")
# A processor's answer to its health check may be long.
_LONGEST = 300


class ServicesSource:
    """Every service that runs, or should."""

    pause = _PAUSE

    def __init__(self, engine: AsyncEngine, stack: Stack) -> None:
        self._engine = engine
        self._stack = stack
        self._looked = -_OLDEST_PAUSE
        self._oldest: dict[str, float] = {}

    async def look(self) -> dict[str, Any]:
        """Return the services and the problems."""
        try:
            instances = await self._engine.instances()
            usages = await self._engine.usages()
        except FAILURES:
            problem = _problem("Docker", "does not answer.", "It is tried again every second.")
            return {"services": [], "problems": [problem], "bridges": []}
        survey, unasked = await self._survey_broker(instances)
        return {
            "services": describe_services(instances, usages),
            "problems": [
                *find_missing(instances),
                *await self._find_problems(instances),
                *unasked,
                *(one.as_document() for one in survey.all_troubles),
                *await self._find_store_problems(),
            ],
            "bridges": [one.as_document() for one in survey.bridges],
        }

    async def rest(self) -> None:
        """Do nothing: nothing is open."""

    async def _find_problems(self, instances: Sequence[Instance]) -> list[dict[str, str]]:
        return [await self._explain(one.container) for one in instances if _is_bad(one.container)]

    async def _survey_broker(self, instances: Sequence[Instance]) -> tuple[BrokerSurvey, list[dict[str, str]]]:
        """Ask the broker how it is, if it runs; its container tells of one that does not answer."""
        if not any(one.container.service == BROKER and one.container.is_ready for one in instances):
            return BrokerSurvey(), []
        try:
            return await asyncio.to_thread(self._survey), []
        except StackError as error:
            return BrokerSurvey(), [_problem(BROKER, f"is not compared with what is declared: {error}", "Mend that.")]

    def _survey(self) -> BrokerSurvey:
        """Ask the broker; how long the oldest message of a bridge waits, now and then, which takes seconds."""
        looks = monotonic() - self._looked > _OLDEST_PAUSE
        found = survey_stack_broker(self._stack.reopen(), with_oldest=looks)
        if looks:
            self._looked, now = monotonic(), time()
            self._oldest = {one.name: now - one.oldest for one in found.bridges if one.oldest is not None}
        known = {name: max(0.0, time() - since) for name, since in self._oldest.items()}
        bridges = (replace(one, oldest=known.get(one.name) if one.messages else None) for one in found.bridges)
        return replace(found, bridges=tuple(bridges))

    async def _find_store_problems(self) -> list[dict[str, str]]:
        """Ask the store how much room it has; its container tells of one that does not answer."""
        state = await asyncio.to_thread(fetch_state, self._stack)
        return [one.as_document() for one in state.troubles] if state else []

    async def _explain(self, container: Container) -> dict[str, str]:
        subject = container.function or container.service
        if container.is_running:
            said = (await self._engine.health(container.id)).strip()[-_LONGEST:]
            return _problem(subject, f"is {container.condition}{': ' if said else '.'}{said}", _advise(container))
        return _problem(subject, f"does not run: {container.status}.", _advise(container))


def describe_services(instances: Sequence[Instance], usages: dict[str, Usage]) -> list[dict[str, Any]]:
    """Return what the pages are told of each service: its worst container's state, and what all use together."""
    services: dict[str, list[Instance]] = {}
    for one in instances:
        services.setdefault(one.container.service, []).append(one)
    return [_describe(name, services[name], usages) for name in sorted(services)]


def find_missing(instances: Sequence[Instance]) -> list[dict[str, str]]:
    """Name the services without which nothing works, where they have no container."""
    there = {one.container.service for one in instances}
    return [_problem(name, "is not there.", "Type `invoke up`.") for name in _NEEDED if name not in there]


def _describe(name: str, several: Sequence[Instance], usages: dict[str, Usage]) -> dict[str, Any]:
    containers = [one.container for one in several]
    worst = next((one for one in containers if not one.is_ready), containers[0])
    used = [usages[one.id] for one in containers if one.id in usages]
    cores = [one.cpu for one in used if one.cpu is not None]
    return {
        "service": name,
        "function": worst.function,
        "state": worst.state,
        "health": worst.health,
        "ready": sum(one.is_ready for one in containers),
        "replicas": len(containers),
        "memory": sum(one.memory for one in used) if used else None,
        "cpu": round(sum(cores), 2) if cores else None,
        "since": max((one.since for one in several), default=0.0) or None,
    }


def _is_bad(container: Container) -> bool:
    return container.health == "unhealthy" if container.is_running else container.state not in _PASSING


def _advise(container: Container) -> str:
    name = container.function or container.service
    return (
        f"`invoke logs {name}` shows more."
        if container.is_running
        else f"Type `invoke up`; `invoke logs {name}` shows why."
    )


def _problem(subject: str, what: str, advice: str) -> dict[str, str]:
    return {"subject": subject, "what": what, "next": advice}
