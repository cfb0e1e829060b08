"""`invoke upgrade`: base images made or pulled again, and the broker's data taken along to another RabbitMQ.

Nothing is removed before what takes its place is healthy.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from stack import console
from stack.docker.base_image import renewing
from stack.docker.client import execute
from stack.docker.container import Container
from stack.docker.driver import Driver
from stack.docker.image import Builder
from stack.docker.stack import OLD_DAYS, Stack, check_owner, find_age, open_stack
from stack.docker.swarm.driver import open_driver
from stack.docker.volume import create_volume, helper, remove_volume
from stack.errors import BrokerError, ConflictError, StackError
from stack.plan.broker import SERVICE, list_nodes
from stack.plan.broker_data import BrokerData, explain_others, explain_step, find_wanted_data, read_series
from stack.plan.gateway import SERVICE as GATEWAY
from stack.plan.image import haproxy_base, python_base, rabbitmq_base
from stack.plan.stack_image import rabbitmq_image
from stack.rabbitmq.data import describe, find_volumes, holds_data, note_data
from stack.rabbitmq.management import find_broker
from stack.run.broker_nodes import start_nodes
from stack.run.interruption import interruptible
from stack.run.up import bring_up
from stack.state.lock import stack_lock

_FOLDER = "/var/lib/rabbitmq"
_WAY_ON = "nothing was removed; type it again to go on."


@dataclass(frozen=True)
class Upgrade:
    """What is to be done; each of the three may be nothing."""

    renews: str
    """Why base images are made or pulled again."""
    moved: BrokerData | None
    """Data in another volume, that the broker is to have."""
    older: BrokerData | None
    """Data in the broker's own volume, of an older series."""
    wanted: BrokerData

    @property
    def steps(self) -> tuple[dict[str, str], ...]:
        """Return what is done, a row each."""
        renewal = [{"step": "make the base images again", "why": self.renews}] if self.renews else []
        data = self.moved or self.older
        if data is None:
            return tuple(renewal)
        versions = f"RabbitMQ {data.version or 'unknown'} to {self.wanted.version or 'unknown'}"
        what = f"take the broker's data from {data.volume} to {self.wanted.volume}"
        step = what if self.moved else "have another RabbitMQ read the broker's data"
        return (*renewal, {"step": step, "why": versions})


def upgrade_and_print(*, rebuild: bool, dry_run: bool, yes: bool) -> None:
    """Show what an upgrade would do, and do it.

    Raises:
        StackError: there is no way from the data to the RabbitMQ that is to be; nothing was changed.
    """
    stack = open_stack()
    open_driver(stack.engine).check()
    containers = stack.engine.listed()
    check_owner(stack.workspace, stack.settings.project, containers=containers)
    upgrade = plan_upgrade(stack, containers, rebuild=rebuild)
    if not upgrade.steps:
        console.say(f"There is nothing to upgrade: the base images are younger than {OLD_DAYS} days (--rebuild makes")
        console.say("them again all the same), and the broker's data is that of the RabbitMQ that is to be.")
        return
    check_data_stays(stack, upgrade)
    console.show_table(("step", "why"), upgrade.steps)
    if dry_run:
        return
    console.confirm("From another RabbitMQ there may be no way back (`invoke backup` makes one). Go on?", yes=yes)
    run_upgrade(stack, upgrade, containers=containers)


def check_data_stays(stack: Stack, upgrade: Upgrade) -> None:
    """Refuse to have another RabbitMQ read data on Docker Swarm, whose services have one broker's data on each machine.

    Raises:
        ConflictError: it is what the upgrade would do.
    """
    if not stack.engine.is_swarm or not (upgrade.moved or upgrade.older):
        return
    if stack.settings.broker.nodes > 1:
        raise ConflictError(
            "The data of several nodes is not taken along to another RabbitMQ. Write the older one into `images` of "
            "stack.yaml again; docs/guides/swarm.md tells how to begin with another one, without the messages."
        )
    raise ConflictError(
        "On Docker Swarm the broker's data is not taken along to another RabbitMQ. Type `invoke down`; write `engine: "
        "compose` into stack.yaml, type `invoke upgrade` and `invoke down`; then `engine: swarm` again and `invoke up`."
    )


def plan_upgrade(stack: Stack, containers: Sequence[Container], *, rebuild: bool) -> Upgrade:
    """Find what an upgrade would do; change nothing.

    Raises:
        StackError: there is no way from the data to the RabbitMQ that is to be.
    """
    project, wanted = stack.settings.project, find_wanted_data(stack.settings, stack.base_images)
    volumes = [one for one in find_volumes(project) if holds_data(stack, one, containers=containers)]
    found = [describe(stack.workspace, one) for one in volumes]
    others = [one for one in found if one.volume != wanted.volume]
    own = next((one for one in found if one.volume == wanted.volume), None)
    if others and (own or len(others) > 1):
        raise ConflictError(explain_others(project, wanted, others=others, has_data=own is not None))
    data = others[0] if others else own
    if data and (problem := explain_step(data.version, wanted.version)):
        raise StackError(problem)
    is_older = own is not None and bool(wanted.version) and read_series(own.version) != read_series(wanted.version)
    age = find_age(stack)
    renews = "--rebuild" if rebuild else f"they are {age} days old" if age is not None and age >= OLD_DAYS else ""
    return Upgrade(renews, others[0] if others else None, own if is_older else None, wanted)


def run_upgrade(stack: Stack, upgrade: Upgrade, *, containers: Sequence[Container]) -> None:
    """Do it: the older broker runs until all that is made for the new one is there."""
    before: set[str] = set()
    with interruptible(_WAY_ON), stack_lock(stack.workspace):
        with renewing(stack.workspace) if upgrade.renews else nullcontext():
            if upgrade.renews:
                stack = open_stack()
                _pull(stack)
            Builder(stack.workspace, stack.engine, stack.inputs).prepare_stack()
        if upgrade.moved or upgrade.older:
            before = _prepare_broker(stack, containers)
        if upgrade.moved:
            _move(stack, upgrade)
        if upgrade.moved or upgrade.older:
            note_data(stack.workspace, upgrade.wanted)
    stack = bring_up(is_upgrade=True)
    if upgrade.renews and stack.base_images.is_registry:
        # Under the same names, of which Compose, and the registry of a Swarm, alone see that they are other images.
        own = [*list_nodes(stack.settings), GATEWAY]
        open_driver(stack.engine).up(start_nodes(stack, own, stack.engine.listed()))
    if upgrade.moved:
        _finish(stack, upgrade.moved, before=before)
    console.success("Done.")
    if upgrade.renews:
        console.say(
            "Next: `invoke deploy-function --all` puts the functions on the new images; `invoke plan` lists them."
        )


def _pull(stack: Stack) -> None:
    if stack.base_images.is_registry:
        for base in {one(stack.settings, stack.base_images) for one in (python_base, rabbitmq_base, haproxy_base)}:
            with console.working(f"Pulling {base}") as work:
                work.follow(Driver(stack.engine).pull(base))


def _prepare_broker(stack: Stack, containers: Sequence[Container]) -> set[str]:
    """Have the older broker do what the newer one asks of its data, and stop it; return its durable queues."""
    broker = next((one for one in containers if one.service == SERVICE), None)
    if broker is None:
        console.warn(
            "The older broker is not here to enable its feature flags; where some are not, the newer one says so."
        )
        return set()
    queues: set[str] = set()
    if broker.is_running:
        with console.working("Enabling the feature flags of the older RabbitMQ"):
            execute(broker.id, "rabbitmqctl", "enable_feature_flag", "all")
        queues = _list_queues(stack)
    with console.working("Stopping the older RabbitMQ"):
        open_driver(stack.engine).stop([broker])
    return queues


def _move(stack: Stack, upgrade: Upgrade) -> None:
    """Copy the data into the volume that is wanted, whose owner is who RabbitMQ runs as in its image."""
    project, image = stack.settings.project, rabbitmq_image(stack.bare_inputs)
    old = f"{project}_{upgrade.moved.volume}" if upgrade.moved else ""
    new = create_volume(project, upgrade.wanted.volume)
    try:
        with (
            console.working(f"Copying {old} to {new.name}"),
            helper(project, image, {"/from:ro": old, _FOLDER: new.name}) as container,
        ):
            execute(container, "cp", "-a", "/from/.", _FOLDER)
            execute(container, "chown", "-R", "rabbitmq:rabbitmq", _FOLDER)
    except BaseException:
        remove_volume(new.name)
        raise


def _finish(stack: Stack, moved: BrokerData, *, before: set[str]) -> None:
    """Remove the older volume once every queue is there again.

    Raises:
        ConflictError: one is not; both volumes are kept.
    """
    name = f"{stack.settings.project}_{moved.volume}"
    if missing := sorted(before - _list_queues(stack)):
        raise ConflictError(
            f"The new broker runs without the queues {', '.join(missing)}, so the older data stays in {name}. Look at "
            f"`invoke logs {SERVICE}`; `docker volume rm {name}` forgets it."
        )
    remove_volume(name)


def _list_queues(stack: Stack) -> set[str]:
    try:
        return set(find_broker(stack).samples())
    except BrokerError as error:
        raise BrokerError(f"{error} Its queues have to be known before anything is moved.") from error
