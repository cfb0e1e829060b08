"""Functions: deploy, delete, list."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from stack import console
from stack.config.source import find_folder, function_folders, load_function
from stack.errors import FunctionError
from stack.plan.broker import SERVICE
from stack.plan.function import FunctionPlan, image_repository, own_queues, plan_function
from stack.plan.render import files_digest, render_broker, render_function, render_images
from stack.plan.stack import Service, plan_service
from stack.run.boot import bring_up
from stack.run.broker import delete_queues
from stack.run.container import Container
from stack.run.credentials import secrets_digest
from stack.run.deployment import Deployment, forget_deployment, load_deployments
from stack.run.image import Builder
from stack.run.rollout import Rollout
from stack.run.stack import Stack, open_stack
from stack.run.warning import warn_inert
from stack.run.workspace import lock, write_file

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


def deploy_functions(names: Sequence[str]) -> tuple[FunctionStatus, ...]:
    """Deploy functions together, or all of functions/ if none is named; return how all are then.

    Raises:
        StackError: one could not be deployed; its older self goes on.
    """
    stack = open_stack()
    stack.engine.check()
    wanted = list(names) or list(function_folders(stack.workspace.root))
    if not wanted:
        raise FunctionError("There is no function yet; functions/NAME/function.yaml describes one.")
    for name in wanted:
        find_folder(stack.workspace.root, name)
    with ExitStack() as locks:
        for name in sorted(wanted):
            locks.enter_context(lock(stack.workspace, f"function-{name}"))
        _deploy(stack, wanted)
    return list_functions()


def build_functions(stack: Stack, names: Sequence[str]) -> dict[str, tuple[FunctionPlan, str]]:
    """Build the images of functions; return each one's plan and image.

    Raises:
        StackError: a function is wrong, or its image could not be built; nothing that runs was touched.
    """
    plans = [_plan(stack, name) for name in names]
    _write_recipes(stack, plans)
    builder = Builder(stack.workspace, stack.engine, stack.inputs)
    builder.prepare_stack()
    images = builder.prepare_functions(plans)
    return {plan.name: (plan, image) for plan, image in zip(plans, images, strict=True)}


def _deploy(stack: Stack, names: Sequence[str]) -> None:
    built = build_functions(stack, names)
    _require_broker(stack)
    services = tuple(_service(stack, plan, image) for plan, image in built.values())
    with lock(stack.workspace, "stack"), console.working("Starting " + ", ".join(names)):
        failures = Rollout(stack.reread(), services).run()
    for name, (plan, image) in built.items():
        if name not in failures:
            stack.engine.tag(image, f"{plan.repository}:latest")
    if failures:
        raise FunctionError("\n".join(f"{name} was not deployed: {reason}" for name, reason in failures.items()))
    console.success(f"{', '.join(names)}: ready.")


def _require_broker(stack: Stack) -> None:
    """Bring the stack up first where the broker does not run as it is rendered, such as with a new password."""
    wanted = files_digest(render_broker(stack.inputs))
    found = [one for one in stack.engine.containers() if one.service == SERVICE]
    if not any(one.is_running and one.files == wanted for one in found):
        bring_up()


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
    deployment = load_deployments(stack.workspace).get(name)
    containers = [one for one in stack.engine.containers() if name and one.function == name]
    if deployment is None and not containers:
        known = ", ".join(load_deployments(stack.workspace)) or "none"
        raise FunctionError(f"{name or 'A function without a name'} is not deployed. Deployed functions: {known}.")
    with lock(stack.workspace, f"function-{name}"), lock(stack.workspace, "stack"), console.working(f"Removing {name}"):
        stack.engine.stop(containers)
        forget_deployment(stack.workspace, name)
        if deployment:
            _forget(stack, deployment)
        fresh = stack.reread()
        fresh.write(fresh.inputs)
    kept = f"; functions/{name} is kept" if name in function_folders(stack.workspace.root) else ""
    console.success(f"{name} is gone{kept}.")


def _forget(stack: Stack, deployment: Deployment) -> None:
    """Remove a function's images, and its queues where no other function consumes them."""
    others = load_deployments(stack.workspace).values()
    shared = {queue for other in others for queue in own_queues(other.plan(stack.settings))}
    own = own_queues(deployment.plan(stack.settings))
    delete_queues(stack, [queue for queue in own if queue not in shared])
    stack.engine.remove_images([deployment.image, f"{image_repository(deployment.name)}:latest"])


def list_functions() -> tuple[FunctionStatus, ...]:
    """Tell how every function is, deployed or not."""
    stack = open_stack()
    containers = stack.engine.containers()
    return tuple(_status(service, containers) for service in stack.inputs.services)


def _write_recipes(stack: Stack, plans: Sequence[FunctionPlan]) -> None:
    """Write what images are built with; the rest of the tree changes only once the images are there."""
    files = render_images(stack.inputs)
    for plan in plans:
        files |= render_function(plan, stack.inputs)
    for path, content in files.items():
        write_file(stack.workspace.rendered / path, content)


def _service(stack: Stack, plan: FunctionPlan, image: str) -> Service:
    digest = secrets_digest(stack.credentials)
    return plan_service(plan, stack.settings, image=image, secrets_digest=digest, is_deployed=True)


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
