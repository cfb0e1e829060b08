"""Waiting until containers do their work."""

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stack.docker.container import Container, confirm
from stack.docker.engine import Engine
from stack.errors import FunctionError
from stack.plan.stack import Service

_BEGINNING = "Traceback (most recent call last):"
_BELOW = "(the same traceback as below)"


def leave_out_repeats(lines: Sequence[str]) -> Iterator[str]:
    """Yield lines, with a word in the place of each traceback that comes again: the last one is what counts."""
    blocks = list(_split(lines))
    for number, block in enumerate(blocks):
        if len(block) > 1 and block in blocks[number + 1 :]:
            yield _BELOW
        else:
            yield from block


def _split(lines: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield each traceback with its error's line, and each other line alone."""
    start = 0
    while start < len(lines):
        end = _find_end(lines, start)
        yield tuple(lines[start:end])
        start = end


def _find_end(lines: Sequence[str], start: int) -> int:
    """Return where the traceback that begins at a line ends, with its error's line; the next line if none begins."""
    if not lines[start].endswith(_BEGINNING):
        return start + 1
    end = start + 1
    while end < len(lines) and lines[end].startswith(" "):
        end += 1
    return min(end + 1, len(lines))


# How often functions are asked, and Docker, which takes a hundred times as much of the machine.
_POLL_SECONDS = 0.01
# Where more functions than this are waited for they are asked less often: it is them who need the processors.
_POLLED_TOGETHER = 2
_LISTING_SECONDS = 0.5
# A function that has failed to start for so long will not be waited for any more; one that only waits for its broker
# will. By then it was tried some six times.
_PATIENCE_SECONDS = 5.0
_LOOK_SECONDS = 1.0
# How long a function may fail to start that was started together with the broker, once the broker is there.
START_GRACE_SECONDS = 40.0
_READY_SECONDS = 120


def find_timeout(service: Service) -> float:
    """Return how many seconds a function may take to be ready: as many as it says, or as in Nuclio."""
    return service.plan.spec.readiness_timeout_seconds or _READY_SECONDS


class Trouble(NamedTuple):
    """Why a function is not ready, in its processor's words, and for how long it has failed to start."""

    reason: str
    failing_seconds: float


@dataclass
class _Watch:
    """The services that are waited for, with the seconds that each may take; some containers do not count."""

    engine: Engine
    waiting: dict[str, float]
    ignored: Collection[str]
    grace: float
    _began: float = field(default_factory=time.monotonic)
    _listed: float = float("-inf")
    _probed: float = field(default_factory=time.monotonic)
    _containers: Sequence[Container] = ()
    _seen: set[str] = field(default_factory=set)

    def look(self) -> dict[str, str]:
        """Return the services that have come up or failed by now, with why they failed, or nothing."""
        late = {service: limit for service, limit in self.waiting.items() if self._seconds() > limit}
        found = self._list(is_late=bool(late))
        troubles = self._find_troubles(found, is_late=bool(late))
        ready, settled = {one.id for one in confirm(found) if one.is_ready}, dict[str, str]()
        for service in sorted(self.waiting):
            own = [one for one in found if one.service == service]
            if own and all(one.id in ready for one in own):
                settled[service] = ""
            elif not own and service in self._seen:
                settled[service] = f"{service} was removed meanwhile."
            elif reason := self._find_failure(own, troubles, late_after=late.get(service)):
                settled[service] = reason
        self._seen |= {one.service for one in found}
        self.waiting = {service: limit for service, limit in self.waiting.items() if service not in settled}
        return settled

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _list(self, *, is_late: bool) -> Sequence[Container]:
        """Return the containers as they are, or were a moment ago: Docker is asked no more often than makes sense."""
        if is_late or time.monotonic() > self._listed + _LISTING_SECONDS:
            self._containers = [one for one in self.engine.listed() if one.id not in self.ignored]
            self._listed = time.monotonic()
        return [one for one in self._containers if one.service in self.waiting]

    def _find_troubles(self, containers: Sequence[Container], *, is_late: bool) -> dict[str, Trouble]:
        """Return now and then why containers are not ready, by id, as far as their health checks have found out."""
        if not is_late and time.monotonic() <= self._probed + _LOOK_SECONDS:
            return {}
        self._probed = time.monotonic()
        probes = self.engine.last_probes([one for one in containers if one.is_running and not one.is_ready])
        return {id_: read_trouble(output) for id_, output in probes.items()}

    def _find_failure(
        self, containers: Sequence[Container], troubles: Mapping[str, Trouble], *, late_after: float | None
    ) -> str:
        patience = _PATIENCE_SECONDS if self._seconds() > self.grace else float("inf")
        for one in containers:
            if one.has_failed:
                return tell_failure(self.engine, one, what="ended")
            trouble = troubles.get(one.id, Trouble("", 0.0))
            why = f": {trouble.reason}" if trouble.reason else ""
            if trouble.failing_seconds >= patience:
                return tell_failure(self.engine, one, what=f"does not come up{why}")
            if late_after is not None and not one.is_ready:
                return tell_failure(self.engine, one, what=f"was not ready within {late_after:g} s{why}")
        return "Docker did not start it." if late_after is not None and not containers else ""


def wait_ready(engine: Engine, services: Collection[str], *, seconds: float) -> None:
    """Wait until every container of the services is healthy.

    A function that cannot start is given time: what it needs may have been started with it, such as the broker.

    Raises:
        FunctionError: one or more ended, or were not healthy in time; the message ends with their last lines.
    """
    failures = find_failures(engine, services, seconds, grace=START_GRACE_SECONDS)
    if failures:
        raise FunctionError("\n".join(failures.values()))


def find_failures(
    engine: Engine, services: Collection[str], seconds: float, *, ignored: Collection[str] = (), grace: float = 0.0
) -> dict[str, str]:
    """Wait until the containers of each service are healthy or have failed; return why, for those that failed."""
    looks = watch_services(engine, dict.fromkeys(services, seconds), ignored=ignored, grace=grace)
    return {service: reason for settled in looks for service, reason in settled.items() if reason}


def watch_services(
    engine: Engine, seconds: Mapping[str, float], *, ignored: Collection[str] = (), grace: float = 0.0
) -> Iterator[dict[str, str]]:
    """Look again and again until each service has come up or failed within its seconds; yield what each look finds.

    That is why a service failed, or nothing where it has come up. Containers whose id is ignored do not count: they are
    older ones of the same service. For `grace` seconds a function that fails to start is waited for, because what it
    needs may not be there yet.
    """
    watch = _Watch(engine, dict(seconds), ignored, grace)
    while watch.waiting:
        yield watch.look()
        if watch.waiting:
            time.sleep(_POLL_SECONDS * max(1, len(watch.waiting) / _POLLED_TOGETHER))


def read_trouble(output: str) -> Trouble:
    """Read what a processor says of why it is not ready."""
    try:
        document = json.loads(output)
        return Trouble(str(document["error"]), float(document["failing_seconds"]))
    except (ValueError, KeyError, TypeError):
        return Trouble("", 0.0)


def tell_failure(engine: Engine, container: Container, *, what: str) -> str:
    """Say what became of a container, with its last lines."""
    log = engine.last_logs(container) or "(it printed nothing)"
    indented = "\n".join(f"  {line}" for line in leave_out_repeats(log.splitlines()))
    return f"{container.service} {what}. Its last lines:\n{indented}"
