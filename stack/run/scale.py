"""Scaling: how many containers of a function run, by its user's word or the scaler's.

The scaler looks at the load of functions and has as many containers run as it asks for. It runs in a container of the
stack, beside the broker and the gateway. What it did is written down as `invoke scale-function` writes it, so that it
may end at any time, and everything goes on as it is. Each function is seen to by a thread of its own while its
containers begin or finish their events: others are not to wait for one that does not come up.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stack import console
from stack.config.scaling import MOST_REPLICAS
from stack.docker.container import Container
from stack.docker.gateway import Traffic, fetch_traffic
from stack.docker.image import Builder
from stack.docker.readiness import find_failures, find_timeout
from stack.docker.stack import Stack, open_stack
from stack.docker.swarm.driver import open_driver
from stack.errors import FunctionError, StackError
from stack.plan.function import own_queues
from stack.plan.inputs import Inputs
from stack.plan.render import SCALER
from stack.plan.scale import Load, Memory, Policy, decide, read_targets
from stack.plan.stack import Service
from stack.rabbitmq.management import Depth, find_broker
from stack.run.stack import write_stack
from stack.state.deployment import load_deployments
from stack.state.lock import STACK, TREE, lock, rollout_lock, try_lock
from stack.state.replicas import forget_replicas, keep_replicas

# What Docker calls an image whose name another has now.
_NAMELESS = "sha256:"


def scale_function(name: str, text: str) -> None:
    """Have so many containers of a function run, and remember it.

    Raises:
        FunctionError: it is not deployed, may not have so many, or a new container does not come up.
    """
    if not text.isdecimal():
        raise FunctionError(f"{text!r} is no number of containers: invoke scale-function {name} 3.")
    replicas = int(text)
    stack = open_stack(is_lenient=True)
    open_driver(stack.engine).check()
    with lock(stack.workspace, f"function-{name}"), lock(stack.workspace, STACK, is_shared=True):
        stack = stack.reread()
        _check(stack, name, replicas=replicas)
        before = stack.replicas.get(name)
        with console.working(f"Scaling {name} to {replicas}"):
            with lock(stack.workspace, TREE):
                stack = keep(stack, name, replicas)
                service = find_service(stack, name)
                step = begin(stack, service, replicas)
            problem = finish(stack, service, step)
        if problem:
            with lock(stack.workspace, TREE):
                _put_back(stack, name, replicas=before)
            raise FunctionError(problem)
    console.success(f"{name}: {replicas} {'container' if replicas == 1 else 'containers'}.")


def keep(stack: Stack, name: str, replicas: int) -> Stack:
    """Remember how many containers a function has, and write that; return the stack as it is then."""
    keep_replicas(stack.workspace, name, replicas=replicas)
    fresh = stack.reread()
    write_stack(fresh, fresh.inputs)
    return fresh


@dataclass(frozen=True)
class Step:
    """What was done at once: what is `surplus` is still to be stopped, and what `has_started` to be waited for."""

    surplus: Sequence[Container] = ()
    has_started: bool = False


def settle(stack: Stack, service: Service, replicas: int) -> str:
    """Start what is missing and remove the surplus; return why that failed, or nothing."""
    return finish(stack, service, begin(stack, service, replicas))


def finish(stack: Stack, service: Service, step: Step) -> str:
    """Wait until the surplus has finished its events, or what was started is ready; return why it is not."""
    open_driver(stack.engine).stop(step.surplus)
    if not step.has_started:
        return ""
    return find_failures(stack.engine, [service.plan.service], find_timeout(service)).get(service.plan.service, "")


def begin(stack: Stack, service: Service, replicas: int) -> Step:
    """Start what is missing, and find the surplus.

    What is stopped is started before another container is made. Who calls keeps deploys away, so that a container
    of another version is what a deploy has left that was killed.
    """
    name = service.plan.service
    found = [one for one in stack.engine.containers() if one.service == name]
    # Swarm itself sees to it that there is one version.
    strange = [] if stack.engine.is_swarm else [one for one in found if is_strange(one, service.image)]
    open_driver(stack.engine).stop(strange)
    before = [one for one in found if one not in strange]
    surplus = _surplus(before, len(before) - replicas)
    if sum(not one.is_stopped for one in before) >= replicas:
        return Step(surplus)
    # These are stopped already; Compose would choose others.
    open_driver(stack.engine).stop(surplus)
    open_driver(stack.engine).up([name], scales={name: replicas})
    return Step(has_started=True)


def is_strange(container: Container, image: str) -> bool:
    """Return whether a container is not of an image; of one whose image has lost its name since it cannot be told."""
    return container.image != image and not container.image.startswith(_NAMELESS)


def _surplus(containers: Sequence[Container], count: int) -> list[Container]:
    """Choose which containers go: first those that are stopped, then those that do not work."""
    return sorted(containers, key=lambda one: (not one.is_stopped, one.is_ready))[: max(0, count)]


def _put_back(stack: Stack, name: str, *, replicas: int | None) -> None:
    if replicas is None:
        forget_replicas(stack.workspace, name)
    else:
        keep_replicas(stack.workspace, name, replicas=replicas)
    stack = stack.reread()
    write_stack(stack, stack.inputs)
    service = find_service(stack, name)
    settle(stack, service, service.replicas)


def _check(stack: Stack, name: str, *, replicas: int) -> None:
    deployments = load_deployments(stack.workspace)
    if name not in deployments:
        known = ", ".join(deployments) or "none"
        raise FunctionError(f"{name} is not deployed. Deployed functions: {known}.")
    service = find_service(stack, name)
    limits = service.limits
    if service.plan.spec.disable:
        raise FunctionError(f"{name} is disabled; take `disable: true` out of its function.yaml, and deploy it again.")
    if not limits.least <= replicas <= limits.most:
        raise FunctionError(
            f"{name} may have {limits.least} to {limits.most} containers, not {replicas}; {_reason(name, replicas)}."
        )
    if service.port and replicas > 1:
        raise FunctionError(
            f"Only one container of {name} can have its port {service.port.split(':')[1]}. "
            f"Leave `port` out of functions/{name}/function.yaml: the gateway leads to all of them."
        )


def _reason(name: str, replicas: int) -> str:
    if replicas > MOST_REPLICAS:
        return "one machine carries no more"
    return f"minReplicas and maxReplicas in functions/{name}/function.yaml say so"


def find_service(stack: Stack, name: str) -> Service:
    """Return the service of a function that is deployed.

    Raises:
        AccessError: it asks for what stack.yaml does not allow it of this machine.
    """
    if error := stack.refused.get(name):
        raise error
    return next(one for one in stack.inputs.services if one.plan.name == name)


def settle_scaler(stack: Stack) -> None:
    """Have the scaler run where a function leaves it a choice, and only there.

    Raises:
        StackError: its image could not be made, or Docker refused.
    """
    settle_program(stack, SCALER, is_wanted=lambda inputs: inputs.has_scaler)


def settle_program(stack: Stack, service: str, *, is_wanted: Callable[[Inputs], bool]) -> None:
    """Have a program of Tidegate's own run where it is wanted, and only there, in a stack that runs.

    Raises:
        StackError: its image could not be made, or Docker refused.
    """
    if is_wanted(stack.inputs) == bool(_find_program(stack, service)):
        return
    if is_wanted(stack.inputs):
        Builder(stack.workspace, stack.engine, stack.inputs).prepare_stack()
    with lock(stack.workspace, TREE):
        # Another task may have changed who needs it.
        fresh = stack.reread()
        found = _find_program(fresh, service)
        if is_wanted(fresh.inputs) and not found:
            open_driver(fresh.engine).up([service])
        elif found and not is_wanted(fresh.inputs):
            open_driver(fresh.engine).stop(found)


def _find_program(stack: Stack, service: str) -> list[Container]:
    return [one for one in stack.engine.listed() if one.service == service]


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
            self._see_to(service, _weigh(service, traffic, depths=depths), is_short=service.plan.service in short)

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
            # Who rolls out has older containers beside newer ones, and takes from neither.
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
            keep_replicas(workspace, name, replicas=replicas)
            stack = self.stack.reread()
            write_stack(stack, stack.inputs, own=[name])
            return stack, begin(stack, find_service(stack, name), replicas)


def _find_services(stack: Stack) -> list[Service]:
    fresh = stack.reread()
    allowed = [one for name, one in fresh.deployments.items() if name not in fresh.refused]
    return [one for one in map(fresh.deployed_service, allowed) if one.limits.is_automatic]


def _weigh(service: Service, traffic: dict[str, Traffic], *, depths: dict[str, Depth]) -> Load:
    queues: Sequence[Depth] = [depths[queue] for queue in own_queues(service.plan) if queue in depths]
    requests = traffic[service.plan.name].requests if service.plan.name in traffic else 0
    return Load(sum(one.messages for one in queues), sum(one.rate for one in queues), requests)
