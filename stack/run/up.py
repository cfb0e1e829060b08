"""Bring the stack up: make what is missing, start what is not as it should be, wait until all is healthy."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

from stack import console
from stack.config.bridge import find_rings
from stack.config.source import function_folders
from stack.docker.container import Container
from stack.docker.engine import Engine
from stack.docker.image import Builder
from stack.docker.readiness import START_GRACE_SECONDS, find_failures, wait_ready
from stack.docker.stack import Stack, check_owner, open_stack, warn_ignored, warn_refused
from stack.docker.swarm.driver import check_binding, open_driver
from stack.docker.swarm.engine import check_other_engine
from stack.docker.swarm.registry import start_registry
from stack.errors import FunctionError
from stack.plan.alert import list_unknown
from stack.plan.bridge import check_bridges, secure_bridges
from stack.plan.broker import SERVICE
from stack.plan.diff import Action, Change, Running, find_changes, find_edits, find_wanted
from stack.plan.function import plan_function
from stack.plan.gateway import SERVICE as GATEWAY
from stack.plan.gateway_frontend import DASHBOARD
from stack.plan.grafana import SERVICE as GRAFANA
from stack.plan.grafana import check_grafana
from stack.plan.notify import check_notify
from stack.plan.render import name_stack_file, render
from stack.plan.secret import check_secrets
from stack.plan.stack import Service, check_exposure, find_definitions
from stack.plan.stack_image import function_image
from stack.plan.store import SERVICE as STORE
from stack.plan.store import check_store
from stack.plan.swarm import check_swarm
from stack.plan.template import Files
from stack.rabbitmq.data import check_data, load_data, note_running_data
from stack.rabbitmq.repair import ask_ahead, await_copies, mend_stack_broker
from stack.rabbitmq.revocation import send_revocations
from stack.run.alert_check import check_rules
from stack.run.broker_nodes import start_nodes
from stack.run.image import keep_revisions, prune_attempts
from stack.run.interruption import interruptible
from stack.run.stack import prepare_certificates, write_stack
from stack.run.status import find_address, find_urls, print_store
from stack.state.access import list_authorities
from stack.state.deployment import list_unreadable
from stack.state.host import check_ports, check_space
from stack.state.lock import stack_lock
from stack.state.workspace import is_inside, read_tree
from stack.victoriametrics.state import fetch_state

# How long the broker may take to start: a slow SD card, a large volume.
_BROKER_SECONDS = 180
_SPACE_GIGABYTES = 2.0


@dataclass(frozen=True)
class RollingRestart:
    """The containers that are to be replaced, by service, and how many take their places."""

    engine: Engine
    older: Mapping[str, tuple[Container, ...]]
    replicas: Mapping[str, int]

    @property
    def older_ids(self) -> set[str]:
        """Return which containers are to go."""
        return {one.id for own in self.older.values() for one in own}

    def start(self) -> None:
        """Start the new containers; older ones that do not run any more would start again with them, and go first.

        Raises:
            EngineError: Compose refused.
        """
        if not self.older:
            return
        open_driver(self.engine).stop([one for own in self.older.values() for one in own if not one.is_running])
        running = {name: sum(one.is_running for one in own) for name, own in self.older.items()}
        open_driver(self.engine).up(
            sorted(running), scales={name: count + self.replicas[name] for name, count in running.items()}
        )

    def finish(self, failed: Collection[str]) -> None:
        """Remove the older containers; of the services that failed the new ones, so that they run as before."""
        kept = self.older_ids
        new = [one for one in self.engine.containers() if one.service in self.older and one.id not in kept]
        open_driver(self.engine).stop([one for one in new if one.service in failed])
        open_driver(self.engine).stop([one for name, own in self.older.items() if name not in failed for one in own])


def find_renewal(
    engine: Engine, changes: Iterable[Change], *, services: Iterable[Service], containers: Collection[Container]
) -> RollingRestart:
    """Find the functions that are to be replaced, run, and hold no port of this machine."""
    # Swarm puts new containers beside the older ones itself.
    able = {one.plan.service: one.replicas for one in services if one.is_deployed and not (one.port or engine.is_swarm)}
    older = {
        change.subject: tuple(one for one in containers if one.id in change.older)
        for change in changes
        if change.action is Action.REPLACE and change.subject in able
    }
    running = {name: own for name, own in older.items() if any(one.is_running for one in own)}
    return RollingRestart(engine, running, able)


@dataclass(frozen=True)
class Survey:
    """What `up` would do to a stack, and the containers there are."""

    stack: Stack
    files: Files
    edits: tuple[Change, ...]
    changes: tuple[Change, ...]
    containers: tuple[Container, ...]

    @property
    def is_settled(self) -> bool:
        """Return whether every container is as it should be."""
        return all(one.action is Action.KEEP for one in self.changes) and all(one.is_ready for one in self.containers)

    @property
    def wanted(self) -> list[str]:
        """Return the services that are to run."""
        return [one.subject for one in self.changes if one.action is not Action.REMOVE or self._runs_on(one)]

    @property
    def changing(self) -> list[str]:
        """Return the services that are to be started."""
        return [one.subject for one in self.changes if one.action not in (Action.KEEP, Action.REMOVE)]

    @property
    def surplus(self) -> list[Container]:
        """Return the containers that are to go."""
        ids = {id_ for one in self.changes for id_ in one.surplus}
        return [one for one in self.containers if one.id in ids]

    @property
    def outdated(self) -> set[str]:
        """Return which containers others take the places of."""
        return {id_ for one in self.changes for id_ in one.older}

    @cached_property
    def renewal(self) -> RollingRestart:
        """Return which functions get new containers beside those that run."""
        return find_renewal(
            self.stack.engine, self.changes, services=self.stack.inputs.services, containers=self.containers
        )

    def _runs_on(self, change: Change) -> bool:
        """Return whether containers of the service stay when its surplus goes."""
        return any(one.service == change.subject and one.id not in change.surplus for one in self.containers)


def survey(stack: Stack, *, is_upgrade: bool = False) -> Survey:
    """Find what `up` would do; change nothing. In an upgrade older data of the broker may be here too.

    Raises:
        ConfigError: something that is wished is wrong.
        ConflictError: the broker's data is another's than that of the RabbitMQ to be started.
        HostError: another workspace has the same project.
    """
    check_exposure(stack.settings, stack.credentials, has_login=stack.access is not None)
    stack.check_login()
    check_store(stack.settings, stack.base_images)
    check_grafana(stack.settings, stack.base_images)
    check_notify(stack.settings, stack.vault)
    check_bridges(stack.settings, stack.base_images, stack.vault)
    list_authorities(stack.workspace, secure_bridges(stack.settings.bridge))
    check_swarm(stack.inputs)
    check_binding(stack.engine, stack.settings)
    check_secrets([one.plan for one in stack.inputs.services if one.is_deployed], stack.vault)
    files = render(stack.inputs)
    edits = find_edits(files, read_tree(stack.workspace))
    wanted = find_wanted(stack.inputs, find_definitions(files[name_stack_file(stack.settings)]))
    left_alone = list_unreadable(stack.workspace)
    containers = tuple(one for one in stack.engine.containers() if one.function not in left_alone)
    check_owner(stack.workspace, stack.settings.project, containers=containers)
    if not is_upgrade:
        check_data(stack, containers)
    changes = find_changes(wanted, map(_as_running, containers))
    return Survey(stack, files, edits, _leave_itself(changes) if is_inside() else changes, containers)


def _leave_itself(changes: Sequence[Change]) -> tuple[Change, ...]:
    """Leave the dashboard as it is, of which this is a task: it would end with it, and nothing would start it again."""
    if any(one.subject == DASHBOARD and one.action is not Action.KEEP for one in changes):
        console.note(f"{DASHBOARD}: goes on as it is; `invoke up` on the machine itself starts it again.")
    return tuple(one for one in changes if one.subject != DASHBOARD)


def bring_up(
    meanwhile: Callable[[Stack], object] | None = None, *, is_lenient: bool = False, is_upgrade: bool = False
) -> Stack:
    """Start everything that is not as it should be, and wait until it is healthy.

    `meanwhile` is called once the broker's process was started: its first seconds leave time to build something.

    Raises:
        StackError: something stands in the way; nothing was started.
    """
    stack = open_stack(is_lenient=is_lenient)
    with interruptible("what was started runs on; `invoke up` goes on from here."), stack_lock(stack.workspace):
        ahead = ask_ahead(stack)
        found = _prepare(stack, is_upgrade=is_upgrade)
        if found.is_settled:
            is_mended = mend_stack_broker(stack, ahead)
            changed = "no container" if found.edits or is_mended else "nothing"
            console.say(f"Everything runs as it should; {changed} was changed.")
        else:
            found = _make_images(found)
            apply(found)
            if meanwhile:
                meanwhile(stack)
            _wait(found)
            mend_stack_broker(stack.reread())
            await_copies(stack)
        if not found.is_settled or load_data(stack.workspace) is None:
            note_running_data(stack)
        send_revocations(stack)
    keep_revisions(stack)
    prune_attempts(stack)
    open_driver(stack.engine).prune()
    return stack


def prepare_images() -> None:
    """Make the images that `bring_up` needs, and start nothing.

    Raises:
        StackError: something stands in the way.
    """
    stack = open_stack()
    with interruptible("nothing was started."), stack_lock(stack.workspace):
        found = _prepare(stack)
        if not found.is_settled:
            _make_images(found)


def _prepare(stack: Stack, *, is_upgrade: bool = False) -> Survey:
    """Find what is to be done, and write the rendered tree."""
    open_driver(stack.engine).check()
    check_other_engine(stack.engine)
    warn_ignored((one.plan.function for one in stack.undeployed), has_nodes=stack.engine.is_swarm)
    warn_refused(stack)
    is_new = not stack.engine.compose_file.exists()
    stack = prepare_certificates(stack)
    found = survey(stack, is_upgrade=is_upgrade)
    check_rules(stack, found.files)
    for text in (*list_unknown(stack.alerts, stack.settings.data), *find_rings(stack.settings.bridge)):
        console.warn(text)
    write_stack(stack, stack.inputs, files=found.files, starts_gateway=GATEWAY in found.changing)
    if found.edits and not is_new:
        console.note(f"Written again under .stack: {_name_some([one.subject for one in found.edits])}.")
    for change in found.changes if found.containers else ():
        if change.action is not Action.KEEP:
            console.note(f"{change.subject}: {change.action}: {change.reason}.")
    return found


def _make_images(found: Survey) -> Survey:
    """Make what is missing; return what can be done then."""
    _check_host(found.stack, found.containers)
    builder = Builder(found.stack.workspace, found.stack.engine, found.stack.inputs)
    builder.prepare_stack()
    if found.stack.settings.has_own_registry:
        start_registry(found.stack.workspace, found.stack.inputs)
    lost = _rebuild_functions(found.stack, builder)
    return replace(found, changes=tuple(one for one in found.changes if one.subject not in lost))


def apply(found: Survey) -> None:
    """Start what is to be started.

    Raises:
        HostError: another workspace has started the same project while images were made.
    """
    stack = found.stack
    check_owner(stack.workspace, stack.settings.project, containers=stack.engine.listed())
    with console.working("Starting " + _name_some(found.changing or found.wanted)):
        open_driver(stack.engine).stop(found.surplus)
        if in_place := [name for name in found.changing if name not in found.renewal.older]:
            stack.engine.keep_logs([one for one in found.containers if one.id in found.outdated])
            open_driver(stack.engine).up(start_nodes(stack, in_place, found.containers))
        found.renewal.start()


def _wait(found: Survey) -> None:
    """Wait for all; then what was renewed takes the place of what it was.

    Raises:
        FunctionError: something is not healthy; what was to be renewed runs as before.
    """
    engine, ignored = found.stack.engine, found.renewal.older_ids
    with console.working("Waiting until all is healthy"):
        wait_ready(engine, [SERVICE], seconds=_BROKER_SECONDS)
        failures = find_failures(engine, found.wanted, _BROKER_SECONDS, ignored=ignored, grace=START_GRACE_SECONDS)
        if found.renewal.older:
            found.renewal.finish(failures)
    if failures:
        raise FunctionError("\n".join(failures.values()))


def _check_host(stack: Stack, running: Sequence[Container]) -> None:
    """Look for what would make the start fail, before anything is started."""
    settings = stack.settings
    publishing = (SERVICE, GATEWAY, DASHBOARD, STORE, GRAFANA)
    own = " ".join(one.ports for one in running if one.service in publishing and one.is_running)
    wanted = {key: getattr(settings.ports, key) for key in settings.list_ports()}
    for address in {settings.get_address(key) for key in wanted}:
        here = [key for key in wanted if settings.get_address(key) == address]
        check_ports(str(address), [(f"ports.{key}", wanted[key]) for key in here if f":{wanted[key]}->" not in own])
    check_space(stack.engine.root_folder(), _SPACE_GIGABYTES)


def _rebuild_functions(stack: Stack, builder: Builder) -> set[str]:
    """Build again what was deployed and whose image is gone, where its folder still gives the same.

    Where it has changed since, only a deploy can help: return the services of such functions, which others do without.
    """
    deployed = [one for one in stack.inputs.services if one.is_deployed]
    here = stack.engine.images(one.image for one in deployed)
    missing = [one for one in deployed if one.image not in here]
    folders = function_folders(stack.workspace.root)
    functions = [stack.recall(folders[m.plan.name]) for m in missing if m.plan.name in folders]
    plans = [plan_function(one, stack.settings) for one in functions]
    same = {function_image(plan, stack.inputs): plan for plan in plans}
    lost = [one for one in missing if one.image not in same]
    for one in lost:
        name = one.plan.name
        console.warn(f"The image of {name} is gone. Build it again: invoke deploy-function {name}.")
    builder.prepare_functions([same[one.image] for one in missing if one not in lost])
    return {one.plan.service for one in lost}


def _as_running(container: Container) -> Running:
    names = {field.name for field in fields(Running)}
    return Running(**{name: getattr(container, name) for name in names})


def _name_some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"


def bring_up_and_print() -> None:
    """Bring the stack up, and say what runs where and what to type next."""
    stack = bring_up()
    containers = stack.engine.containers()
    _print_services(containers, find_urls(stack, containers))
    print_store(fetch_state(stack))
    _tell_login(stack)
    if stack.deployments:
        console.say("Next: `invoke status` tells whether all is well, `invoke plan` what a deploy would change.")
    else:
        console.say("Next: `invoke deploy-function --all`, or `invoke demo` to see it work.")


def _print_services(containers: Sequence[Container], urls: Mapping[str, str]) -> None:
    rows = [
        {"service": one.service, "state": one.condition, "answers at": find_address(one, urls)}
        for one in sorted(containers, key=lambda one: one.service)
    ]
    console.show_table(("service", "state", "answers at"), rows)


def _tell_login(stack: Stack) -> None:
    if stack.credentials.is_guest:
        console.note("The broker's user and password are guest and guest; only this machine can reach it.")
    else:
        console.note(
            f"The broker's user is {stack.credentials.username}; "
            f"its password is in {stack.workspace.secrets / 'broker.password'}."
        )
