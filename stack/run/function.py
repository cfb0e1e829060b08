"""Functions: deploy, delete, list."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stack import console
from stack.config.inert import find_inert
from stack.config.source import find_folder, function_folders, load_function
from stack.errors import FunctionError, StackError
from stack.plan.function import FunctionPlan, image_repository, own_queues, plan_function
from stack.plan.render import Inputs, render_function
from stack.plan.stack import Service, plan_service
from stack.run.broker import delete_queues
from stack.run.container import Container
from stack.run.credentials import secrets_digest
from stack.run.deployment import forget_deployment, load_deployments, record_deployment
from stack.run.image import Builder
from stack.run.readiness import wait_ready
from stack.run.stack import Stack, open_stack
from stack.run.workspace import lock, write_file

# How long a function may take to be ready when its readinessTimeoutSeconds says nothing; Nuclio's own is 120.
_READY_SECONDS = 120
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
    """Deploy functions one after the other, or all of functions/ if none is named; return how they are then.

    Raises:
        StackError: one could not be deployed; what ran before goes on.
    """
    stack = open_stack()
    stack.engine.check()
    wanted = list(names) or list(function_folders(stack.workspace.root))
    if not wanted:
        raise FunctionError("There is no function yet; functions/NAME/function.yaml describes one.")
    for name in wanted:
        find_folder(stack.workspace.root, name)
    for name in wanted:
        with lock(stack.workspace, f"function-{name}"):
            deploy(stack, name)
    return list_functions()


def deploy(stack: Stack, name: str) -> None:
    """Build a function and start it beside its older self, which goes only when the new one is ready.

    Raises:
        StackError: it could not be built, or does not come up; the older one was not touched.
    """
    function = load_function(find_folder(stack.workspace.root, name))
    for line in find_inert(function.config):
        console.warn(f"{function.document}: {line}.")
    plan = plan_function(function, stack.settings)
    _write_recipe(stack, plan)
    builder = Builder(stack.workspace, stack.engine, stack.inputs)
    builder.prepare_stack()
    image = builder.prepare_function(plan)
    with lock(stack.workspace, "stack"):
        service = _service(stack, plan, image)
        with console.working(f"Starting {name}"):
            _replace(stack, service)
        record_deployment(stack.workspace, plan, image)
    stack.engine.tag(image, f"{plan.repository}:latest")
    console.success(f"{name} is ready.")


def delete_function(name: str) -> None:
    """Stop a function and remove its container, its images and its queues; its folder stays.

    Raises:
        FunctionError: it is not deployed.
    """
    stack = open_stack()
    stack.engine.check()
    deployment = load_deployments(stack.workspace).get(name)
    containers = [one for one in stack.engine.containers() if one.function == name]
    if deployment is None and not containers:
        known = ", ".join(load_deployments(stack.workspace)) or "none"
        raise FunctionError(f"{name} is not deployed. Deployed functions: {known}.")
    with lock(stack.workspace, f"function-{name}"), console.working(f"Removing {name}"):
        stack.engine.stop(containers)
        forget_deployment(stack.workspace, name)
        if deployment:
            delete_queues(stack, own_queues(deployment.plan(stack.settings)))
        stack.engine.remove_images(stack.engine.list_images(image_repository(name)))
        fresh = open_stack()
        fresh.write(fresh.inputs)
    console.success(f"{name} is gone; functions/{name} is kept.")


def list_functions() -> tuple[FunctionStatus, ...]:
    """Tell how every function is, deployed or not."""
    stack = open_stack()
    containers = stack.engine.containers()
    return tuple(_status(service, containers) for service in stack.inputs.services)


def _write_recipe(stack: Stack, plan: FunctionPlan) -> None:
    """Write what the image is built with; the rest of the tree changes only once the image is there."""
    for path, content in render_function(plan, stack.inputs).items():
        write_file(stack.workspace.rendered / path, content)


def _service(stack: Stack, plan: FunctionPlan, image: str) -> Service:
    digest = secrets_digest(stack.credentials)
    return plan_service(plan, stack.settings, image=image, secrets_digest=digest, is_deployed=True)


def _with_service(inputs: Inputs, service: Service) -> Inputs:
    others = [one for one in inputs.services if one.plan.name != service.plan.name]
    return replace(inputs, services=tuple(sorted([*others, service], key=lambda one: one.plan.name)))


def _replace(stack: Stack, service: Service) -> None:
    """Start the new container, wait until it is ready, and only then stop the old one."""
    name = service.plan.service
    before = [one for one in stack.engine.containers() if one.service == name]
    stack.write(_with_service(stack.inputs, service))
    if any(one.is_ready for one in before) and _is_current(stack, name, before):
        return
    holds_port = bool(service.plan.http and service.plan.http.attributes.port)
    try:
        if holds_port:
            stack.engine.halt([one for one in before if one.is_running])
        _start_beside(stack, service, before)
    except (StackError, KeyboardInterrupt):
        _restore(stack, service, before, holds_port=holds_port)
        raise
    stack.engine.stop(before)


def _is_current(stack: Stack, name: str, containers: Sequence[Container]) -> bool:
    wanted = stack.engine.config_hashes().get(name)
    return len(containers) == 1 and containers[0].config_hash == wanted


def _start_beside(stack: Stack, service: Service, before: Sequence[Container]) -> None:
    name = service.plan.service
    stack.engine.up([name], scales={name: len(before) + 1}, recreate=False)
    seconds = service.plan.spec.readiness_timeout_seconds or _READY_SECONDS
    wait_ready(stack.engine, {name}, seconds, ignored={one.id for one in before})


def _restore(stack: Stack, service: Service, before: Sequence[Container], *, holds_port: bool) -> None:
    """Remove what did not come up, and put the rendered tree back to what runs."""
    old = {one.id for one in before}
    new = [one for one in stack.engine.containers() if one.service == service.plan.service and one.id not in old]
    stack.engine.stop(new)
    stack.write(stack.inputs)
    if holds_port:
        stack.engine.start([one for one in before if one.is_running])


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
