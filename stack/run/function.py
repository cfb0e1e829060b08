"""Functions: build, delete, list; run/deploy.py deploys them."""

from collections.abc import Sequence
from dataclasses import dataclass

from stack import console
from stack.config.source import find_folder, function_folders, load_function
from stack.plan.function import FunctionPlan, image_repository, own_queues, plan_function
from stack.plan.stack import Service
from stack.run.container import Container
from stack.run.deployment import Deployment, forget_deployment, is_deployed, load_deployments, load_revisions
from stack.run.image import Builder
from stack.run.stack import Stack, open_stack
from stack.run.warning import warn_inert
from stack.run.workspace import lock

_HTTP_PORT = 8080


@dataclass(frozen=True)
class FunctionStatus:
    """How one function is; `url` is what curl takes, empty where no port leads to it."""

    name: str
    project: str
    state: str
    url: str
    image: str
    replicas: int
    triggers: tuple[dict[str, str], ...]


def build_functions(stack: Stack, names: Sequence[str]) -> dict[str, tuple[FunctionPlan, str]]:
    """Build the images of functions; return each one's plan and image.

    Raises:
        StackError: a function is wrong, or its image could not be built; nothing that runs was touched.
    """
    plans = [_plan(stack, name) for name in names]
    builder = Builder(stack.workspace, stack.engine, stack.inputs)
    builder.prepare_stack()
    images = builder.prepare_functions(plans)
    return {plan.name: (plan, image) for plan, image in zip(plans, images, strict=True)}


def _plan(stack: Stack, name: str) -> FunctionPlan:
    function = load_function(find_folder(stack.workspace.root, name))
    warn_inert([function])
    return plan_function(function, stack.settings)


def delete_function(name: str) -> None:
    """Stop a function and remove its container, its images and its queues; its folder stays.

    Raises:
        FunctionError: it is not deployed.
    """
    stack = open_stack()
    stack.engine.check()
    containers = [one for one in stack.engine.containers() if name and one.function == name]
    revisions = () if containers and not is_deployed(stack.workspace, name) else load_revisions(stack.workspace, name)
    with lock(stack.workspace, f"function-{name}"), lock(stack.workspace, "stack"), console.working(f"Removing {name}"):
        stack.engine.stop(containers)
        forget_deployment(stack.workspace, name)
        if revisions:
            _forget(stack, revisions)
        fresh = stack.reread()
        fresh.write(fresh.inputs)
    kept = f"; functions/{name} is kept" if name in function_folders(stack.workspace.root) else ""
    console.success(f"{name} is gone{kept}.")


def _forget(stack: Stack, revisions: Sequence[Deployment]) -> None:
    """Remove the images of all revisions, and a function's queues where no other function consumes them."""
    from stack.run.broker import delete_queues

    others = load_deployments(stack.workspace).values()
    shared = {queue for other in others for queue in own_queues(other.plan(stack.settings))}
    own = own_queues(revisions[0].plan(stack.settings))
    delete_queues(stack, [queue for queue in own if queue not in shared])
    images = {one.image for one in revisions} - {one.image for one in others}
    stack.engine.remove_images([*sorted(images), f"{image_repository(revisions[0].name)}:latest"])


def list_functions() -> tuple[FunctionStatus, ...]:
    """Tell how every function is, deployed or not."""
    stack = open_stack()
    return describe_functions(stack.inputs.services, stack.engine.containers())


def describe_functions(services: Sequence[Service], containers: Sequence[Container]) -> tuple[FunctionStatus, ...]:
    """Tell how functions are."""
    return tuple(_status(service, containers) for service in services)


def _status(service: Service, containers: Sequence[Container]) -> FunctionStatus:
    own = [one for one in containers if one.service == service.plan.service]
    address = next((one.address(_HTTP_PORT) for one in own if one.address(_HTTP_PORT)), "")
    return FunctionStatus(
        name=service.plan.name,
        project=service.plan.project,
        state=_state(service, own),
        url=f"http://{address}" if address else "",
        image=service.image if service.is_deployed else "",
        replicas=sum(one.is_running for one in own),
        triggers=tuple({"name": name, "kind": trigger.kind} for name, trigger in service.plan.triggers.items()),
    )


def _state(service: Service, containers: Sequence[Container]) -> str:
    """Return Nuclio's word where it has one: ready, unhealthy."""
    if not service.is_deployed and not containers:
        return "not deployed"
    if any(one.is_ready for one in containers):
        return "ready"
    return containers[0].condition if containers else "stopped"
