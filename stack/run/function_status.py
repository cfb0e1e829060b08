"""How functions are, deployed or not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stack import console
from stack.config.settings import Settings
from stack.errors import ConfigError
from stack.plan.gateway import find_url
from stack.plan.stack import Service
from stack.run.docker.container import Container
from stack.run.stack import Stack, open_stack, warn_refused

# The state of a function that asks for what stack.yaml does not allow it of this machine.
NOT_ALLOWED = "not allowed"


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
    note: str = ""
    """What to know besides: that it was rolled back, or that its folder is gone."""


def list_functions() -> tuple[FunctionStatus, ...]:
    """Tell how every function is, deployed or not; one that is wrong and not deployed is warned of."""
    stack = open_stack(is_lenient=True)
    containers = stack.engine.containers()
    try:
        replace(stack, is_lenient=False).undeployed  # noqa: B018 -- for its errors
    except ConfigError as error:
        console.warn(str(error))
    warn_refused(stack)
    found = [_status(service, containers, stack.settings) for service in stack.inputs.services]
    found += [_tell_refused(stack, name) for name in stack.refused]
    return tuple(replace(one, note=stack.notes.get(one.name, "")) for one in sorted(found, key=lambda one: one.name))


def _tell_refused(stack: Stack, name: str) -> FunctionStatus:
    """Tell of a deployed function that may not run."""
    deployment = stack.deployments[name]
    plan = deployment.plan(stack.settings)
    triggers = tuple({"name": key, "kind": trigger.kind} for key, trigger in plan.triggers.items())
    return FunctionStatus(name, plan.project, NOT_ALLOWED, "", deployment.image, 0, triggers)


def describe_functions(stack: Stack, services: Sequence[Service]) -> tuple[FunctionStatus, ...]:
    """Tell how functions are."""
    containers = stack.engine.containers()
    return tuple(_status(service, containers, stack.settings) for service in services)


def show_functions(functions: Sequence[FunctionStatus]) -> None:
    """Show functions as a table."""
    rows = [
        {
            "name": one.name,
            "project": one.project,
            "state": one.state,
            "url": one.url or "-",
            "replicas": str(one.replicas),
            "triggers": ", ".join(trigger["kind"] for trigger in one.triggers),
        }
        for one in functions
    ]
    console.show_table(("name", "project", "state", "url", "replicas", "triggers"), rows)
    for one in functions:
        if one.note:
            console.note(f"{one.name} {one.note}.")


def _status(service: Service, containers: Sequence[Container], settings: Settings) -> FunctionStatus:
    own = [one for one in containers if one.service == service.plan.service]
    return FunctionStatus(
        name=service.plan.name,
        project=service.plan.project,
        state=_tell_state(service, own),
        url=find_url(service.plan, settings) if service.is_deployed else "",
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
