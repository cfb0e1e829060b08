"""Waiting until containers do their work."""

import time
from collections.abc import Collection, Sequence

from stack.errors import FunctionError
from stack.run.container import Container
from stack.run.engine import Engine

_POLL_SECONDS = 0.05


def wait_ready(engine: Engine, services: Collection[str], seconds: float) -> None:
    """Wait until every container of the services is healthy.

    Raises:
        FunctionError: one or more ended, or were not healthy in time; the message ends with their last lines.
    """
    failures = find_failures(engine, services, seconds)
    if failures:
        raise FunctionError("\n".join(failures.values()))


def find_failures(
    engine: Engine, services: Collection[str], seconds: float, *, ignored: Collection[str] = ()
) -> dict[str, str]:
    """Wait until the containers of each service are healthy or have failed; return why, for those that failed.

    Containers whose id is ignored do not count: they are older ones of the same service.
    """
    deadline = time.monotonic() + seconds
    failures: dict[str, str] = {}
    waiting = set(services)
    while waiting:
        is_late = time.monotonic() > deadline
        found = [one for one in engine.containers() if one.service in waiting and one.id not in ignored]
        for service in sorted(waiting):
            own = [one for one in found if one.service == service]
            reason = _find_failure(engine, own, late_after=seconds if is_late else None)
            if reason:
                failures[service] = reason
            if reason or (own and all(one.is_ready for one in own)):
                waiting.discard(service)
        if waiting:
            time.sleep(_POLL_SECONDS)
    return failures


def _find_failure(engine: Engine, containers: Sequence[Container], *, late_after: float | None) -> str:
    for one in containers:
        if one.has_failed:
            return _tell_failure(engine, one, "ended")
        if late_after is not None and not one.is_ready:
            return _tell_failure(engine, one, f"was not ready within {late_after:g} s")
    return "Docker did not start it." if late_after is not None and not containers else ""


def _tell_failure(engine: Engine, container: Container, what: str) -> str:
    log = engine.last_logs(container) or "(it printed nothing)"
    indented = "\n".join(f"  {line}" for line in log.splitlines())
    return f"{container.service} {what}. Its last lines:\n{indented}"
