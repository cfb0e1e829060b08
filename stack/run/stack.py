"""The stack: render it, take it down, show its logs; run/boot.py brings it up."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from stack import console
from stack.config.document import attempt_all
from stack.config.settings import Settings, load_settings
from stack.config.source import FOLDER, Function, function_folders, load_function
from stack.errors import AccessError, ConfigError, EngineError, FunctionError
from stack.plan.account import Accounts
from stack.plan.authentication import check_login, find_open_ports
from stack.plan.broker import Credentials
from stack.plan.function import FunctionPlan, plan_function
from stack.plan.host_access import check_host_access
from stack.plan.image import Ground
from stack.plan.render import ACCOUNTS, Inputs, function_image, render, render_function, used_secrets
from stack.plan.secret import Vault
from stack.plan.stack import Service, check_exposure, plan_service
from stack.run.broker.account import settle_accounts
from stack.run.deploy.deployment import Deployment, explain_folder, list_unreadable, load_candidate, load_deployments
from stack.run.docker.engine import Engine
from stack.run.docker.kept_log import find_kept_logs
from stack.run.gateway import settle_gateway
from stack.run.ground import choose_ground
from stack.run.host import find_home
from stack.run.lock import TREE, find_rollouts, lock, stack_lock
from stack.run.owner import check_owner
from stack.run.scale.replicas import load_replicas
from stack.run.secret.access import Access, load_access
from stack.run.secret.credentials import load_credentials, load_former_credentials
from stack.run.secret.gateway_login import has_gateway_login, load_gateway_login, write_gateway_login
from stack.run.secret.vault import mount_secrets, open_vault, unmount_secrets
from stack.run.source.source import Store
from stack.run.warning import warn_inert, warn_once
from stack.run.workspace import Workspace, open_workspace, write_file, write_tree

_WAY_ON = f"Mend this, or move the folder out of {FOLDER}/: it stands in the way of `up`, `plan` and `render`."


@dataclass(frozen=True)
class Stack:
    """A workspace, what its user wants, and the Docker that runs it."""

    workspace: Workspace
    settings: Settings
    engine: Engine
    is_lenient: bool = False
    """A function that is wrong and not deployed stands in nobody's way."""

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
        return open_vault(self.workspace)

    @cached_property
    def ground(self) -> Ground:
        """Return what images stand on."""
        return choose_ground(self.workspace, self.settings, self.engine)

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
        try:
            return self.planned_services([folder for name, folder in folders.items() if name not in self.deployments])
        except ConfigError as error:
            raise ConfigError([*error.problems, _WAY_ON]) from error

    @cached_property
    def inputs(self) -> Inputs:
        """Return what the rendered tree depends on; a function that may not run is no part of it."""
        allowed = [one for name, one in self.deployments.items() if name not in self.refused]
        deployed = [self.deployed_service(deployment) for deployment in allowed]
        services = sorted([*deployed, *self.undeployed], key=lambda service: service.plan.name)
        return replace(self.bare_inputs, services=tuple(services))

    @cached_property
    def bare_inputs(self) -> Inputs:
        """Return what the images depend on: the same without a function."""
        home = find_home(self.workspace.root, self.settings)
        login = self.access.generation if self.access else ""
        gateway_login = load_gateway_login(self.workspace)
        return Inputs(self.settings, self.ground, self.accounts, home=home, login=login, gateway_login=gateway_login)

    def check_login(self, plans: Iterable[FunctionPlan] = ()) -> None:
        """Refuse a gateway that asks for a login that nobody can have; warn of ports that it does not guard.

        Raises:
            ConfigError: no login was made.
        """
        chosen = [*plans] or [one.plan for one in self.inputs.services if one.is_deployed]
        check_login(chosen, self.settings, has_login=has_gateway_login(self.workspace))
        for warning in find_open_ports(chosen, self.settings):
            console.warn(warning)

    def reread(self) -> "Stack":
        """Return the same stack with all state read anew: another task may have changed it meanwhile."""
        fresh = replace(self)
        vars(fresh)["ground"] = self.ground
        return fresh

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
            image=function_image(plan, self.bare_inputs),
            vault=self.vault,
            is_deployed=False,
            kept_replicas=self.replicas.get(function.name),
        )

    def prepare(self, services: Sequence[Service]) -> None:
        """Write what containers of these services mount, while nothing else tells of the services yet."""
        mount_secrets(self.workspace, self.vault, used_secrets(services))
        for service in services:
            files = render_function(service.plan, self.inputs) if service.runs_as_is else {}
            for path, content in files.items():
                write_file(self.workspace.rendered / path, content)

    @property
    def rendered_accounts(self) -> bytes:
        """Return the definitions of the accounts that the broker has, as they were rendered last."""
        path = self.workspace.rendered / ACCOUNTS
        return path.read_bytes() if path.is_file() else b""

    def write(self, inputs: Inputs, own: Collection[str] = ()) -> tuple[str, ...]:
        """Write the rendered tree, and have the gateway go by it; return the paths that changed.

        What the containers mount of functions that are being deployed, other than one's own, is left to who does it.
        """
        theirs = find_rollouts(self.workspace).difference(own)
        coming = [one for name in theirs if (one := self._find_coming(name))]
        mount_secrets(self.workspace, self.vault, used_secrets(inputs.services))
        files, before = render(inputs), self.rendered_accounts
        if list_unreadable(self.workspace):
            # Nothing is removed of functions that cannot be read.
            before = b""
        else:
            unmount_secrets(self.workspace, used_secrets([*inputs.services, *coming]))
        write_gateway_login(self.workspace, inputs.gateway_login)
        changed = write_tree(self.workspace, files, theirs)
        settle_accounts(self, before, files[ACCOUNTS])
        settle_gateway(self.engine, self.settings, files)
        return changed

    def _find_coming(self, name: str) -> Service | None:
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
    return Stack(workspace, settings, Engine(settings.project, workspace.compose), is_lenient)


def warn_refused(stack: Stack) -> None:
    """Tell of each deployed function that does not run because stack.yaml does not allow what it asks for."""
    for name, error in stack.refused.items():
        warn_once(f"{name} is deployed and is not started until stack.yaml allows it.\n{error}")


def render_stack() -> None:
    """Write .stack/ and start nothing."""
    stack = open_stack()
    check_exposure(stack.settings, stack.credentials, has_login=stack.access is not None)
    stack.check_login()
    warn_inert(one.plan.function for one in stack.undeployed)
    warn_refused(stack)
    with lock(stack.workspace, TREE):
        fresh = stack.reread()
        changed = fresh.write(fresh.inputs)
    console.say(f"{len(changed)} files changed under {stack.workspace.rendered}.")
    console.say(
        "Next: `invoke up` makes the images and starts it; `docker compose --file .stack/compose.yaml up -d` does"
    )
    console.say("the same with the images that are there.")


def take_down(*, volumes: bool) -> None:
    """Stop and remove every container; with `volumes` the broker's data too.

    Raises:
        HostError: they are another workspace's.
    """
    stack = open_stack()
    stack.engine.check()
    check_owner(stack.workspace, stack.settings.project, stack.engine.listed())
    with stack_lock(stack.workspace):
        if not stack.workspace.compose.is_file():
            stack.write(stack.inputs)
        with console.working("Stopping"):
            stack.engine.keep_logs(stack.engine.listed())
            stack.engine.down(volumes=volumes)
    console.success("Nothing runs any more." + (" The broker's data is gone." if volumes else " The data is kept."))
    console.say("Next: `invoke up` starts it again, with the same functions.")


def show_logs(name: str, *, follow: bool, previous: bool = False) -> None:
    """Print the logs of one function or service, or of all; `previous` is what a function's last container said.

    Raises:
        FunctionError: there is no container of that name, or none before it.
    """
    stack = open_stack()
    if previous:
        _show_previous(stack, name)
        return
    stack.engine.check()
    services = {container.service for container in stack.engine.containers()}
    chosen = [service for service in (name, f"function-{name}") if service in services] if name else []
    if not services or (name and not chosen):
        known = ", ".join(sorted(service.removeprefix("function-") for service in services)) or "nothing"
        raise FunctionError(f"There is no container of {name or 'this stack'}. What runs: {known}.")
    if stack.engine.follow_logs(chosen, follow=follow):
        raise EngineError("Docker could not show the logs; the lines above say why.")


def _show_previous(stack: Stack, name: str) -> None:
    """Print what the container said that was removed last of a function."""
    kept = find_kept_logs(stack.engine.logs_folder, name) if name and "/" not in name else []
    if not kept:
        whose = name or "a function: invoke logs NAME --previous"
        raise FunctionError(f"Nothing is kept of an older container of {whose}.")
    console.show_text(kept[-1].read_text(encoding="utf-8", errors="replace"))
    if kept[:-1]:
        console.note(f"{len(kept) - 1} older: {kept[-1].parent}.")
