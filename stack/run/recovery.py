"""Stale containers: containers that a deploy has left which was killed, and what they had taken the place of."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from stack import console
from stack.docker.container import NEVER_RAN, Container
from stack.docker.stack import Stack
from stack.docker.swarm.driver import open_driver
from stack.errors import StackError
from stack.plan.function import service_name
from stack.plan.stack import FILES_LABEL, Service
from stack.rabbitmq.stale_topology import clear_after_deploy
from stack.run.scale import find_service, is_strange, settle
from stack.run.stack import write_stack
from stack.state.deployment import find_deployment, is_deployed, load_candidate
from stack.state.lock import STACK, TREE, try_lock


def clear_stale_containers(stack: Stack, names: Sequence[str]) -> set[str]:
    """Have only what is recorded of functions run; return those that were seen to: not those that are being deployed.

    Raises:
        StackError: Docker does not answer.
    """
    listed = stack.engine.listed()
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(partial(_see_to, stack, listed), names))
    return {name for name, is_done in zip(names, done, strict=True) if is_done}


def _see_to(stack: Stack, listed: Sequence[Container], name: str) -> bool:
    """Clear what is left of one function; say whether that could be seen to."""
    try:
        with try_lock(stack.workspace, f"function-{name}") as is_free:
            # What was listed may be older than the end of a deploy: who clears lists once more.
            if not is_free or (_find_stale_containers(stack, name, listed) and not _clear(stack, name)):
                return False
            _clear_broker(stack, name)
    except (StackError, OSError) as error:
        console.warn(f"{name}: {error}")
    return True


def _find_stale_containers(stack: Stack, name: str, listed: Sequence[Container]) -> list[Container]:
    found = [one for one in listed if one.service == service_name(name)]
    if not is_deployed(stack.workspace, name):
        return found
    if stack.engine.is_swarm and load_candidate(stack.workspace, name) is None:
        # Swarm itself has taken back what failed later; to deploy it again is its user's decision.
        return []
    service = stack.deployed_service(find_deployment(stack.workspace, name))
    strange = [one for one in found if _is_other(one, service)]
    return strange if not service.runs_as_is or _is_certain(stack, service, right=len(found) - len(strange)) else []


def _is_other(container: Container, service: Service) -> bool:
    """Return whether a container is of another version; an image that was built elsewhere may be that of several."""
    files = service.labels.get(FILES_LABEL, "")
    return is_strange(container, service.image) or (service.runs_as_is and container.files != files)


def _is_certain(stack: Stack, service: Service, *, right: int) -> bool:
    """Return whether other files mean another version, and not that of settings which `up` has not seen to yet.

    The right containers are there beside the others, or a deploy of the function has not come to its end.
    """
    return bool(right) or load_candidate(stack.workspace, service.plan.name) is not None


def _clear(stack: Stack, name: str) -> bool:
    with try_lock(stack.workspace, STACK) as is_free, try_lock(stack.workspace, TREE) as is_still:
        fresh = stack.reread()
        if is_free and is_still and (stale_containers := _find_stale_containers(fresh, name, fresh.engine.listed())):
            console.warn(f"{name}: a deploy of it was cut short; what it left makes way for what is recorded.")
            write_stack(fresh, fresh.inputs)
            if problem := _put_right(fresh, name, stale_containers=stale_containers):
                console.warn(problem)
        return is_free and is_still


def _put_right(stack: Stack, name: str, *, stale_containers: Sequence[Container]) -> str:
    if stack.engine.is_swarm and is_deployed(stack.workspace, name):
        open_driver(stack.engine).up([service_name(name)])
        return ""
    open_driver(stack.engine).stop(stale_containers)
    if not is_deployed(stack.workspace, name):
        return ""
    service = find_service(stack, name)
    # Compose stops a container when the one in its place is made, and Docker ends it also without Compose.
    if service.port and any(one.state == NEVER_RAN for one in stale_containers):
        open_driver(stack.engine).halt([one for one in stack.engine.listed() if one.service == service.plan.service])
    return settle(stack, service, service.replicas)


def _clear_broker(stack: Stack, name: str) -> None:
    """Remove what is bound at the broker for a version that does not count, if no deploy has seen to it."""
    if load_candidate(stack.workspace, name):
        clear_after_deploy(stack, [name])
