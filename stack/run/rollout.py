"""A rollout: new containers start beside the old, which go only when the new are ready."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from stack.plan.render import Inputs
from stack.plan.stack import Service
from stack.run.container import Container
from stack.run.deployment import record_deployment
from stack.run.readiness import find_failures
from stack.run.stack import Stack

# How long a function may take to be ready when its readinessTimeoutSeconds says nothing, as in Nuclio.
_READY_SECONDS = 120


@dataclass(frozen=True)
class Rollout:
    """Functions whose images are there, on their way to run."""

    stack: Stack
    services: tuple[Service, ...]

    def run(self) -> dict[str, str]:
        """Replace every function; return why some could not be, by name: those run as before."""
        before = self._containers()
        self.stack.write(with_services(self.stack.inputs, self.services))
        pending = self._find_pending(before)
        with self._undone_on_error(before):
            failures = self._start(pending, before)
        ready = [one for one in self.services if one.plan.name not in failures]
        failed = [one for one in self.services if one.plan.name in failures]
        if failed:
            self._restore(failed, before, with_services(self.stack.inputs, ready))
        started = [one for one in ready if one in pending]
        for one in started:
            record_deployment(self.stack.workspace, one.plan, one.image)
        self.stack.engine.stop([one for one in before if one.service in _names(started)])
        return failures

    def _start(self, pending: Sequence[Service], before: Sequence[Container]) -> dict[str, str]:
        if not pending:
            return {}
        in_place = _names(pending) & _holding_ports(pending, before)
        beside = {
            one.plan.service: _count(one.plan.service, before) + one.replicas
            for one in pending
            if one.plan.service not in in_place
        }
        if beside:
            self.stack.engine.up(list(beside), scales=beside, recreate=False)
        if in_place:
            self.stack.engine.up(sorted(in_place))
        seconds = max(one.plan.spec.readiness_timeout_seconds or _READY_SECONDS for one in pending)
        running = {one.plan.service for one in pending if one.replicas}
        failures = find_failures(self.stack.engine, running, seconds, ignored={one.id for one in before})
        return {one.plan.name: failures[one.plan.service] for one in pending if one.plan.service in failures}

    def _find_pending(self, before: Sequence[Container]) -> list[Service]:
        """Return the functions that do not run as they should already."""
        images = {one.image for one in before if one.is_ready}
        if not any(one.image in images for one in self.services):
            return list(self.services)
        wanted = self.stack.engine.config_hashes()
        current = {one.service for one in before if one.is_ready and one.config_hash == wanted.get(one.service)}
        settled = {one.plan.service for one in self.services if _count(one.plan.service, before) == one.replicas}
        return [one for one in self.services if one.plan.service not in current & settled]

    def _restore(self, failed: Sequence[Service], before: Sequence[Container], inputs: Inputs) -> None:
        """Remove what did not come up, put the rendered tree back, and start again what had to make way."""
        known = {one.id for one in before}
        new = [one for one in self._containers() if one.service in _names(failed) and one.id not in known]
        self.stack.engine.stop(new)
        self.stack.write(inputs)
        if made_way := _holding_ports(failed, before):
            self.stack.engine.up(sorted(made_way))

    def _containers(self) -> tuple[Container, ...]:
        return tuple(one for one in self.stack.engine.containers() if one.service in _names(self.services))

    @contextmanager
    def _undone_on_error(self, before: Sequence[Container]) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._restore(self.services, before, self.stack.inputs)
            raise


def with_services(inputs: Inputs, services: Sequence[Service]) -> Inputs:
    """Put services in the place of those of the same name."""
    names = {one.plan.name for one in services}
    others = [one for one in inputs.services if one.plan.name not in names]
    return replace(inputs, services=tuple(sorted([*others, *services], key=lambda one: one.plan.name)))


def _names(services: Sequence[Service]) -> set[str]:
    return {one.plan.service for one in services}


def _count(service: str, containers: Sequence[Container]) -> int:
    return sum(one.service == service for one in containers)


def _holding_ports(services: Sequence[Service], before: Sequence[Container]) -> set[str]:
    """Return the services whose older container holds the port of this machine that the new one needs.

    Two containers cannot publish one port, so here the older one has to make way first.
    """
    fixed = {one.plan.service for one in services if one.plan.http and one.plan.http.attributes.port}
    return fixed & {one.service for one in before}
