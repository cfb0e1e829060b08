"""The scaler: looks at the load of functions and has as many containers run as it asks for.

It runs in a container of the stack, beside the broker and the gateway. What it did is written down as
`invoke scale-function` writes it, so that it may end at any time, and everything goes on as it is.

Each function is seen to by a thread of its own while its containers begin or finish their events: others are not to
wait for one that does not come up.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stack import console
from stack.docker.gateway import Traffic, fetch_traffic
from stack.docker.stack import Stack
from stack.errors import StackError
from stack.plan.function import own_queues
from stack.plan.scale import Load, Memory, Policy, decide, read_targets
from stack.plan.stack import Service
from stack.rabbitmq.management import Depth, find_broker
from stack.run.scale import Step, begin, find_service, finish
from stack.run.stack import write_stack
from stack.state.deployment import load_deployments
from stack.state.lock import TREE, lock, rollout_lock, try_lock
from stack.state.replicas import keep_replicas

_LOOK_SECONDS = 0.5
# Its age tells the container's health check that the scaler goes on.
_ALIVE = Path("/tmp/alive")
# Between two counts of what really runs.
_COUNT_SECONDS = 5.0
# After a failure, such as of a broker that starts.
_PAUSE_SECONDS = 2.0


@dataclass
class Scaler:
    """Decides for every function that leaves it a choice."""

    stack: Stack
    _memories: dict[str, Memory] = field(default_factory=dict)
    _counts_at: float = 0.0
    _busy: set[str] = field(default_factory=set)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Look again and again, for ever."""
        while True:
            pause = _LOOK_SECONDS
            try:
                self.look()
                _ALIVE.touch()
            except (StackError, OSError) as error:
                console.warn(str(error))
                pause = _PAUSE_SECONDS
            time.sleep(pause)

    def look(self) -> None:
        """Decide once for every function, and do it.

        Raises:
            StackError: the broker does not answer, or Docker refused.
            OSError: the gateway does not answer.
        """
        self.stack = self.stack.reread()
        services = _find_services(self.stack)
        traffic = fetch_traffic()
        depths = find_broker(self.stack).depths()
        short = self._find_short(services)
        for service in services:
            self._see_to(service, _weigh(service, traffic, depths), is_short=service.plan.service in short)

    def _find_short(self, services: Sequence[Service]) -> set[str]:
        """Count, now and then, whose containers are not as many as were decided, such as after a loss of power."""
        if time.monotonic() < self._counts_at:
            return set()
        self._counts_at = time.monotonic() + _COUNT_SECONDS
        found = [one.service for one in self.stack.engine.listed()]
        return {one.plan.service for one in services if found.count(one.plan.service) != one.replicas}

    def _see_to(self, service: Service, load: Load, *, is_short: bool) -> None:
        name, now = service.plan.name, time.monotonic()
        policy = Policy(read_targets(service.plan.function.config), service.limits)
        memory = self._memories.get(name, Memory(since=now))
        decision = decide(service.replicas, load, policy, now=now, memory=memory)
        self._memories[name] = decision.memory
        if name not in self._busy and (decision.replicas != service.replicas or is_short):
            self._busy.add(name)
            threading.Thread(target=self._scale, args=(service, decision.replicas), daemon=True).start()

    def _scale(self, service: Service, replicas: int) -> None:
        try:
            self.scale(service, replicas)
        except (StackError, OSError) as error:
            console.warn(f"{service.plan.name}: {error}")
            time.sleep(_PAUSE_SECONDS)
        finally:
            self._busy.discard(service.plan.name)

    def scale(self, service: Service, replicas: int) -> None:
        """Have so many containers of a function run, unless it is being deployed.

        Raises:
            StackError: Docker refused.
        """
        name, workspace = service.plan.name, self.stack.workspace
        with try_lock(workspace, rollout_lock(name)) as is_free:
            # Whoever rolls out has older containers beside newer ones, and takes from neither.
            if not is_free or not (begun := self._begin(name, replicas)):
                return
            console.say(f"{name}: {service.replicas} → {replicas}")
            stack, step = begun
            if problem := finish(stack, find_service(stack, name), step):
                console.warn(problem)

    def _begin(self, name: str, replicas: int) -> "tuple[Stack, Step] | None":
        """Start what is missing, as soon as no one else changes files or containers; nothing if it is gone by then."""
        workspace = self.stack.workspace
        with self._turn, lock(workspace, TREE):
            if name not in load_deployments(workspace):
                return None
            keep_replicas(workspace, name, replicas)
            stack = self.stack.reread()
            write_stack(stack, stack.inputs, own=[name])
            return stack, begin(stack, find_service(stack, name), replicas)


def _find_services(stack: Stack) -> list[Service]:
    fresh = stack.reread()
    allowed = [one for name, one in fresh.deployments.items() if name not in fresh.refused]
    return [one for one in map(fresh.deployed_service, allowed) if one.limits.is_automatic]


def _weigh(service: Service, traffic: dict[str, Traffic], depths: dict[str, Depth]) -> Load:
    queues: Sequence[Depth] = [depths[queue] for queue in own_queues(service.plan) if queue in depths]
    requests = traffic[service.plan.name].requests if service.plan.name in traffic else 0
    return Load(sum(one.messages for one in queues), sum(one.rate for one in queues), requests)
