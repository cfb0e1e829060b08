"""A renewal: functions whose settings or secrets changed get new containers beside the old, which go once those work.

So no request and no message waits. A function that holds a port of this machine has to make way first, as in a rollout.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from stack.plan.change import Action, Change
from stack.plan.stack import Service
from stack.run.docker.container import Container
from stack.run.docker.engine import Engine


@dataclass(frozen=True)
class Renewal:
    """The containers that are to be replaced, by service, and how many take their places."""

    engine: Engine
    older: Mapping[str, tuple[Container, ...]]
    replicas: Mapping[str, int]

    @property
    def older_ids(self) -> set[str]:
        """Return which containers are to go."""
        return {one.id for own in self.older.values() for one in own}

    def start(self) -> None:
        """Start the new containers; older ones that do not run any more would start again with them, and go first.

        Raises:
            EngineError: Compose refused.
        """
        if not self.older:
            return
        self.engine.stop([one for own in self.older.values() for one in own if not one.is_running])
        running = {name: sum(one.is_running for one in own) for name, own in self.older.items()}
        self.engine.up(sorted(running), scales={name: count + self.replicas[name] for name, count in running.items()})

    def finish(self, failed: Collection[str]) -> None:
        """Remove the older containers; of the services that failed the new ones, so that they run as before."""
        kept = self.older_ids
        new = [one for one in self.engine.containers() if one.service in self.older and one.id not in kept]
        self.engine.stop([one for one in new if one.service in failed])
        self.engine.stop([one for name, own in self.older.items() if name not in failed for one in own])


def find_renewal(
    engine: Engine, changes: Iterable[Change], services: Iterable[Service], containers: Collection[Container]
) -> Renewal:
    """Find the functions that are to be replaced, run, and hold no port of this machine."""
    able = {one.plan.service: one.replicas for one in services if one.is_deployed and not one.port}
    older = {
        change.subject: tuple(one for one in containers if one.id in change.older)
        for change in changes
        if change.action is Action.REPLACE and change.subject in able
    }
    running = {name: own for name, own in older.items() if any(one.is_running for one in own)}
    return Renewal(engine, running, able)
