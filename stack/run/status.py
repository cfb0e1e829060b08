"""What the user is told of the stack and its functions, and of what would be done to them."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from stack import console
from stack.config.source import function_folders
from stack.contract import HTTP_PORT
from stack.docker.container import Container
from stack.docker.image import describe_age, find_age
from stack.docker.stack import Stack, open_stack, warn_refused
from stack.plan.account import ADMINISTRATOR
from stack.plan.broker import AMQP_PORT, MANAGEMENT_PORT, MQTT_PORT, SERVICE
from stack.plan.diff import DEPLOY, Action, Change, find_deploys
from stack.plan.function import count_dead_letters
from stack.plan.gateway import SERVICE as GATEWAY
from stack.plan.gateway import find_url
from stack.plan.metrics import Handling, Trouble, find_handling_troubles
from stack.plan.render import DASHBOARD_PORT
from stack.plan.runtime.registry import explain_version
from stack.plan.stack import Service
from stack.rabbitmq.drift import BrokerSurvey, survey_stack_broker
from stack.run.function_status import Figures, list_functions, print_functions_table, read_figures
from stack.run.revision import print_revisions
from stack.run.up import Survey, bring_up, survey
from stack.state.deployment import load_deployments

# The broker's ports, and the service that publishes each.
_BROKER_PORTS = (
    ("amqp://", SERVICE, AMQP_PORT),
    ("mqtt://", SERVICE, MQTT_PORT),
    ("http://", GATEWAY, MANAGEMENT_PORT),
)


def bring_up_and_print() -> None:
    """Bring the stack up, and say what runs where and what to type next."""
    stack = bring_up()
    containers = stack.engine.containers()
    _print_services(containers, _find_urls(stack, containers))
    _tell_login(stack)
    console.say("Next: `invoke deploy-function --all`, or `invoke demo` to see it work.")


def print_status(*, as_json: bool) -> None:
    """Show every container of the stack, and what each function has done since its container started."""
    stack = open_stack()
    stack.engine.check_engine()
    containers = sorted(stack.engine.containers(), key=lambda one: one.service)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(read_figures, stack.engine, containers)
        broker = _survey_broker(stack, containers)
    figures = asked.result()
    urls = _find_urls(stack, containers)
    dead = _count_dead_letters(stack, broker)
    if as_json:
        times = stack.engine.image_times(one.image for one in containers)
        told = [_describe(one, figures.get(one.id), urls, stack.notes) for one in containers]
        documents = [document | _date(one, times) for document, one in zip(told, containers, strict=True)]
        console.show_json([one | _describe_messages(one, broker, dead) for one in documents])
    elif containers:
        _print_status(containers, figures, urls)
        _print_broker(broker, dead)
        if (age := find_age(stack)) is not None:
            console.note(describe_age(age))
    else:
        console.say("Nothing runs. `invoke up` starts the stack.")
    if not as_json:
        warn_refused(stack)
    for name, text in stack.notes.items() if not as_json else ():
        console.note(f"{name} {text}.")
    if containers and not any(one.service == SERVICE for one in containers):
        console.warn(f"{SERVICE} is not there; `invoke up` starts it.")


def _date(container: Container, times: Mapping[str, datetime]) -> dict[str, str]:
    """Return when a container's image was made, if it is here still."""
    made = times.get(container.image)
    return {"image_created": made.isoformat(timespec="seconds")} if made else {}


def print_functions(name: str, *, as_json: bool) -> None:
    """Show every function, or the revisions of one."""
    if name:
        print_revisions(name, as_json=as_json)
        return
    functions = list_functions()
    if as_json:
        console.show_json([_leave_out(asdict(one), "note") for one in functions])
    elif functions:
        print_functions_table(functions)
    else:
        console.say("There is no function yet; functions/NAME/function.yaml describes one.")


def _leave_out(document: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Return a document without those of these keys that say nothing."""
    return {key: value for key, value in document.items() if value or key not in keys}


def _print_services(containers: Sequence[Container], urls: Mapping[str, str]) -> None:
    rows = [
        {"service": one.service, "state": one.condition, "answers at": _address(one, urls)}
        for one in sorted(containers, key=lambda one: one.service)
    ]
    console.show_table(("service", "state", "answers at"), rows)


def _print_status(containers: Sequence[Container], figures: Mapping[str, Figures], urls: Mapping[str, str]) -> None:
    rows = []
    for one in containers:
        found = figures.get(one.id)
        rows.append(
            {
                "service": one.service,
                "state": f"not ready: {found.reason}" if found and found.reason else one.condition,
                "answers at": _address(one, urls),
                "events": str(found.events) if found else "-",
                "failures": str(found.failures) if found else "-",
                "per second": f"{found.rate:.1f}" if found else "-",
            }
        )
    console.show_table(("service", "state", "answers at", "events", "failures", "per second"), rows)
    for trouble in _find_troubles(containers, figures):
        console.warn(f"{trouble.subject}: {trouble.what} {trouble.advice}")
    for one in containers:
        if sentence := explain_version(one.python_of_function):
            console.note(f"{one.function} {sentence}.")


def _survey_broker(stack: Stack, containers: Sequence[Container]) -> BrokerSurvey:
    """Ask the broker, if it runs; a function that is wrong and not deployed does not matter."""
    is_there = any(one.service == SERVICE and one.is_ready for one in containers)
    return survey_stack_broker(replace(stack, is_lenient=True)) if is_there else BrokerSurvey()


def _count_dead_letters(stack: Stack, broker: BrokerSurvey) -> dict[str, int]:
    """Return how many dead letters lie in the queues of each function that has some, by the name of its service."""
    plans = [one.plan(stack.settings) for one in load_deployments(stack.workspace).values()]
    counts = {plan.service: count_dead_letters(plan, broker.messages) for plan in plans}
    return {name: count for name, count in counts.items() if count}


def _describe_messages(document: Mapping[str, Any], broker: BrokerSurvey, dead: Mapping[str, int]) -> dict[str, Any]:
    """Return what a service's document says of messages: the broker's troubles, a function's dead letters."""
    if document["service"] == SERVICE:
        return {"problems": [one.as_document() for one in broker.all_troubles]}
    return {"dead_letters": dead.get(document["service"], 0)} if "wanted_python" in document else {}


def _print_broker(broker: BrokerSurvey, dead: Mapping[str, int]) -> None:
    if broker.problem:
        console.warn(f"The broker was not asked: {broker.problem}")
    for one in broker.all_troubles:
        console.warn(f"{one.subject} {one.what} {one.advice}")
    for service, count in dead.items():
        name = service.removeprefix("function-")
        letters = "1 dead letter" if count == 1 else f"{count} dead letters"
        console.warn(f"{name} has {letters}; `invoke dead-letters {name}` shows, replays and discards them.")


def _find_troubles(containers: Sequence[Container], figures: Mapping[str, Figures]) -> list[Trouble]:
    """Return what is wrong with the handlers of functions, all containers of each taken together."""
    sums: dict[str, Handling] = {}
    for one in containers:
        if found := figures.get(one.id):
            sums[one.function] = sums.get(one.function, Handling()) + found.handling
    return [trouble for name, handling in sums.items() for trouble in find_handling_troubles(name, handling)]


def _tell_login(stack: Stack) -> None:
    if stack.credentials.is_guest:
        console.note("The broker's user and password are guest and guest; only this machine can reach it.")
    else:
        console.note(
            f"The broker's user is {stack.credentials.username}; "
            f"its password is in {stack.workspace.secrets / 'broker.password'}."
        )


def _describe(
    container: Container, figures: Figures | None, urls: Mapping[str, str], notes: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "service": container.service,
        "container": container.name,
        "state": container.state,
        "health": container.health,
        "status": container.status,
        "image": container.image,
        "address": _address(container, urls),
        **({"python": container.python, "wanted_python": container.wanted_python} if container.function else {}),
        **(asdict(figures) if figures else {}),
        **({"problems": _describe_troubles(container.function, figures)} if figures else {}),
        **({"note": notes[container.function]} if container.function in notes else {}),
    }


def _describe_troubles(name: str, figures: Figures) -> list[dict[str, str]]:
    return [trouble.as_document() for trouble in find_handling_troubles(name, figures.handling)]


def _find_urls(stack: Stack, containers: Sequence[Container]) -> dict[str, str]:
    """Return where the gateway has each function that is deployed, and the broker's pages: by the name of its service.

    The broker's address has all its ports on this machine.
    """
    plans = (one.plan(stack.settings) for one in load_deployments(stack.workspace).values())
    urls = {one.service: find_url(one, stack.settings) for one in plans}
    parts = [
        f"{scheme}{address}"
        for scheme, service, port in _BROKER_PORTS
        for one in containers
        if one.service == service and (address := one.address(port))
    ]
    return urls | ({SERVICE: "  ".join(parts)} if parts else {})


def _address(container: Container, urls: Mapping[str, str]) -> str:
    if container.service in urls:
        return urls[container.service]
    address = container.address(HTTP_PORT) or container.address(DASHBOARD_PORT)
    return f"http://{address}" if address else ""


# Exit statuses: nothing to do, and something.
_SETTLED, _PENDING = 0, 2


def print_plan(*, as_json: bool) -> int:
    """Show what `up` and `deploy-function --all` would do; return the exit status, which is 2 if that is anything.

    Raises:
        StackError: something that is wished is wrong, or Docker does not answer.
    """
    stack = open_stack()
    warn_refused(stack)
    changes = find_plan(stack)
    pending = [one for one in changes if one.action is not Action.KEEP]
    if as_json:
        console.show_json([one.as_document() for one in changes])
    elif pending:
        rows = [{name: str(value) for name, value in one.as_document().items()} for one in pending]
        console.show_table(("action", "subject", "task", "reason"), rows)
        console.note(f"{len(changes) - len(pending)} more stay as they are.")
    else:
        console.say("Everything is as it should be; there is nothing to do.")
    for name, text in stack.notes.items() if not as_json else ():
        console.note(f"{name} {text}.")
    return _PENDING if pending else _SETTLED


def find_plan(stack: Stack) -> tuple[Change, ...]:
    """Find what `up` and a deploy of all functions would do; change nothing."""
    deployed = [one for one in stack.inputs.services if one.is_deployed]
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(survey_stack_broker, stack)
        found = survey(stack)
        deploys = find_deploys([*_plan_deployed(stack), *stack.undeployed], deployed)
    told = _tell_notes(stack, deploys)
    return (*found.changes, *found.edits, *_plan_broker(stack, found, asked.result()), *told)


def _tell_notes(stack: Stack, deploys: Sequence[Change]) -> tuple[Change, ...]:
    """Return what a deploy of all functions would do, which leaves those alone that were rolled back."""
    left = {name: Change(name, Action.KEEP, text, DEPLOY) for name, text in stack.notes.items()}
    gone = [change for name, change in left.items() if name not in {one.subject for one in deploys}]
    return (*(left.get(one.subject, one) for one in deploys), *gone)


def _plan_broker(stack: Stack, found: Survey, broker: BrokerSurvey) -> tuple[Change, ...]:
    """Return what would be done at the broker; of one that does not run, its container is told of already."""
    if not any(one.service == SERVICE and one.is_ready for one in found.containers):
        return ()
    if broker.problem and not broker.is_locked:
        console.warn(f"What is at the broker is not compared: {broker.problem}")
    for one in broker.troubles:
        console.warn(f"{one.subject} {one.what} {one.advice}")
    return broker.changes(ADMINISTRATOR)


def _plan_deployed(stack: Stack) -> tuple[Service, ...]:
    """Return the services of deployed functions as they are in their folders; one whose folder is gone runs on."""
    folders = function_folders(stack.workspace.root)
    return stack.planned_services([folder for name, folder in folders.items() if name in stack.deployments])
