"""`invoke restore`: a backup becomes a stack again. All of it is checked before anything is written."""

import base64
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from stack import console
from stack.config.alert import load_alerts
from stack.config.container import CLAIM_PREFIX
from stack.config.device import TYPES
from stack.config.settings import FILE, Settings, load_settings
from stack.docker.client import load_images
from stack.docker.image import Builder
from stack.docker.stack import Stack, open_stack
from stack.docker.swarm.driver import open_driver
from stack.docker.swarm.engine import open_engine
from stack.docker.volume import list_volumes
from stack.errors import BrokerError, ConflictError, StackError
from stack.plan.alert import render_rules
from stack.plan.backup import BROKER, IMAGES, STATE, VOLUMES, WORKSPACE, WRITTEN, Sealed, keep_lasting
from stack.plan.broker_data import BrokerData, explain_step, name_volume
from stack.plan.stack_image import rabbitmq_image
from stack.rabbitmq.data import note_data
from stack.rabbitmq.management import find_broker
from stack.rabbitmq.replacement import import_definitions
from stack.run.backup.archive import Backup, check_beginning, decrypt, load_passphrase, read_backup, reading
from stack.run.backup.broker import fill_volume, read_version
from stack.run.backup.claim import fill_claim
from stack.run.interruption import interruptible
from stack.run.up import bring_up_and_print
from stack.state.broker import begin_cluster
from stack.state.deployment import list_deployed
from stack.state.host import find_architecture
from stack.state.lock import stack_lock
from stack.state.workspace import Workspace, make_folder, open_workspace, sync_tree, write_file

_PRIVATE_FOLDER = 0o700
_MOST_SHOWN = 5
# Below .stack/, where what a restore replaces is kept.
_REPLACED = "replaced"
# Beside what is unpacked, where settings that are kept are read.
_SETTINGS = "settings"


def check_target(stack: Stack, fresh: Path, *, force: bool) -> None:
    """Make sure that nothing is lost here; `fresh` has the unpacked files.

    Raises:
        ConflictError: a stack of the name is on this machine, or the workspace has other content.
    """
    project, workspace = stack.settings.project, stack.workspace
    volumes = [one.name for one in list_volumes(project)]
    if there := [*(one.name for one in stack.engine.listed()), *volumes]:
        raise ConflictError(
            f"The project {project} is on this machine: {_name_some(there)}. Make a backup of it, if it is of use, and "
            "type `invoke down --volumes --yes` there; then this again. Or write another `project` and other `ports` "
            "into a copy of stack.yaml in an empty folder, which TIDEGATE_WORKSPACE names, and add --keep-settings."
        )
    deployed = [f"the deployment of {name}" for name in list_deployed(workspace)]
    replaced = [*deployed, *find_differing(fresh / WORKSPACE, workspace.root)]
    if replaced and not force:
        raise ConflictError(
            f"{workspace.root} has other content: {_name_some(replaced)}. Restore into an empty folder, which "
            f"TIDEGATE_WORKSPACE names; or add --force, which keeps what it replaces in .stack/{_REPLACED}."
        )


def check_broker(stack: Stack, backup: Backup) -> None:
    """Make sure that the RabbitMQ here reads the backup's data, if its image is here already.

    Raises:
        StackError: it does not.
    """
    facts, image = backup.manifest.broker, rabbitmq_image(stack.bare_inputs)
    if facts is None or not stack.engine.has_image(image):
        return
    if problem := explain_step(facts.version, read_version(image)):
        raise StackError(f"The backup's messages are those of RabbitMQ {facts.version}. {problem}")


def check_nodes(backup: Backup, nodes: int) -> None:
    """Refuse to begin a broker of several nodes with the data of one.

    Raises:
        ConflictError: the backup has such data, and the broker is to have several.
    """
    if backup.manifest.broker and nodes > 1:
        raise ConflictError(
            f"The backup has the data of one RabbitMQ, and stack.yaml has `broker: {{nodes: {nodes}}}`. Write 1 there, "
            f"type this again, and then `invoke up` with {nodes}."
        )


def check_alerts(fresh: Path, settings: Settings) -> None:
    """Refuse alerts that by these settings have no readings to look at, such as those of another stack.yaml.

    Raises:
        ConfigError: stack.yaml keeps none.
    """
    render_rules(load_alerts(fresh, is_lenient=True), settings)


def begin_nodes(stack: Stack) -> None:
    """Have the nodes of other machines begin without what an earlier broker of this project has left there."""
    if stack.settings.broker.nodes > 1:
        begin_cluster(stack.workspace)


def import_known(stack: Stack, backup: Backup) -> None:
    """Have the broker know again what it knew, where its data is not in the backup; what it refuses is only told."""
    if not backup.manifest.has_definitions:
        return
    try:
        import_definitions(find_broker(stack), keep_lasting(backup.sealed.definitions))
    except BrokerError as error:
        console.warn(f"What was declared at the broker besides functions and devices is not there again: {error}")
    console.note("The messages of the broker are not in the backup: it had several nodes, each of which had them.")


def find_differing(fresh: Path, root: Path) -> Iterator[str]:
    """Yield the paths of files that are here with another content."""
    for path in sorted(one for one in fresh.rglob("*") if one.is_file()):
        there = root / path.relative_to(fresh)
        if there.is_file() and there.read_bytes() != path.read_bytes():
            yield path.relative_to(fresh).as_posix()


def put_away(workspace: Workspace, fresh: Path) -> None:
    """Keep what is about to be replaced, out of its way."""
    kept = workspace.rendered / _REPLACED / f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    for relative in find_differing(fresh / WORKSPACE, workspace.root):
        make_folder((kept / relative).parent, _PRIVATE_FOLDER)
        shutil.move(workspace.root / relative, kept / relative)
    names = ("functions", "copies", "candidates", *(one.name for one in (fresh / STATE).glob("*")))
    for folder in (*(workspace.state / name for name in dict.fromkeys(names)), workspace.secrets):
        if folder.is_dir():
            make_folder(kept / ".stack", _PRIVATE_FOLDER)
            shutil.move(folder, kept / ".stack" / folder.name)


def _name_some(names: list[str]) -> str:
    more = len(names) - _MOST_SHOWN
    return ", ".join(names[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")


_PRIVATE, _PRIVATE_FOLDER_RESTORE = 0o600, 0o700
_AGAIN = "what was written stays, and what it replaced is in .stack/replaced; type this again with --force."


@dataclass(frozen=True)
class RestoreRequest:
    """How a backup is restored."""

    force: bool = False
    """Replace what is in the workspace; it is kept."""
    keeps_settings: bool = False
    """Go by the stack.yaml that is in the workspace, such as with other ports, and not by the backup's."""
    adapt: Callable[[Settings], Settings] = lambda one: one
    """Choose other settings for a trial, without writing them."""


def restore_and_print(file: str, request: RestoreRequest, *, passphrase_file: str, start: bool) -> None:
    """Restore a backup into this workspace, and start the stack.

    Raises:
        StackError: the file, its passphrase or the workspace is not as it should be; nothing was changed then.
    """
    path = Path(file).expanduser().absolute()
    check_beginning(path)
    word = load_passphrase(passphrase_file)
    with console.working(f"Reading {path}"):
        backup = read_backup(path, word)
    workspace = open_workspace()
    restore_backup(workspace, backup, request=request)
    made = backup.manifest.header.made.astimezone()
    names = ", ".join(backup.manifest.functions) or "none"
    console.success(f"{workspace.root} is as {backup.manifest.header.project} was at {made:%Y-%m-%d %H:%M:%S %Z}.")
    console.say(f"Functions: {names}.")
    if start:
        # Only now: the stack is that of the restored files.
        bring_up_and_print()
        import_known(open_stack(workspace), backup)
    elif backup.manifest.has_definitions:
        console.say("Next: `invoke up` starts it. Queues that you declared yourself, this makes without --no-up alone.")
    else:
        console.say("Next: `invoke up` starts it, with the messages that were in its queues.")


def restore_backup(workspace: Workspace, backup: Backup, *, request: RestoreRequest) -> Stack:
    """Write files, load images and fill the broker's volume; return the stack, which is not started.

    Raises:
        StackError: something stands in the way, or there is no room; files that were replaced are kept.
    """
    make_folder(workspace.root)
    with tempfile.TemporaryDirectory(prefix=".restoring-", dir=workspace.root) as name:
        fresh = Path(name)
        with interruptible("nothing was changed."):
            with console.working("Unpacking"):
                unpack(backup, fresh)
            if request.keeps_settings:
                (fresh / WORKSPACE / FILE).unlink(missing_ok=True)
            keeps = request.keeps_settings
            wanted = request.adapt(load_kept(workspace.root, fresh) if keeps else load_settings(fresh / WORKSPACE))
            stack = Stack(workspace, wanted, open_engine(workspace, wanted), is_lenient=True)
            check_nodes(backup, wanted.broker.nodes)
            check_alerts(fresh / WORKSPACE, wanted)
            open_driver(stack.engine).check()
            check_target(stack, fresh, force=request.force)
            check_broker(stack, backup)
        with interruptible(_AGAIN), stack_lock(workspace):
            put_away(workspace, fresh)
            move(fresh, workspace)
            write_secrets(workspace, backup.sealed)
            begin_nodes(stack)
            _fill(stack.reread(), backup)
    return stack.reread()


def load_kept(root: Path, fresh: Path) -> Settings:
    """Return the settings of the workspace, by the types of devices that there are once all is restored."""
    folder = fresh / _SETTINGS
    folder.mkdir()
    for source in (root, fresh / WORKSPACE):
        if (source / TYPES).is_dir():
            shutil.copytree(source / TYPES, folder / TYPES, dirs_exist_ok=True, ignore_dangling_symlinks=True)
    if (root / FILE).is_file():
        shutil.copy(root / FILE, folder)
    return load_settings(folder)


def unpack(backup: Backup, folder: Path) -> None:
    """Write the files of a backup into a folder; links come last, so that nothing is written through one."""
    links: dict[Path, str] = {}
    with reading(backup.path) as members:
        for info, content in members:
            if info.name.startswith((BROKER, IMAGES, VOLUMES)):
                break
            if not info.name.startswith((WORKSPACE, STATE)):
                continue
            target = folder / info.name
            target.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                links[target] = info.linkname
                continue
            with target.open("wb") as file:
                shutil.copyfileobj(content, file)
            target.chmod(info.mode & 0o755)
    for target, linked in links.items():
        target.symlink_to(linked)
    (folder / WORKSPACE).mkdir(exist_ok=True)


def move(fresh: Path, workspace: Workspace) -> None:
    """Put unpacked files where they belong."""
    for source, target in ((fresh / WORKSPACE, workspace.root), (fresh / STATE, workspace.state)):
        for path in sorted(one for one in source.rglob("*") if one.is_symlink() or not one.is_dir()):
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
    for folder in (*(workspace.root / name for name in WRITTEN), workspace.state):
        if folder.is_dir():
            sync_tree(folder)


def write_secrets(workspace: Workspace, sealed: Sealed) -> None:
    """Write the files of .stack/secrets."""
    make_folder(workspace.secrets, _PRIVATE_FOLDER_RESTORE)
    for name, content in sealed.secrets.items():
        write_file(workspace.secrets / name, base64.b64decode(content), _PRIVATE)


def _fill(stack: Stack, backup: Backup) -> None:
    header = backup.manifest.header
    if header.architecture not in ("", find_architecture()):
        console.warn(
            f"The images in the backup are for {header.architecture}; those of functions are built again here."
        )
    elif backup.manifest.images:
        with console.working(f"Loading {len(backup.manifest.images)} images"):
            load_images(_read_chunks(backup, IMAGES))
    if backup.manifest.broker or backup.manifest.volumes:
        Builder(stack.workspace, stack.engine, stack.bare_inputs).prepare_stack()
    for name in backup.manifest.volumes:
        with console.working(f"Filling the volume {name.removeprefix(CLAIM_PREFIX)}"):
            chunks = _read_chunks(backup, f"{VOLUMES}{name}/")
            fill_claim(stack, name, chunks=(decrypt(backup.key, chunk) for chunk in chunks))
    if backup.manifest.broker:
        check_broker(stack, backup)
        with console.working("Filling the broker's volume"):
            chunks = _read_chunks(backup, BROKER)
            fill_volume(stack, (decrypt(backup.key, chunk) for chunk in chunks))
        note_data(stack.workspace, BrokerData(name_volume(stack.base_images), backup.manifest.broker.version))


def _read_chunks(backup: Backup, prefix: str) -> Iterator[bytes]:
    """Yield a series of members, which stand together."""
    with reading(backup.path) as members:
        begun = False
        for info, content in members:
            if info.name.startswith(prefix) and content:
                begun = True
                yield content.read()
            elif begun:
                return
