"""Waiting until containers do their work."""

import time
from collections.abc import Collection

from stack.errors import EngineError, FunctionError
from stack.run.container import Container
from stack.run.engine import Engine

_POLL_SECONDS = 0.1


def wait_ready(
    engine: Engine, services: Collection[str], seconds: float, *, ignored: Collection[str] = ()
) -> tuple[Container, ...]:
    """Wait until every container of the services is healthy, save those whose id is ignored; return them.

    Raises:
        FunctionError: one ended, or was not healthy in time; the message ends with its last lines.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = [one for one in engine.containers() if one.service in services and one.id not in ignored]
        failed = next((one for one in found if one.has_failed), None)
        if failed:
            raise FunctionError(_tell_failure(engine, failed, "ended"))
        if found and all(one.is_ready for one in found):
            return tuple(found)
        if time.monotonic() > deadline:
            late = next((one for one in found if not one.is_ready), None)
            if late is None:
                raise EngineError(f"Docker did not start {', '.join(services)}.")
            raise FunctionError(_tell_failure(engine, late, f"was not ready within {seconds:g} s"))
        time.sleep(_POLL_SECONDS)


def _tell_failure(engine: Engine, container: Container, what: str) -> str:
    log = engine.last_logs(container) or "(it printed nothing)"
    indented = "\n".join(f"  {line}" for line in log.splitlines())
    return f"{container.service} {what}. Its last lines:\n{indented}"
