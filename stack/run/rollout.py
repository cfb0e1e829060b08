"""A rollout: new containers start beside the old, which go only when the new are ready.

Functions that come up count and take the place of their older selves also while others are still waited for.

While it waits for them, other functions may be deployed, and the scaler may change how many containers they have.
Until then nothing tells of the new but a candidate of the Compose file, so that whatever ends the rollout, be it a loss
of power, leaves a stack that is as it was, and a container beside it that the dashboard or a later task removes.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from stack.docker.container import Container, confirm
from stack.docker.readiness import find_timeout, watch_services
from stack.docker.stack import Stack
from stack.docker.swarm.driver import SwarmDriver, open_driver
from stack.docker.swarm.engine import SwarmEngine
from stack.docker.swarm.update import Goal, watch_updates
from stack.errors import EngineError
from stack.plan.hints import advise_start
from stack.plan.inputs import Inputs
from stack.plan.render import ACCOUNTS, render_broker, render_compose
from stack.plan.stack import Service, find_definitions
from stack.rabbitmq.account import apply_accounts, settle_accounts
from stack.rabbitmq.management import find_broker
from stack.run.deploy_progress import READY, DeployProgress
from stack.run.interruption import uninterrupted
from stack.run.stack import write_stack
from stack.state.deployment import note_candidate, record_deployment
from stack.state.lock import TREE, lock
from stack.state.workspace import write_file

# Those that are ready wait no longer for the others once none has come up for so long.
_LINGER_SECONDS = 3.0


@contextmanager
def open_rollout(stack: Stack, services: Sequence[Service], *, progress: DeployProgress) -> "Iterator[Rollout]":
    """Yield the rollout of functions whose images are there; what does not count when the block fails is taken back.

    Who runs it shares the lock of the stack, and holds those of the functions' rollouts.
    """
    kind = SwarmRollout if stack.engine.is_swarm else Rollout
    rollout = kind(stack, tuple(services), progress)
    try:
        yield rollout
    except BaseException:
        with lock(stack.workspace, TREE):
            rollout.restore(rollout.pending)
        raise
    finally:
        rollout.file.unlink(missing_ok=True)


@dataclass
class Rollout:
    """Functions whose images are there, on their way to run."""

    stack: Stack
    services: tuple[Service, ...]
    progress: DeployProgress
    pending: list[Service] = field(default_factory=list)
    """Those whose new containers do not count yet."""
    _before: tuple[Container, ...] = ()
    _settled: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Start what does not run as it should already."""
        with lock(self.stack.workspace, TREE):
            self._before = self._list_containers()
            self.pending = self._find_pending()
            for one in self.services:
                self.progress.tell(one.plan.name, "starting" if one in self.pending else READY)
            self._clear()
            if self.pending:
                self._prepare()
                self._settled = self._create(self.pending)

    def wait(self) -> Iterator[list[Service]]:
        """Yield functions as they come up, together those that do at about the same time.

        Why a function has not come up is told; it runs as before.
        """
        for reasons in self._watch():
            settled = [one for one in self.pending if one.plan.service in reasons]
            # What has failed is as before by then: who takes those that are ready may be interrupted.
            self._give_up([one for one in settled if reasons[one.plan.service]], reasons)
            self.pending = [one for one in self.pending if one not in settled]
            if ready := [one for one in settled if not reasons[one.plan.service]]:
                yield ready

    def _give_up(self, failed: Sequence[Service], reasons: Mapping[str, str]) -> None:
        """Restore what has failed, and say why; the reasons are by service."""
        if failed:
            with lock(self.stack.workspace, TREE):
                self.restore(failed)
        for one in failed:
            reason = reasons[one.plan.service]
            self.progress.fail(one.plan.name, "\n".join(filter(None, (reason, advise_start(one.plan, reason)))))

    def record(self, ready: Sequence[Service], *, message: str, restores: int) -> None:
        """Have what is ready count, beside the others as they are by now."""
        with lock(self.stack.workspace, TREE):
            for one in ready:
                record_deployment(self.stack.workspace, one.plan, image=one.image, message=message, restores=restores)
            fresh = self.stack.reread()
            write_stack(fresh, _with_services(fresh.inputs, ready), own=[one.plan.name for one in ready])

    def restore(self, failed: Sequence[Service]) -> None:
        """Remove what did not come up, and start again what had to make way for it."""
        if not failed:
            return
        with uninterrupted():
            known = {one.id for one in self._before}
            new = [one for one in self._list_containers() if one.id not in known]
            open_driver(self.stack.engine).stop([one for one in new if one.service in _names(failed)])
            # The broker forgets the accounts of functions that are not deployed otherwise.
            settle_accounts(self.stack, self._render_accounts(failed), after=self.stack.rendered_accounts)
            fresh = self.stack.reread()
            write_stack(fresh, fresh.inputs, own=[one.plan.name for one in failed])
            if made_way := self._find_in_the_way(failed):
                open_driver(self.stack.engine).up(sorted(made_way))

    def find_older(self, services: Sequence[Service]) -> tuple[Container, ...]:
        """Return the containers whose place functions take, which still run."""
        return tuple(one for one in self._before if one.service in _names(services))

    @property
    def file(self) -> Path:
        """Return the Compose file of the new functions only."""
        return self.stack.workspace.candidate(min(one.plan.name for one in self.services))

    @cached_property
    def _candidate(self) -> bytes:
        """Return its content: Compose reads it sooner than that of all, and leaves others alone."""
        return render_compose(replace(self.stack.inputs, services=self.services))

    def _find_pending(self) -> list[Service]:
        """Return the functions that do not run as they should already."""
        awake = [one for one in self.services if not self._rests(one)]
        images = {one.image for one in self._before if one.is_running}
        if not any(one.image in images for one in awake):
            return awake
        wanted = find_definitions(self._candidate)
        ready = [one for one in confirm(self._before) if one.is_ready]
        current = {one.service for one in ready if one.definition == wanted.get(one.service)}
        recorded = {one.plan.service for one in self.stack.inputs.services if one.is_deployed}
        full = {one.plan.service for one in awake if self._count(one) == one.replicas}
        return [one for one in awake if one.plan.service not in current & recorded & full]

    def _rests(self, service: Service) -> bool:
        """Return whether a function is deployed as it is and to have no container, and has none."""
        deployed = self.stack.deployments.get(service.plan.name)
        is_same = deployed is not None and deployed.image == service.image
        return is_same and not service.replicas and not self._count(service)

    def _clear(self) -> None:
        """Remove older containers that are stopped, which Compose would start with the new."""
        lifeless = [one for one in self.find_older(self.pending) if one.is_stopped]
        open_driver(self.stack.engine).stop(lifeless)
        self._before = tuple(one for one in self._before if one not in lifeless)

    def _prepare(self) -> None:
        """Note what is about to be started, and write what it needs: secrets, accounts, a Compose file."""
        for one in self.pending:
            note_candidate(self.stack.workspace, one.plan, image=one.image)
        self.stack.prepare(self.pending)
        apply_accounts(find_broker(self.stack), self.stack.rendered_accounts, after=self._render_accounts(self.pending))
        write_file(self.file, self._candidate)

    def _render_accounts(self, coming: Sequence[Service]) -> bytes:
        return render_broker(_with_services(self.stack.inputs, coming))[ACCOUNTS]

    def _create(self, services: Sequence[Service]) -> dict[str, str]:
        """Create containers by one call; only where that fails one by one. Return why, by the names of services."""
        try:
            self._up(services)
        except EngineError as error:
            if len(services) == 1:
                return {services[0].plan.service: str(error)}
            return {name: reason for one in services for name, reason in self._create([one]).items()}
        return {}

    def _up(self, services: Sequence[Service]) -> None:
        engine, in_place = self.stack.engine, self._find_in_the_way(services)
        beside = [one for one in services if one.plan.service not in in_place]
        if beside:
            scales = {one.plan.service: self._count(one) + one.replicas for one in beside}
            open_driver(engine).up(sorted(scales), scales=scales, file=self.file)
        if in_place:
            engine.keep_logs([one for one in self._before if one.service in in_place])
            open_driver(engine).up(sorted(in_place), file=self.file)

    def _find_in_the_way(self, services: Sequence[Service]) -> set[str]:
        """Return the services whose older container holds the port of this machine that the new one needs.

        Two containers cannot publish one port, so here the older one has to make way first.
        """
        fixed = {one.plan.service for one in services if one.plan.port}
        return fixed & {one.service for one in self._before}

    def _watch(self) -> Iterator[dict[str, str]]:
        """Yield by the names of services why they are not ready, or nothing where they are, those together that can."""
        settled = {one.plan.service: "" for one in self.pending if not one.replicas} | self._settled
        waiting = {one.plan.service: find_timeout(one) for one in self.pending if one.plan.service not in settled}
        came = time.monotonic()
        for found in self._look(waiting):
            settled |= found
            if found:
                came = time.monotonic()
            elif settled and time.monotonic() > came + _LINGER_SECONDS:
                yield settled
                settled = {}
        yield settled

    def _look(self, seconds: Mapping[str, float]) -> Iterator[dict[str, str]]:
        """Yield again and again what has come up or failed of the services, within its seconds."""
        return watch_services(self.stack.engine, seconds, ignored={one.id for one in self._before})

    def _list_containers(self) -> tuple[Container, ...]:
        return tuple(one for one in self.stack.engine.listed() if one.service in _names(self.services))

    def _count(self, service: Service) -> int:
        return sum(one.service == service.plan.service and not one.is_stopped for one in self._before)


class SwarmRollout(Rollout):
    """A rollout by Docker Swarm, which itself puts the new containers in the place of the older ones.

    What does not come up Swarm takes back; where it does not, such as when the task is killed, the rendered file has
    the older definition.
    """

    @cached_property
    def _driver(self) -> SwarmDriver:
        assert isinstance(self.stack.engine, SwarmEngine)
        return SwarmDriver(self.stack.engine)

    @cached_property
    def _goals(self) -> dict[str, Goal]:
        wanted = find_definitions(self._candidate)
        return {
            one.plan.service: Goal(wanted[one.plan.service], one.replicas, find_timeout(one)) for one in self.services
        }

    def find_older(self, services: Sequence[Service]) -> tuple[Container, ...]:
        """Return nothing: Swarm ends the older containers when the new are there."""
        return ()

    def _clear(self) -> None:
        """Leave to Swarm what is stopped."""

    def _up(self, services: Sequence[Service]) -> None:
        asleep = [one for one in self._before if one.service in _names(s for s in services if not s.replicas)]
        self._driver.stop(asleep)
        if some := {one.plan.service: one.replicas for one in services if one.replicas}:
            self._driver.deploy(some, self.file)

    def _look(self, seconds: Mapping[str, float]) -> Iterator[dict[str, str]]:
        return watch_updates(self._driver.engine, {name: self._goals[name] for name in seconds})

    def restore(self, failed: Sequence[Service]) -> None:
        """Have functions that did not come up be as they were: without a container, if they had none."""
        if not failed:
            return
        with uninterrupted():
            settle_accounts(self.stack, self._render_accounts(failed), after=self.stack.rendered_accounts)
            fresh = self.stack.reread()
            write_stack(fresh, fresh.inputs, own=[one.plan.name for one in failed])
            before = {one.service for one in self._before}
            there = {one.plan.service: one.replicas for one in fresh.inputs.services if one.plan.service in before}
            again = {one.plan.service: there[one.plan.service] for one in failed if one.plan.service in there}
            if again:
                self._driver.deploy(again)
            self._driver.remove_services(_names(failed).difference(again))


def _names(services: Iterable[Service]) -> set[str]:
    return {one.plan.service for one in services}


def _with_services(inputs: Inputs, services: Sequence[Service]) -> Inputs:
    """Put services in the place of those of the same name."""
    names = {one.plan.name for one in services}
    others = [one for one in inputs.services if one.plan.name not in names]
    return replace(inputs, services=tuple(sorted([*others, *services], key=lambda one: one.plan.name)))
