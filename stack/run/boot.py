"""Bring the stack up: make what is missing, start what is not as it should be, wait until all is healthy."""

from collections.abc import Callable, Sequence

from stack import console
from stack.config.source import function_folders, load_function
from stack.errors import FunctionError
from stack.plan.broker import SERVICE
from stack.plan.change import Action, Change, Running, find_changes
from stack.plan.function import plan_function
from stack.plan.render import function_image
from stack.plan.stack import check_exposure
from stack.run.container import Container
from stack.run.host import check_ports, check_space
from stack.run.image import Builder
from stack.run.readiness import wait_ready
from stack.run.stack import Stack, open_stack
from stack.run.warning import warn_inert
from stack.run.workspace import lock

# How long the broker may take to start: a slow SD card, a large volume.
_BROKER_SECONDS = 180
_SPACE_GIGABYTES = 2.0


def bring_up(meanwhile: Callable[[Stack], object] | None = None) -> Stack:
    """Start everything that is not as it should be, and wait until it is healthy.

    `meanwhile` is called once the broker's process was started: its first seconds leave time to build something.

    Raises:
        StackError: something stands in the way; nothing was started.
    """
    stack, changes = _survey()
    with lock(stack.workspace, "stack"):
        running = stack.engine.containers()
        if all(change.action is Action.KEEP for change in changes) and all(one.is_ready for one in running):
            console.say("Everything runs as it should; nothing was changed.")
        else:
            _make_images(stack, running)
            _apply(stack, changes, running)
            if meanwhile:
                meanwhile(stack)
            _wait(stack, changes)
    return stack


def prepare_images() -> None:
    """Make the images that `bring_up` needs, and start nothing.

    Raises:
        StackError: something stands in the way.
    """
    stack, changes = _survey()
    if any(change.action is not Action.KEEP for change in changes):
        _make_images(stack, stack.engine.containers())


def _survey() -> tuple[Stack, tuple[Change, ...]]:
    """Write the rendered tree, and find what is to be done."""
    stack = open_stack()
    check_exposure(stack.settings, stack.credentials)
    stack.engine.check()
    warn_inert(one.plan.function for one in stack.undeployed)
    with lock(stack.workspace, "stack"):
        stack = stack.reread()
        stack.write(stack.inputs)
        hashes = stack.engine.config_hashes(stack.workspace.compose.read_bytes())
        return stack, find_changes(hashes, map(_as_running, stack.engine.containers()))


def _make_images(stack: Stack, running: Sequence[Container]) -> None:
    _check_host(stack, running)
    builder = Builder(stack.workspace, stack.engine, stack.inputs)
    builder.prepare_stack()
    _rebuild_functions(stack, builder)


def _apply(stack: Stack, changes: Sequence[Change], running: Sequence[Container]) -> None:
    wanted = [change.service for change in changes if change.action is not Action.REMOVE]
    orphans = [one for one in running if one.service not in wanted]
    changing = [change.service for change in changes if change.action is not Action.KEEP]
    with console.working("Starting " + _name_some(changing or wanted)):
        stack.engine.stop(orphans)
        stack.engine.up(wanted)


def _wait(stack: Stack, changes: Sequence[Change]) -> None:
    wanted = [change.service for change in changes if change.action is not Action.REMOVE]
    with console.working("Waiting until all is healthy"):
        wait_ready(stack.engine, [SERVICE], _BROKER_SECONDS)
        wait_ready(stack.engine, wanted, _BROKER_SECONDS)


def _check_host(stack: Stack, running: Sequence[Container]) -> None:
    """Look for what would make the start fail, before anything is started."""
    address = str(stack.settings.bind)
    broker = next((one for one in running if one.service == SERVICE and one.is_running), None)
    own = broker.ports if broker else ""
    ports = stack.settings.ports
    wanted = {"ports.amqp": ports.amqp, "ports.mqtt": ports.mqtt, "ports.management": ports.management}
    wanted["ports.metrics"] = ports.metrics
    check_ports(address, [(key, port) for key, port in wanted.items() if f":{port}->" not in own])
    check_space(stack.engine.root_folder(), _SPACE_GIGABYTES)


def _rebuild_functions(stack: Stack, builder: Builder) -> None:
    """Build again what was deployed and whose image is gone, where its folder still gives the same.

    Raises:
        FunctionError: a folder has changed since.
    """
    deployed = [one for one in stack.inputs.services if one.is_deployed]
    here = stack.engine.images(one.image for one in deployed)
    missing = [one for one in deployed if one.image not in here]
    folders = function_folders(stack.workspace.root)
    functions = [load_function(folders[m.plan.name]) for m in missing if m.plan.name in folders]
    plans = [plan_function(one, stack.settings) for one in functions]
    same = {function_image(plan, stack.inputs): plan for plan in plans}
    for service in missing:
        if service.image not in same:
            name = service.plan.name
            raise FunctionError(f"The image of {name} is gone. Build it again: invoke deploy-function {name}.")
    builder.prepare_functions([same[service.image] for service in missing])


def _as_running(container: Container) -> Running:
    return Running(container.service, container.config_hash, container.is_running)


def _name_some(services: Sequence[str]) -> str:
    return ", ".join(services) if len(services) <= 3 else f"{len(services)} services"
