"""Functions: deploy, delete, list."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from stack import console
from stack.config.settings import Settings
from stack.config.source import find_folder, function_folders, load_function
from stack.errors import FunctionError
from stack.plan.broker import SERVICE
from stack.plan.code import runs_as_is
from stack.plan.function import FunctionPlan, own_queues, plan_function
from stack.plan.gateway import find_url
from stack.plan.python import explain_python
from stack.plan.render import files_digest, find_foundation, render_broker
from stack.plan.secret import check_secrets
from stack.plan.stack import Service, plan_service
from stack.run.broker import delete_queues
from stack.run.container import Container
from stack.run.deployment import Deployment, forget_deployment, load_deployments
from stack.run.image import Builder
from stack.run.replicas import forget_replicas, wake
from stack.run.rollout import Rollout
from stack.run.scale import settle_scaler
from stack.run.source import Store, forget_code
from stack.run.stack import Stack, bring_up, open_stack
from stack.run.warning import warn_inert
from stack.run.workspace import lock


@dataclass(frozen=True)
class FunctionStatus:
    """How one function is; `url` is what curl takes, empty where the gateway does not lead to it."""

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
    for plan in plans:
        if sentence := explain_python(find_foundation(plan, stack.inputs).python):
            console.warn(f"{plan.name} {sentence}.")
    builder = Builder(stack.workspace, stack.engine, stack.inputs)
    builder.prepare_stack()
    images = builder.prepare_functions(plans)
    return {plan.name: (plan, image) for plan, image in zip(plans, images, strict=True)}


def _deploy(stack: Stack, names: Sequence[str]) -> None:
    built = build_functions(stack, names)
    start_services(stack, tuple(_service(stack, plan, image) for plan, image in built.values()))


def start_services(stack: Stack, services: Sequence[Service]) -> None:
    """Put functions whose images are there in the place of their older selves.

    Raises:
        ConfigError: a secret that one asks for is not there.
        FunctionError: one does not come up; its older self goes on.
    """
    check_secrets([one.plan for one in services], stack.vault)
    _require_broker(stack)
    names = [one.plan.name for one in services]
    with lock(stack.workspace, "stack"), console.working("Starting " + ", ".join(names)):
        failures = Rollout(stack.reread(), tuple(services)).run()
    for one in services:
        if one.plan.name not in failures:
            _tag(stack, one.plan, one.image)
    if failures:
        raise FunctionError("\n".join(f"{name} was not deployed: {reason}" for name, reason in failures.items()))
    console.success(f"{', '.join(names)}: ready.")


def _tag(stack: Stack, plan: FunctionPlan, image: str) -> None:
    """Give a function's image the name by which others know the latest; one that was built elsewhere has its own."""
    if not runs_as_is(plan.function):
        stack.engine.tag(image, plan.tag)


def _require_broker(stack: Stack) -> None:
    """Bring the stack up first where the broker does not run as it is rendered, such as with a new password."""
    wanted = files_digest(render_broker(stack.inputs))
    found = [one for one in stack.engine.containers() if one.service == SERVICE]
    if not any(one.is_running and one.files == wanted for one in found):
        bring_up()


def _plan(stack: Stack, name: str) -> FunctionPlan:
    own = load_function(find_folder(stack.workspace.root, name))
    function = Store(stack.workspace, stack.settings, own).fetch()
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
        forget_replicas(stack.workspace, name)
        forget_code(stack.workspace, name)
        if deployment:
            _forget(stack, deployment)
        fresh = stack.reread()
        fresh.write(fresh.inputs)
    settle_scaler()
    kept = f"; functions/{name} is kept" if name in function_folders(stack.workspace.root) else ""
    console.success(f"{name} is gone{kept}.")


def _forget(stack: Stack, deployment: Deployment) -> None:
    """Remove a function's images, and its queues where no other function consumes them."""
    others = load_deployments(stack.workspace).values()
    shared = {queue for other in others for queue in own_queues(other.plan(stack.settings))}
    own = own_queues(deployment.plan(stack.settings))
    delete_queues(stack, [queue for queue in own if queue not in shared])
    plan = deployment.plan(stack.settings)
    if not runs_as_is(plan.function):
        stack.engine.remove_images([deployment.image, plan.tag])


def list_functions() -> tuple[FunctionStatus, ...]:
    """Tell how every function is, deployed or not."""
    stack = open_stack()
    containers = stack.engine.containers()
    return tuple(_status(service, containers, stack.settings) for service in stack.inputs.services)


def _service(stack: Stack, plan: FunctionPlan, image: str) -> Service:
    return plan_service(
        plan,
        stack.settings,
        image=image,
        vault=stack.vault,
        is_deployed=True,
        kept_replicas=wake(stack.workspace, plan),
    )


def _status(service: Service, containers: Sequence[Container], settings: Settings) -> FunctionStatus:
    own = [one for one in containers if one.service == service.plan.service]
    return FunctionStatus(
        name=service.plan.name,
        project=service.plan.project,
        state=_tell_state(service, own),
        url=find_url(service, settings) if service.is_deployed else "",
        image=service.image if service.is_deployed else "",
        replicas=sum(one.is_running for one in own),
        triggers=tuple({"name": name, "kind": trigger.kind} for name, trigger in service.plan.triggers.items()),
    )


def _tell_state(service: Service, containers: Sequence[Container]) -> str:
    """Return Nuclio's word where it has one: ready, unhealthy, scaledToZero, standby."""
    if not service.is_deployed and not containers:
        return "not deployed"
    if any(one.is_ready for one in containers):
        return "ready"
    if service.plan.spec.disable:
        return "standby"
    if not service.replicas:
        return "scaledToZero"
    return containers[0].condition if containers else "stopped"
