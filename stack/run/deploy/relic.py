"""Relics: containers that a deploy has left which was killed, and what they had taken the place of."""

from collections.abc import Sequence

from stack import console
from stack.plan.function import service_name
from stack.run.deploy.deployment import find_deployment, is_deployed
from stack.run.docker.container import Container
from stack.run.scale.scale import find_service, is_strange, settle
from stack.run.stack import Stack
from stack.run.workspace import try_lock


def clear_relics(stack: Stack, name: str) -> bool:
    """Have only what is recorded of a function run; say whether that could be seen to: not while it is being deployed.

    Raises:
        StackError: Docker refused.
    """
    with try_lock(stack.workspace, f"function-{name}") as is_free:
        return is_free and (not _find_relics(stack, name) or _clear(stack, name))


def _find_relics(stack: Stack, name: str) -> list[Container]:
    found = [one for one in stack.engine.listed() if one.service == service_name(name)]
    if not is_deployed(stack.workspace, name):
        return found
    image = find_deployment(stack.workspace, name).image
    return [one for one in found if is_strange(one, image)]


def _clear(stack: Stack, name: str) -> bool:
    with try_lock(stack.workspace, "stack") as is_free:
        fresh = stack.reread()
        if is_free and (relics := _find_relics(fresh, name)):
            console.warn(f"{name}: a deploy of it was cut short; what it left makes way for what is recorded.")
            fresh.write(fresh.inputs)
            problem = _put_right(fresh, name, relics)
            if problem:
                console.warn(problem)
        return is_free


def _put_right(stack: Stack, name: str, relics: Sequence[Container]) -> str:
    if not is_deployed(stack.workspace, name):
        stack.engine.stop(relics)
        return ""
    service = find_service(stack, name)
    return settle(stack, service, service.replicas)
