"""The stack: render it, take it down, show its logs; run/up.py brings it up."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from itertools import chain
from pathlib import Path

from stack import console
from stack.config.alert import Alert, load_alerts
from stack.config.container import find_unheeded_limits
from stack.config.document import attempt_all, find_ignored
from stack.config.environment import SecretContent, SecretRef
from stack.config.scaling import find_unheeded
from stack.config.settings import FILE, Settings, load_settings
from stack.config.source import FOLDER, Function, function_folders, load_function
from stack.config.trigger.mqtt import find_unheeded_topics
from stack.docker.base_image import choose_base_images
from stack.docker.container import Container
from stack.docker.engine import Engine
from stack.docker.swarm.engine import open_engine
from stack.errors import AccessError, ConfigError, HostError
from stack.plan.account import Accounts
from stack.plan.alerter import plan_alerter
from stack.plan.bridge import secure_bridges
from stack.plan.broker import Credentials, find_host
from stack.plan.feedback import plan_logger
from stack.plan.function import FunctionPlan, plan_function
from stack.plan.function_check import find_loopback
from stack.plan.gateway import check_login, find_open_ports
from stack.plan.host_access import check_host_access
from stack.plan.image import BaseImages, haproxy_base, python_base, rabbitmq_base
from stack.plan.inputs import Inputs
from stack.plan.recorder import plan_recorder
from stack.plan.render import ACCOUNTS, COMPOSE, used_secrets
from stack.plan.secret import Vault
from stack.plan.stack import Service, plan_service
from stack.plan.stack_image import function_image, gateway_image, processor_image, rabbitmq_image, render_function
from stack.plan.swarm import SWARM
from stack.plan.tls import ServerCertificate
from stack.state.access import Access, has_gateway_login, list_authorities, load_access, load_gateway_login
from stack.state.broker import load_cluster
from stack.state.credentials import load_credentials, load_former_credentials
from stack.state.deployment import Deployment, explain_folder, load_candidate, load_deployments
from stack.state.devices import Registry, RegistryReader, list_logins
from stack.state.host import load_host_context
from stack.state.replicas import load_replicas
from stack.state.source.source import Store
from stack.state.tls import load_server_certificate
from stack.state.vault import mount_secrets, open_vault
from stack.state.workspace import Workspace, open_workspace, write_file

_ONE_NODE = "spec.nodeSelector has no effect with one machine; `engine: swarm` has several"


def warn_ignored(functions: Iterable[Function], *, has_nodes: bool = False) -> None:
    """Name each key that has no effect, or a wrong one, once in a task, however often the task reads the functions.

    With several machines a key has an effect that chooses some of them.
    """
    for function in functions:
        spec = function.config.spec
        scaling = find_unheeded(spec.scale_to_zero, spec.auto_scale_metrics, bounds=spec.bounds)
        unheeded = chain(scaling, find_unheeded_limits(spec.resources), find_unheeded_topics(spec.triggers))
        placement = [_ONE_NODE] if spec.node_selector and not has_nodes else []
        for line in chain(find_ignored(function.config), unheeded, placement, find_loopback(spec)):
            warn_once(f"{function.document}: {line}.")


@cache
def warn_once(message: str) -> None:
    """Warn of something once in a task, however often it is met."""
    console.warn(message)


def check_owner(workspace: Workspace, project: str, *, containers: Sequence[Container]) -> None:
    """Make sure that a project's containers are of this workspace, or of one that is gone, such as by another name.

    Raises:
        HostError: they are another's.
    """
    own = workspace.rendered.resolve()
    others = {Path(one.folder).resolve() for one in containers if one.folder} - {own}
    for folder in sorted(others):
        if any((folder / name).is_file() for name in (COMPOSE, SWARM)):
            raise HostError(
                f"The project {project} runs from {folder.parent}. Choose another `project`, and other "
                f"ports, in {workspace.root / FILE}; or type `invoke down` there first."
            )


@cache
def _find_reader(workspace: Workspace) -> RegistryReader:
    """Return who reads the devices of a workspace, which takes a while where there are many, once in a program."""
    return RegistryReader(workspace)


_WAY_ON = f"Mend this, or move the folder out of {FOLDER}/: it stands in the way of `up`, `plan` and `render`."


@dataclass(frozen=True)
class Stack:
    """A workspace, what its user wants, and the Docker that runs it."""

    workspace: Workspace
    settings: Settings
    engine: Engine
    is_lenient: bool = False
    """A function that is wrong and not deployed stands in no one's way."""
    names_images: bool = True
    """A function that is not deployed has the name of its image, for which all that goes into it is read."""

    @cached_property
    def accounts(self) -> Accounts:
        """Return what the broker's accounts are made of."""
        former = load_former_credentials(self.workspace)
        return Accounts(self.vault.key, load_credentials(self.workspace), (former,) if former else ())

    @property
    def credentials(self) -> Credentials:
        """Return the broker's account of people and devices."""
        return self.accounts.current

    @cached_property
    def access(self) -> Access | None:
        """Return who may come in to the dashboard, if a login was made."""
        return load_access(self.workspace)

    @cached_property
    def replicas(self) -> dict[str, int]:
        """Return how many containers were asked for, by function."""
        return load_replicas(self.workspace)

    @cached_property
    def vault(self) -> Vault:
        """Return every secret that functions may ask for."""
        own = open_vault(self.workspace)
        return replace(own, has_store=self.settings.has_store, broker=find_host(self.settings))

    @cached_property
    def base_images(self) -> BaseImages:
        """Return what images stand on."""
        return choose_base_images(self.workspace, self.settings, engine=self.engine)

    @cached_property
    def deployments(self) -> dict[str, Deployment]:
        """Return what is deployed, by name."""
        return load_deployments(self.workspace)

    @cached_property
    def refused(self) -> dict[str, AccessError]:
        """Return why deployed functions may not run, by name: stack.yaml does not allow what they ask for."""
        refused = {}
        for name, deployment in self.deployments.items():
            try:
                check_host_access(deployment.plan(self.settings).function, self.settings)
            except AccessError as error:
                refused[name] = error
        return refused

    @cached_property
    def notes(self) -> dict[str, str]:
        """Return what to know of deployed functions whose folders do not hold what runs, by name."""
        folders = function_folders(self.workspace.root)
        told = {name: explain_folder(one, has_folder=name in folders) for name, one in self.deployments.items()}
        return {name: text for name, text in told.items() if text}

    @cached_property
    def undeployed(self) -> tuple[Service, ...]:
        """Return the services of those functions of functions/ that are not deployed.

        Raises:
            ConfigError: one or more are wrong.
        """
        folders = function_folders(self.workspace.root)
        # Every function's image depends on these: a mistake in an alert is none of a function's, and is told once.
        _ = self.alerts
        try:
            return self.planned_services([folder for name, folder in folders.items() if name not in self.deployments])
        except ConfigError as error:
            raise ConfigError([*error.problems, _WAY_ON]) from error

    @cached_property
    def inputs(self) -> Inputs:
        """Return what the rendered tree depends on; a function that may not run is no part of it."""
        found = [*self.deployed_services, *self.undeployed, *self.own_services]
        services = sorted(found, key=lambda service: service.plan.name)
        return replace(self.bare_inputs, services=tuple(services))

    @cached_property
    def deployed_services(self) -> tuple[Service, ...]:
        """Return the services of those deployed functions that may run."""
        return tuple(self.deployed_service(one) for name, one in self.deployments.items() if name not in self.refused)

    @cached_property
    def own_services(self) -> tuple[Service, ...]:
        """Return the services of functions that are a part of the stack itself: they keep what comes, or alert."""
        is_urgent = self.bare_inputs.has_vmalert
        recorder: Callable[[Settings, str], FunctionPlan] = partial(plan_recorder, is_urgent=is_urgent)
        wanted = {
            recorder: self.settings.data.is_kept,
            plan_logger: self.settings.logger.service,
            plan_alerter: self.bare_inputs.has_alertmanager,
        }
        return tuple(self._plan_own(plan) for plan, is_wanted in wanted.items() if is_wanted)

    def _plan_own(self, make_plan: Callable[[Settings, str], FunctionPlan]) -> Service:
        image = processor_image(self.bare_inputs)
        plan = make_plan(self.settings, image)
        service = plan_service(plan, self.settings, image=image, vault=self.vault, is_deployed=True)
        return replace(service, is_own=True)

    @cached_property
    def bare_inputs(self) -> Inputs:
        """Return what the images depend on: the same without a function."""
        home = load_host_context(self.workspace.root, self.settings)
        login = self.access.generation if self.access else ""
        gateway_login = load_gateway_login(self.workspace)
        has_devices = bool(list_logins(self.workspace))
        rates = {name: one.rate for name, one in self.registry.devices.items() if one.rate} if has_devices else {}
        return Inputs(
            self.settings,
            self.base_images,
            self.accounts,
            home=home,
            login=login,
            gateway_login=gateway_login,
            alerts=self.alerts,
            has_devices=has_devices,
            device_rates=rates,
            authorities=self._list_authorities(),
            cluster=load_cluster(self.workspace) if self.settings.broker.nodes > 1 else "",
            certificate=load_server_certificate(self.workspace) if self.settings.tls.is_on else ServerCertificate(),
            bridge_accounts=self._find_bridge_accounts(),
        )

    def _find_bridge_accounts(self) -> dict[SecretRef, SecretContent]:
        wanted = {one.secret_ref for one in self.settings.bridge}
        return {ref: content for ref, content in self.vault.contents.items() if ref in wanted}

    def _list_authorities(self) -> tuple[tuple[str, str], ...]:
        """Return what each node of a broker of several has of bridges, of which the workspace is not beside all."""
        if self.settings.broker.nodes == 1:
            return ()
        return list_authorities(self.workspace, secure_bridges(self.settings.bridge))

    @property
    def registry(self) -> Registry:
        """Return the devices of the workspace as they are now; a file with a mistake takes none of the others away."""
        return _find_reader(self.workspace).read()

    @cached_property
    def alerts(self) -> tuple[Alert, ...]:
        """Return the alerts of the workspace.

        Raises:
            ConfigError: one or more are wrong.
        """
        return load_alerts(self.workspace.root, is_lenient=self.is_lenient)

    def check_login(self, plans: Iterable[FunctionPlan] = ()) -> None:
        """Refuse a gateway that asks for a login that no one can have; warn of ports that it does not guard.

        Raises:
            ConfigError: no login was made.
        """
        chosen = [*plans] or [one.plan for one in self.inputs.services if one.is_deployed]
        check_login(chosen, self.settings, has_login=has_gateway_login(self.workspace))
        for warning in find_open_ports(chosen, self.settings):
            console.warn(warning)

    def reread(self) -> "Stack":
        """Return the same stack with all state read again: another task may have changed it meanwhile."""
        return replace(self)

    def reopen(self) -> "Stack":
        """Return the same stack with all state and stack.yaml read again, for what runs longer than these stay.

        Raises:
            ConfigError: stack.yaml is wrong.
        """
        return replace(self, settings=load_settings(self.workspace.root))

    def deployed_service(self, deployment: Deployment) -> Service:
        """Return the service of a function as it was deployed.

        Raises:
            AccessError: it asks for what stack.yaml does not allow it of this machine.
        """
        return plan_service(
            deployment.plan(self.settings),
            self.settings,
            image=deployment.image,
            vault=self.vault,
            is_deployed=True,
            kept_replicas=self.replicas.get(deployment.name),
        )

    def planned_services(self, folders: Iterable[Path]) -> tuple[Service, ...]:
        """Return the services of functions as they are in their folders; one that may not run is told of and left out.

        Raises:
            ConfigError: one or more are wrong.
        """
        planned = attempt_all(self._try_plan, folders, is_lenient=self.is_lenient)
        return tuple(one for one in planned if one)

    def _try_plan(self, folder: Path) -> Service | None:
        try:
            return self.planned_service(self.recall(folder))
        except AccessError as error:
            warn_once(f"{folder.name} cannot be deployed.\n{error}")
            return None

    def recall(self, folder: Path) -> Function:
        """Return a function with the code that was fetched last, where it is elsewhere."""
        return Store(self.workspace, self.settings, load_function(folder)).recall()

    def planned_service(self, function: Function) -> Service:
        """Return the service of a function as it is in its folder."""
        plan = plan_function(function, self.settings)
        return plan_service(
            plan,
            self.settings,
            image=function_image(plan, self.bare_inputs) if self.names_images else "",
            vault=self.vault,
            is_deployed=False,
            kept_replicas=self.replicas.get(function.name),
        )

    def prepare(self, services: Sequence[Service]) -> None:
        """Write what containers of these services mount, while nothing else tells of the services yet."""
        mount_secrets(self.workspace, self.vault, mounts=used_secrets(services))
        for service in services:
            files = render_function(service.plan, self.inputs) if service.runs_as_is else {}
            for path, content in files.items():
                write_file(self.workspace.rendered / path, content)

    @property
    def rendered_accounts(self) -> bytes:
        """Return the definitions of the accounts that the broker has, as they were rendered last."""
        path = self.workspace.rendered / ACCOUNTS
        return path.read_bytes() if path.is_file() else b""

    def find_coming(self, name: str) -> Service | None:
        """Return the service of a function whose deploy has not come to its end."""
        candidate = load_candidate(self.workspace, name)
        try:
            return self.deployed_service(candidate) if candidate else None
        except AccessError:
            return None


def open_stack(workspace: Workspace | None = None, *, is_lenient: bool = False) -> Stack:
    """Return the stack of a workspace: that of this call, if none is given.

    Raises:
        ConfigError: stack.yaml is wrong.
    """
    workspace = workspace or open_workspace()
    settings = load_settings(workspace.root)
    return Stack(workspace, settings, open_engine(workspace, settings), is_lenient)


def warn_refused(stack: Stack) -> None:
    """Tell of each deployed function that does not run because stack.yaml does not allow what it asks for."""
    for name, error in stack.refused.items():
        warn_once(f"{name} is deployed and is not started until stack.yaml allows it.\n{error}")


# From then on `status` says what to do about it, and `upgrade` does it.
OLD_DAYS = 30
# Images that are built reproducibly tell a time long ago, or none.
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)


def find_age(stack: Stack) -> int | None:
    """Return the days since the oldest of the stack's base images was made; nothing if none is here or tells it."""
    inputs, settings, base_images = stack.bare_inputs, stack.settings, stack.base_images
    bases = {base(settings, base_images) for base in (python_base, rabbitmq_base, haproxy_base)}
    names = bases | {rabbitmq_image(inputs), gateway_image(inputs), processor_image(inputs)}
    times = [one for one in stack.engine.image_times(names).values() if one > _EARLIEST]
    return (datetime.now(UTC) - min(times)).days if times else None


def describe_age(days: int) -> str:
    """Say how old the base images are, and what to do if they are old, or this machine's clock is behind them."""
    if days < -1:
        return "By this machine's clock the base images are of a day to come; set the clock."
    when = "today" if days <= 0 else "yesterday" if days == 1 else f"{days} days ago"
    advice = " `invoke upgrade` makes them again, of what is there now." if days >= OLD_DAYS else ""
    return f"The base images were made {when}.{advice}"
