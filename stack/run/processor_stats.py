"""What functions' containers tell of themselves, asked all at once."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from stack.contract import HEALTH_PORT
from stack.docker.container import Container, ask, find_url
from stack.docker.engine import Engine
from stack.processor.processor_stats import ProcessorStats
from stack.state.workspace import is_inside

# Characters of a container's id, by which Docker's network knows it too.
_SHORT_ID = 12
_OK, _TIMEOUT_SECONDS = 200, 0.5


def fetch_stats(engine: Engine, containers: Sequence[Container]) -> dict[str, ProcessorStats]:
    """Ask every function's container at once; return what those that answer tell, by id.

    Where this machine does not reach Docker's network, one of them is made to ask the others.
    """
    running = [one for one in containers if one.function and one.is_running]
    with ThreadPoolExecutor(len(running) or 1) as pool:
        answers = zip(running, pool.map(_fetch_state, running), strict=True)
        states = {one.id: state for one, state in answers if state}
    if silent := [one for one in running if one.id not in states]:
        states |= _ask_within(engine, silent)
    return {id_: ProcessorStats.read(state) for id_, state in states.items()}


def _fetch_state(container: Container) -> dict[str, object]:
    """Return what a container tells of itself; nothing if it cannot, or cannot be reached."""
    # Of Swarm's network this machine is no part.
    if not container.network_address or (container.task and not is_inside()):
        return {}
    try:
        answer = ask(find_url(container.network_address, HEALTH_PORT, "/status"), _TIMEOUT_SECONDS)
    except OSError:
        return {}
    return _parse(answer.data) if answer.status == _OK else {}


def _ask_within(engine: Engine, containers: Sequence[Container]) -> dict[str, dict[str, object]]:
    """Have one container ask all of these."""
    hosts = {one.id: one.network_address if one.task else one.id[:_SHORT_ID] for one in containers}
    asker = min(containers, key=lambda one: (bool(one.node), not one.is_ready))
    states = _parse(engine.execute(asker, "processor", "--states", *hosts.values()))
    return {id_: state for id_, host in hosts.items() if isinstance(state := states.get(host), dict)}


def _parse(text: str | bytes) -> dict[str, object]:
    """Return what a container tells; nothing where it cannot, such as one made by an older release."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
