"""What the user is told of the stack and its functions; run/deploy/report.py tells of deploys."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from stack import console
from stack.plan.broker import AMQP_PORT, MQTT_PORT, SERVICE
from stack.plan.gateway import find_url
from stack.plan.python import explain_python
from stack.plan.render import DASHBOARD_PORT
from stack.run.boot import bring_up
from stack.run.deploy.deployment import load_deployments
from stack.run.deploy.revision import tell_revisions
from stack.run.docker.container import Container
from stack.run.figures import Figures, read_figures
from stack.run.function_status import list_functions, show_functions
from stack.run.stack import Stack, open_stack

_HTTP_PORT = 8080
_MANAGEMENT_PORT = 15672


def bring_up_and_tell() -> None:
    """Bring the stack up, and say what runs where and what to type next."""
    stack = bring_up()
    _show_services(stack.engine.containers(), _find_urls(stack))
    _tell_login(stack)
    console.say("Next: `invoke deploy-function --all`, or `invoke demo` to see it work.")


def tell_status(*, as_json: bool) -> None:
    """Show every container of the stack, and what each function has done since its container started."""
    stack = open_stack()
    stack.engine.check()
    containers = sorted(stack.engine.containers(), key=lambda one: one.service)
    figures = read_figures(stack.engine, containers)
    urls = _find_urls(stack)
    if as_json:
        console.show_json([_describe(one, figures.get(one.id), urls) for one in containers])
    elif containers:
        _show_status(containers, figures, urls)
    else:
        console.say("Nothing runs. `invoke up` starts the stack.")
    if containers and not any(one.service == SERVICE for one in containers):
        console.warn(f"{SERVICE} is not there; `invoke up` starts it.")


def tell_functions(name: str, *, as_json: bool) -> None:
    """Show every function, or the revisions of one."""
    if name:
        tell_revisions(name, as_json=as_json)
        return
    functions = list_functions()
    if as_json:
        console.show_json([asdict(one) for one in functions])
    elif functions:
        show_functions(functions)
    else:
        console.say("There is no function yet; functions/NAME/function.yaml describes one.")


def _show_services(containers: Sequence[Container], urls: Mapping[str, str]) -> None:
    rows = [
        {"service": one.service, "state": one.condition, "answers at": _address(one, urls)}
        for one in sorted(containers, key=lambda one: one.service)
    ]
    console.show_table(("service", "state", "answers at"), rows)


def _show_status(containers: Sequence[Container], figures: Mapping[str, Figures], urls: Mapping[str, str]) -> None:
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
    for one in containers:
        if sentence := explain_python(one.python_of_function):
            console.note(f"{one.function} {sentence}.")


def _tell_login(stack: Stack) -> None:
    if stack.credentials.is_guest:
        console.note("The broker's user and password are guest and guest; only this machine can reach it.")
    else:
        console.note(
            f"The broker's user is {stack.credentials.username}; "
            f"its password is in {stack.workspace.secrets / 'broker.password'}."
        )


def _describe(container: Container, figures: Figures | None, urls: Mapping[str, str]) -> dict[str, Any]:
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
    }


def _find_urls(stack: Stack) -> dict[str, str]:
    """Return where the gateway has each function that is deployed, by the name of its service."""
    plans = (one.plan(stack.settings) for one in load_deployments(stack.workspace).values())
    return {one.service: find_url(one, stack.settings) for one in plans}


def _address(container: Container, urls: Mapping[str, str]) -> str:
    if container.service in urls:
        return urls[container.service]
    if container.service != SERVICE:
        address = container.address(_HTTP_PORT) or container.address(DASHBOARD_PORT)
        return f"http://{address}" if address else ""
    parts = {
        "amqp://": container.address(AMQP_PORT),
        "mqtt://": container.address(MQTT_PORT),
        "http://": container.address(_MANAGEMENT_PORT),
    }
    return "  ".join(scheme + address for scheme, address in parts.items() if address)
