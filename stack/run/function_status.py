"""How functions are, deployed or not: in Nuclio's words, and in three of Tidegate's own."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from stack import console
from stack.config.settings import Settings
from stack.docker.container import Container
from stack.docker.stack import Stack, open_stack, warn_refused
from stack.docker.swarm.engine import find_other_engine
from stack.errors import ConfigError
from stack.plan.function import FunctionPlan
from stack.plan.gateway import find_url
from stack.plan.stack import Service

BUILDING, READY, ERROR, UNHEALTHY = "building", "ready", "error", "unhealthy"
SCALED_TO_ZERO, STANDBY = "scaledToZero", "standby"
# Tidegate's own: Nuclio has no function that is only a folder, that stack.yaml does not allow, or whose container was
# removed by hand.
NOT_DEPLOYED, NOT_ALLOWED, STOPPED = "not deployed", "not allowed", "stopped"


@dataclass(frozen=True)
class State:
    """One of the words, and why; what is not settled may change without a sign."""

    word: str
    message: str = ""
    is_settled: bool = True
    ready: int = 0
    """How many containers do their work."""


def find_running_state(plan: FunctionPlan, replicas: int, *, containers: Sequence[Container]) -> State:
    """Return how a deployed function is, which is to have so many containers and has these."""
    if plan.spec.disable:
        return State(STANDBY)
    if not replicas:
        return State(SCALED_TO_ZERO)
    if any(one.is_ready for one in containers):
        return State(READY)
    conditions = ", ".join(sorted({one.condition for one in containers}))
    return State(UNHEALTHY, f"Its containers are {conditions}." if conditions else "It has no container.")


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
    """What else to know: that it was rolled back, or that its folder is gone."""


def print_functions(*, as_json: bool) -> None:
    """Show every function."""
    functions = list_functions()
    if as_json or functions:
        show_functions(functions, as_json=as_json)
    else:
        console.say("There is no function yet; `invoke new-function NAME` writes one.")


def show_functions(functions: Sequence[FunctionStatus], *, as_json: bool) -> None:
    """Show these functions, as a table or as JSON."""
    if as_json:
        documents = [asdict(one) for one in functions]
        console.show_json([{key: one[key] for key in one if key != "note" or one[key]} for one in documents])
    else:
        print_functions_table(functions)


def list_functions() -> tuple[FunctionStatus, ...]:
    """Tell how every function is, deployed or not; one that is wrong and not deployed is warned of."""
    stack = replace(open_stack(), names_images=False)
    undeployed = _plan_undeployed(stack)
    warn_refused(stack)
    if other := find_other_engine(stack.engine):
        console.warn(other)
    found = [*describe_functions(stack, [*stack.deployed_services, *undeployed]), *_list_refused(stack)]
    return tuple(replace(one, note=stack.notes.get(one.name, "")) for one in sorted(found, key=lambda one: one.name))


def _plan_undeployed(stack: Stack) -> tuple[Service, ...]:
    try:
        return stack.undeployed
    except ConfigError as error:
        console.warn(str(error))
        return replace(stack, is_lenient=True).undeployed


def _list_refused(stack: Stack) -> Iterator[FunctionStatus]:
    """Yield the deployed functions that may not run."""
    for name in stack.refused:
        deployment = stack.deployments[name]
        plan = deployment.plan(stack.settings)
        yield FunctionStatus(name, plan.project, NOT_ALLOWED, "", deployment.image, 0, _list_triggers(plan))


def describe_functions(stack: Stack, services: Sequence[Service]) -> tuple[FunctionStatus, ...]:
    """Tell how functions are."""
    containers = stack.engine.containers()
    return tuple(_status(service, containers, stack.settings) for service in services)


def print_functions_table(functions: Sequence[FunctionStatus]) -> None:
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
    plan, own = service.plan, [one for one in containers if one.service == service.plan.service]
    return FunctionStatus(
        name=plan.name,
        project=plan.project,
        state=_find_word(service, own),
        url=find_url(plan, settings) if service.is_deployed else "",
        image=service.image if service.is_deployed else "",
        replicas=sum(one.is_running for one in own),
        triggers=_list_triggers(plan),
    )


def _list_triggers(plan: FunctionPlan) -> tuple[dict[str, str], ...]:
    return tuple({"name": name, "kind": trigger.kind} for name, trigger in plan.triggers.items())


def _find_word(service: Service, containers: Sequence[Container]) -> str:
    """Return the word for a function's state; Docker's for that of its first container, where none is ready."""
    if not service.is_deployed and not containers:
        return NOT_DEPLOYED
    word = find_running_state(service.plan, service.replicas, containers=containers).word
    if word != UNHEALTHY:
        return word
    return containers[0].condition if containers else STOPPED
