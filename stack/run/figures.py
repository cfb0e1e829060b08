"""What the processors say of themselves: events, failures, and why one is not ready."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields

from stack.plan.function_health import Handling
from stack.run.docker.container import Container
from stack.run.docker.engine import Engine

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
    """How long the longest event in hand has taken so far."""
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
