"""The stack: render it, bring it up, take it down, tell how it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from stack import console
from stack.config.document import collect
from stack.config.settings import Settings, load_settings
from stack.config.source import Function, load_functions
from stack.errors import ConfigError, EngineError, FunctionError
from stack.plan.broker import SERVICE, Credentials
from stack.plan.change import Action, Change, Running, find_changes
from stack.plan.function import plan_function
from stack.plan.gateway import SERVICE as GATEWAY
from stack.plan.render import Inputs, function_image, render, used_secrets
from stack.plan.secret import Vault, check_secrets
from stack.plan.stack import Service, check_exposure, plan_service
from stack.run.container import Container
from stack.run.credentials import load_credentials
from stack.run.deployment import Deployment, load_deployments
from stack.run.engine import Engine
from stack.run.gateway import settle_gateway
from stack.run.host import check_ports, check_space, find_home
from stack.run.image import Builder, choose_ground
from stack.run.readiness import wait_ready
from stack.run.replicas import load_replicas
from stack.run.source import Store
from stack.run.vault import mount_secrets, open_vault
from stack.run.warning import warn_inert
from stack.run.workspace import Workspace, lock, open_workspace, write_tree

# How long the broker may take to start: a slow SD card, a large volume.
_BROKER_SECONDS = 180
_SPACE_GIGABYTES = 2.0


@dataclass(frozen=True)
class Stack:
    """A workspace, what its user wants, and the Docker that runs it."""

    workspace: Workspace
    settings: Settings
    engine: Engine

    @cached_property
    def credentials(self) -> Credentials:
        """Return the broker's credentials."""
        return load_credentials(self.workspace)

    @cached_property
    def replicas(self) -> dict[str, int]:
        """Return how many containers were asked for, by function."""
        return load_replicas(self.workspace)

    @cached_property
    def vault(self) -> Vault:
        """Return every secret that functions may ask for."""
        return open_vault(self.workspace, self.credentials)

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        """Return every function in functions/, with the code that was fetched last where it is elsewhere.

        Raises:
            ConfigError: one or more are wrong.
        """
        functions = load_functions(self.workspace.root)
        return tuple(Store(self.workspace, self.settings, one).recall() for one in functions)

    @cached_property
    def inputs(self) -> Inputs:
        """Return what the rendered tree depends on."""
        ground = choose_ground(self.workspace, self.settings, self.engine)
        bare = Inputs(self.settings, ground, self.credentials, home=find_home(self.workspace.root))
        deployments = load_deployments(self.workspace)
        services = [self.deployed_service(deployment) for deployment in deployments.values()]
        services += self._planned_services([one for one in self.functions if one.name not in deployments], bare)
        return replace(bare, services=tuple(sorted(services, key=lambda service: service.plan.name)))

    def reread(self) -> "Stack":
        """Return the same stack with everything read anew: another task may have changed it meanwhile."""
        return replace(self)

    def deployed_service(self, deployment: Deployment) -> Service:
        """Return the service of a function as it was deployed."""
        return plan_service(
            deployment.plan(self.settings),
            self.settings,
            image=deployment.image,
            vault=self.vault,
            is_deployed=True,
            kept_replicas=self.replicas.get(deployment.name),
        )

    def _planned_services(self, functions: Sequence[Function], inputs: Inputs) -> list[Service]:
        services, errors = [], []
        for function in functions:
            try:
                services.append(self.planned_service(function, inputs))
            except ConfigError as error:
                errors.append(error)
        if errors:
            raise collect(errors)
        return services

    def planned_service(self, function: Function, inputs: Inputs, *, is_deployed: bool = False) -> Service:
        """Return the service of a function as it is in its folder."""
        plan = plan_function(function, self.settings)
        return plan_service(
            plan,
            self.settings,
            image=function_image(plan, inputs),
            vault=self.vault,
            is_deployed=is_deployed,
            kept_replicas=self.replicas.get(function.name),
        )

    def write(self, inputs: Inputs) -> tuple[str, ...]:
        """Write the rendered tree, and have the gateway go by it; return the paths that changed."""
        mount_secrets(self.workspace, self.vault, used_secrets(inputs.services))
        files = render(inputs)
        changed = write_tree(self.workspace, files)
        settle_gateway(self.engine, self.settings, files)
        return changed


def open_stack() -> Stack:
    """Return the stack of this workspace.

    Raises:
        ConfigError: stack.yaml is wrong.
    """
    workspace = open_workspace()
    settings = load_settings(workspace.root)
    return Stack(workspace, settings, Engine(settings.project, workspace.compose))


def render_stack() -> None:
    """Write .stack/ and start nothing."""
    stack = open_stack()
    check_exposure(stack.settings, stack.credentials)
    warn_inert(stack.functions)
    changed = stack.write(stack.inputs)
    console.say(f"{len(changed)} files changed under {stack.workspace.rendered}.")
    console.say(
        "Next: `invoke up` makes the images and starts it; `docker compose --file .stack/compose.yaml up -d` does"
    )
    console.say("the same with the images that are there.")


def bring_up(meanwhile: Callable[["Stack"], object] | None = None) -> Stack:
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
    warn_inert(stack.functions)
    with lock(stack.workspace, "stack"):
        stack = stack.reread()
        check_secrets([one.plan for one in stack.inputs.services if one.is_deployed], stack.vault)
        stack.write(stack.inputs)
        idle = {one.plan.service for one in stack.inputs.services if not one.replicas}
        wanted = {name: text for name, text in stack.engine.config_hashes().items() if name not in idle}
        return stack, find_changes(wanted, map(_as_running, stack.engine.containers()))


def take_down(*, volumes: bool) -> None:
    """Stop and remove every container; with `volumes` the broker's data too."""
    stack = open_stack()
    stack.engine.check()
    with lock(stack.workspace, "stack"):
        if not stack.workspace.compose.is_file():
            stack.write(stack.inputs)
        with console.working("Stopping"):
            stack.engine.down(volumes=volumes)
    console.success("Nothing runs any more." + (" The broker's data is gone." if volumes else " The data is kept."))
    console.say("Next: `invoke up` starts it again, with the same functions.")


def show_logs(name: str, *, follow: bool) -> None:
    """Print the logs of one function or service, or of all.

    Raises:
        FunctionError: there is no container of that name.
    """
    stack = open_stack()
    stack.engine.check()
    services = {container.service for container in stack.engine.containers()}
    chosen = [service for service in (name, f"function-{name}") if service in services] if name else []
    if not services or (name and not chosen):
        known = ", ".join(sorted(service.removeprefix("function-") for service in services)) or "nothing"
        raise FunctionError(f"There is no container of {name or 'this stack'}. What runs: {known}.")
    if stack.engine.follow_logs(chosen, follow=follow):
        raise EngineError("Docker could not show the logs; the lines above say why.")


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
    own = " ".join(one.ports for one in running if one.service in (SERVICE, GATEWAY) and one.is_running)
    ports = stack.settings.ports
    wanted = {"ports.amqp": ports.amqp, "ports.mqtt": ports.mqtt, "ports.management": ports.management}
    wanted |= {"ports.metrics": ports.metrics, "ports.gateway": ports.gateway}
    check_ports(address, [(key, port) for key, port in wanted.items() if f":{port}->" not in own])
    check_space(stack.engine.root_folder(), _SPACE_GIGABYTES)


def _rebuild_functions(stack: Stack, builder: Builder) -> None:
    """Build again what was deployed and whose image is gone, where its folder still gives the same.

    Raises:
        FunctionError: a folder has changed since.
    """
    missing = [one for one in stack.inputs.services if one.is_deployed and not stack.engine.has_image(one.image)]
    plans = [
        plan_function(one, stack.settings) for one in stack.functions if one.name in {m.plan.name for m in missing}
    ]
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
