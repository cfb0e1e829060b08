"""A rollout: new containers start beside the old, which go only when the new are ready.

Functions that come up count and take the place of their older selves also while others are still waited for.

While it waits for them, other functions may be deployed, and the scaler may change how many containers they have.
Until then nothing tells of the new but a candidate of the Compose file, so that whatever ends the rollout, be it a loss
of power, leaves a stack that is as it was, and a container beside it that the next task removes.
"""

import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from stack.docker.container import Container
from stack.docker.engine import Engine
from stack.docker.gateway import fetch_traffic, find_host
from stack.docker.probe import confirm
from stack.docker.readiness import watch_services
from stack.docker.stack import Stack
from stack.errors import EngineError
from stack.plan.diff import Action, Change
from stack.plan.gateway import is_fully_routed
from stack.plan.hints import advise_start
from stack.plan.render import ACCOUNTS, Inputs, render_broker, render_compose
from stack.plan.stack import Service, find_definitions
from stack.rabbitmq.account import apply_accounts, settle_accounts
from stack.rabbitmq.management import find_broker
from stack.run.deploy_progress import DeployProgress
from stack.run.interruption import uninterrupted
from stack.run.stack import write_stack
from stack.state.deployment import note_candidate, record_deployment
from stack.state.lock import TREE, lock
from stack.state.workspace import write_file

# How long a function may take to be ready when its readinessTimeoutSeconds says nothing, as in Nuclio.
_READY_SECONDS = 120
# Those that are ready wait no longer for the others once none has come up for so long.
_LINGER_SECONDS = 3.0


@dataclass(frozen=True)
class Outcome:
    """What a rollout left behind."""

    services: tuple[Service, ...]
    """All functions of the stack."""
    started: tuple[Service, ...]
    """Those of them that got new containers."""
    replaced: tuple[Container, ...]
    """The containers whose place was taken, which still run."""


@dataclass(frozen=True)
class Rollout:
    """Functions whose images are there, on their way to run.

    Whoever runs it shares the lock of the stack, and holds those of the functions' rollouts.
    """

    stack: Stack
    services: tuple[Service, ...]
    board: DeployProgress
    message: str = ""
    restores: int = 0
    """The revision that a rollback goes back to."""

    def run(self) -> Generator[Outcome, None, None]:
        """Start what does not run yet, and yield what counts from then on: of all at once, if none takes much longer.

        Why a function could not be started is told to the board; it runs as before.
        """
        with self._still():
            found = self._containers()
            pending = self._find_pending(found)
            before = self._clear(found, pending)
        if not pending:
            yield Outcome(self.stack.reread().inputs.services, (), ())
            return
        with self._undone_on_error(pending, before):
            for reasons in self._start(tuple(pending), before):
                settled = [one for one in pending if one.plan.service in reasons]
                pending[:] = [one for one in pending if one not in settled]
                yield self._conclude(settled, reasons, before)

    def _conclude(self, settled: Sequence[Service], reasons: Mapping[str, str], before: Sequence[Container]) -> Outcome:
        """Make what has come up what counts, and put back what has not."""
        failed = [one for one in settled if reasons[one.plan.service]]
        ready = [one for one in settled if one not in failed]
        with self._still():
            self._restore(failed, before)
            inputs = self._record(ready, settled)
        for one in failed:
            reason = reasons[one.plan.service]
            self.board.fail(one.plan.name, "\n".join(filter(None, (reason, advise_start(one.plan, reason)))))
        return Outcome(inputs.services, tuple(ready), tuple(one for one in before if one.service in _names(ready)))

    def _still(self) -> AbstractContextManager[None]:
        return lock(self.stack.workspace, TREE)

    def _record(self, ready: Sequence[Service], settled: Sequence[Service]) -> Inputs:
        """Have what is ready count, beside the others as they are by now; what a failed one was to mount goes again."""
        for one in ready:
            record_deployment(self.stack.workspace, one.plan, one.image, message=self.message, restores=self.restores)
        fresh = self.stack.reread()
        inputs = with_services(fresh.inputs, ready)
        write_stack(fresh, inputs, own=[one.plan.name for one in settled])
        return inputs

    @property
    def _file(self) -> Path:
        return self.stack.workspace.candidate(min(one.plan.name for one in self.services))

    @cached_property
    def _candidate(self) -> bytes:
        """Return a Compose file with the new functions only: Compose reads it sooner, and leaves others alone."""
        return render_compose(replace(self.stack.inputs, services=self.services))

    def _find_pending(self, before: Sequence[Container]) -> list[Service]:
        """Return the functions that do not run as they should already."""
        awake = [one for one in self.services if not self._rests(one, before)]
        images = {one.image for one in before if one.is_running}
        if not any(one.image in images for one in awake):
            return awake
        wanted = find_definitions(self._candidate)
        ready = [one for one in confirm(before) if one.is_ready]
        current = {one.service for one in ready if one.definition == wanted.get(one.service)}
        recorded = {one.plan.service for one in self.stack.inputs.services if one.is_deployed}
        full = {one.plan.service for one in awake if _count(one.plan.service, before) == one.replicas}
        return [one for one in awake if one.plan.service not in current & recorded & full]

    def _rests(self, service: Service, before: Sequence[Container]) -> bool:
        """Return whether a function is deployed as it is and to have no container, and has none."""
        deployed = self.stack.deployments.get(service.plan.name)
        is_same = deployed is not None and deployed.image == service.image
        return is_same and not service.replicas and not _count(service.plan.service, before)

    def _clear(self, found: Sequence[Container], pending: Sequence[Service]) -> tuple[Container, ...]:
        """Remove older containers that are stopped, which Compose would start with the new, and return the others."""
        lifeless = [one for one in found if one.is_stopped and one.service in _names(pending)]
        self.stack.engine.stop(lifeless)
        return tuple(one for one in found if one not in lifeless)

    def _start(self, pending: Sequence[Service], before: Sequence[Container]) -> Iterator[dict[str, str]]:
        """Start functions; yield by the names of their services why they are not ready, or nothing where they are."""
        with self._still():
            for one in pending:
                self.board.tell(one.plan.name, "starting")
                note_candidate(self.stack.workspace, one.plan, one.image)
            self.stack.prepare(pending)
            self._open_accounts(pending)
            write_file(self._file, self._candidate)
            failures = self._create(pending, before)
        waiting = {
            one.plan.service: one.plan.spec.readiness_timeout_seconds or _READY_SECONDS
            for one in pending
            if one.replicas and one.plan.service not in failures
        }
        settled = {name: failures.get(name, "") for name in _names(pending) if name not in waiting}
        came = time.monotonic()
        for found in watch_services(self.stack.engine, waiting, ignored={one.id for one in before}):
            settled |= found
            if found:
                came = time.monotonic()
            elif settled and time.monotonic() > came + _LINGER_SECONDS:
                yield settled
                settled = {}
        yield settled

    def _open_accounts(self, pending: Sequence[Service]) -> None:
        """Have the broker know the accounts of functions before they log in."""
        coming = render_broker(with_services(self.stack.inputs, pending))[ACCOUNTS]
        apply_accounts(find_broker(self.stack), self.stack.rendered_accounts, coming)

    def _close_accounts(self, failed: Sequence[Service]) -> None:
        """Have the broker forget the accounts of functions that did not come up and are not deployed otherwise."""
        coming = render_broker(with_services(self.stack.inputs, failed))[ACCOUNTS]
        settle_accounts(self.stack, coming, self.stack.rendered_accounts)

    def _create(self, pending: Sequence[Service], before: Sequence[Container]) -> dict[str, str]:
        """Create containers by one call; only where that fails one by one, to know which it was."""
        try:
            self._up(pending, before)
        except EngineError as error:
            if len(pending) == 1:
                return {pending[0].plan.service: str(error)}
            return {name: reason for one in pending for name, reason in self._create([one], before).items()}
        return {}

    def _up(self, pending: Sequence[Service], before: Sequence[Container]) -> None:
        engine = self.stack.engine
        in_place = _names(pending) & _holding_ports(pending, before)
        beside = {
            one.plan.service: _count(one.plan.service, before) + one.replicas
            for one in pending
            if one.plan.service not in in_place
        }
        if beside:
            engine.up(sorted(beside), scales=beside, file=self._file)
        if in_place:
            engine.keep_logs([one for one in before if one.service in in_place])
            engine.up(sorted(in_place), file=self._file)

    def _restore(self, failed: Sequence[Service], before: Sequence[Container]) -> None:
        """Remove what did not come up, and start again what had to make way for it."""
        if not failed:
            return
        with uninterrupted():
            known = {one.id for one in before}
            new = [one for one in self._containers() if one.service in _names(failed) and one.id not in known]
            self.stack.engine.stop(new)
            self._close_accounts(failed)
            if made_way := _holding_ports(failed, before):
                fresh = self.stack.reread()
                write_stack(fresh, fresh.inputs, own=[one.plan.name for one in failed])
                self.stack.engine.up(sorted(made_way))

    @contextmanager
    def _undone_on_error(self, pending: Sequence[Service], before: Sequence[Container]) -> Iterator[None]:
        try:
            yield
        except BaseException:
            with self._still():
                self._restore(pending, before)
            raise
        finally:
            self._file.unlink(missing_ok=True)

    def _containers(self) -> tuple[Container, ...]:
        return tuple(one for one in self.stack.engine.listed() if one.service in _names(self.services))


def with_services(inputs: Inputs, services: Sequence[Service]) -> Inputs:
    """Put services in the place of those of the same name."""
    names = {one.plan.name for one in services}
    others = [one for one in inputs.services if one.plan.name not in names]
    return replace(inputs, services=tuple(sorted([*others, *services], key=lambda one: one.plan.name)))


def _names(services: Collection[Service]) -> set[str]:
    return {one.plan.service for one in services}


def _count(service: str, containers: Sequence[Container]) -> int:
    return sum(one.service == service and not one.is_stopped for one in containers)


def _holding_ports(services: Sequence[Service], before: Sequence[Container]) -> set[str]:
    """Return the services whose older container holds the port of this machine that the new one needs.

    Two containers cannot publish one port, so here the older one has to make way first.
    """
    fixed = {one.plan.service for one in services if one.plan.port}
    return fixed & {one.service for one in before}


# How long the gateway may take to send requests to new containers, which are ready, and none to those that stop; and
# for how long those that stop are waited for that get messages, too, or whom the gateway cannot be asked about.
_GATEWAY_SECONDS, _PATIENCE_SECONDS, _POLL_SECONDS = 5.0, 1.0, 0.02


class Endpoint(NamedTuple):
    """A function and the address of one of its containers."""

    function: str
    address: str


def find_endpoints(containers: Iterable[Container]) -> set[Endpoint]:
    """Return where containers are, of those that run."""
    return {Endpoint(one.function, one.network_address) for one in containers if one.network_address}


@dataclass(frozen=True)
class Handover:
    """Waits for the gateway while new containers take the place of older ones, of which it learns by itself."""

    engine: Engine
    host: str
    """Where the gateway can be asked; nothing if there is none."""
    is_complete: bool
    """Whether all that comes to the functions comes by the gateway."""

    def wait_until_known(self, outcome: Outcome) -> None:
        """Return when new containers get requests, or after a while: a request waits that finds no container."""
        routed = {one.plan.service for one in outcome.started if one.is_routed and one.replicas}
        if not (self.host and routed):
            return
        older = {one.id for one in outcome.replaced}
        found = [one for one in self.engine.listed() if one.service in routed and one.id not in older]
        new = find_endpoints(found)
        self._wait(lambda current: new <= current, is_over=lambda: False)

    def wait_until_gone(self, older: Collection[Endpoint], stopping: "Future[None]") -> None:
        """Return when nothing new comes to older containers, or they are stopped, or after a while.

        They are not waited for any longer: one that is busy may stop only when its event is done.
        """
        is_told = bool(self.host) and self._wait(lambda current: current.isdisjoint(older), is_over=stopping.done)
        if not (is_told and self.is_complete):
            wait([stopping], timeout=_PATIENCE_SECONDS)

    def _wait(self, is_met: Callable[[set[Endpoint]], bool], *, is_over: Callable[[], bool]) -> bool:
        """Wait until those who get requests are as they should be; return whether this machine reaches the gateway."""
        deadline = time.monotonic() + _GATEWAY_SECONDS
        while time.monotonic() < deadline and not is_over():
            try:
                traffic = fetch_traffic(self.host)
            except OSError:
                return False
            if is_met({Endpoint(name, one) for name, found in traffic.items() for one in found.addresses}):
                return True
            time.sleep(_POLL_SECONDS)
        return True


def open_handover(stack: Stack, services: Sequence[Service], gateway: Container | None) -> Handover:
    """Find out where the gateway can be asked."""
    is_complete = all(is_fully_routed(one) for one in services)
    return Handover(stack.engine, find_host(stack.engine, gateway) if gateway else "", is_complete)


@dataclass(frozen=True)
class RollingRestart:
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
) -> RollingRestart:
    """Find the functions that are to be replaced, run, and hold no port of this machine."""
    able = {one.plan.service: one.replicas for one in services if one.is_deployed and not one.port}
    older = {
        change.subject: tuple(one for one in containers if one.id in change.older)
        for change in changes
        if change.action is Action.REPLACE and change.subject in able
    }
    running = {name: own for name, own in older.items() if any(one.is_running for one in own)}
    return RollingRestart(engine, running, able)
