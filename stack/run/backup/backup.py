"""`invoke backup`: all that makes a stack what it is, in one file that has its name only when it is whole.

To be verified, it is restored into a project of its own, whose broker is started, and compared. Functions are not
started there: they would handle the copies of messages as if they were real.
"""

import base64
import hashlib
import os
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import IO
from uuid import uuid4

from stack import console
from stack.config.network import Ports, Tls
from stack.config.settings import FILE, Settings
from stack.config.sites import FILE as SITES
from stack.docker.client import save_images
from stack.docker.readiness import wait_ready
from stack.docker.stack import Stack, check_owner, open_stack
from stack.docker.swarm.driver import open_driver
from stack.errors import BrokerError, ConflictError, HostError, StackError
from stack.plan.backup import (
    BROKER,
    HEADER,
    IMAGES,
    KEPT_STATE,
    KEY,
    MANIFEST,
    SEALED,
    STATE,
    VOLUMES,
    WORKSPACE,
    WRITTEN,
    Header,
    Manifest,
    Sealed,
    compare_definitions,
    compare_queues,
)
from stack.plan.broker import SERVICE
from stack.plan.gateway import SERVICE as GATEWAY
from stack.rabbitmq.management import Broker, find_broker
from stack.run.backup.archive import (
    ArchiveWriter,
    Backup,
    choose_passphrase,
    digest_link,
    digest_of,
    encrypt,
    lock_key,
    new_key,
    read_backup,
    writing,
)
from stack.run.backup.broker import BrokerCopy, copied_broker, count_waiting, fetch_definitions
from stack.run.backup.claim import list_claims, read_claim
from stack.run.backup.restore import RestoreRequest, restore_backup
from stack.run.interruption import interruptible
from stack.run.stack import write_stack
from stack.state.deployment import load_deployments, load_revisions
from stack.state.host import find_architecture
from stack.state.lock import STACK, TREE, lock, stack_lock
from stack.state.workspace import Workspace, advise, sync

# Copies of secrets, which `up` makes again; caches of Python.
_LEFT_OUT = frozenset({"mounted", "__pycache__"})


def list_images(stack: Stack) -> tuple[str, ...]:
    """Return the images of all revisions of all functions."""
    found = [one.image for name in load_deployments(stack.workspace) for one in load_revisions(stack.workspace, name)]
    return tuple(dict.fromkeys(found))


def write_workspace(workspace: Workspace, settings: Settings, archive: ArchiveWriter) -> None:
    """Add stack.yaml and what it names, sites.yaml, functions, alerts and devices, and what .stack/state knows."""
    for file in (FILE, SITES, *list_named_files(workspace.root, settings)):
        if (workspace.root / file).is_file():
            archive.add_file(WORKSPACE + file, workspace.root / file)
    for path in (path for folder in WRITTEN for path in list_backup_files(workspace.root / folder)):
        archive.add_file(WORKSPACE + path.relative_to(workspace.root).as_posix(), path)
    for name in KEPT_STATE:
        for path in list_backup_files(workspace.state / name):
            archive.add_file(STATE + path.relative_to(workspace.state).as_posix(), path)


def list_named_files(root: Path, settings: Settings) -> list[str]:
    """Return the certificates that stack.yaml names and that lie beside it, by their paths below the workspace."""
    names = (*(one.ca for one in settings.bridge), settings.images.ca, settings.tls.certificate)
    if (key := settings.tls.key) and _find_below(root, key):
        console.warn(f"{key}, which stack.yaml names, is not in the backup: nothing there would encrypt it. Keep it.")
    return sorted({path for name in names if name and (path := _find_below(root, name))})


def _find_below(root: Path, name: str) -> str:
    """Return the path of a file below a workspace; nothing for one elsewhere, or that is in the backup anyway."""
    path = Path(os.path.normpath(root / Path(name).expanduser()))
    if not path.is_relative_to(root) or not path.is_file() or path.is_symlink():
        return ""
    below = path.relative_to(root)
    return "" if below.parts[0] in (*WRITTEN, ".stack") else below.as_posix()


def list_backup_files(folder: Path) -> Iterator[Path]:
    """Yield the files and links of a folder; a link that leads out of it is left out, and warned of."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT and not Path(parent, name).is_symlink())
        links = [path for path in Path(parent).iterdir() if path.is_symlink()]
        for path in sorted({*(Path(parent, name) for name in files), *links}):
            if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
                console.warn(f"{path} leads out of {folder}, and is not in the backup.")
            elif path.is_symlink() or path.is_file():
                yield path


def list_secrets(workspace: Workspace) -> Iterator[tuple[str, str]]:
    """Yield each file of .stack/secrets: its path below it, and its content in base64."""
    for path in list_backup_files(workspace.secrets):
        if not path.is_symlink():
            content = base64.b64encode(path.read_bytes()).decode()
            yield path.relative_to(workspace.secrets).as_posix(), content


@dataclass(frozen=True)
class BackupRequest:
    """What a person asks for; without a file it is named after the project and the time."""

    file: str = ""
    passphrase_file: str = ""
    has_images: bool = True
    force: bool = False


def make_backup(request: BackupRequest) -> tuple[Path, Manifest, str]:
    """Write a backup; return where it is, what is in it, and the passphrase.

    No function is deployed meanwhile. Functions and devices go on; the broker pauses while its data is copied.

    Raises:
        StackError: something cannot be read or written; there is no file then.
    """
    stack = open_stack(is_lenient=True)
    open_driver(stack.engine).check()
    check_owner(stack.workspace, stack.settings.project, stack.engine.listed())
    path = choose_path(stack.settings.project, request)
    word = choose_passphrase(request.passphrase_file)
    header = Header(project=stack.settings.project, made=datetime.now(UTC), architecture=find_architecture())
    with interruptible("there is no backup."), lock(stack.workspace, STACK), console.working(f"Writing {path}"):
        manifest = _write_file(stack, path, header, word, has_images=request.has_images)
    return path, manifest, word


def back_up_and_print(request: BackupRequest, *, verify: bool, as_json: bool) -> None:
    """Write a backup, restore it on trial if asked to, and say what is in it.

    Raises:
        StackError: it could not be written, or does not restore as it should.
    """
    path, manifest, word = make_backup(request)
    if verify:
        verify_backup(path, word)
    if as_json:
        console.show_json(describe_backup(path, manifest, is_verified=verify))
    else:
        _tell(path, manifest, is_verified=verify)


def describe_backup(path: Path, manifest: Manifest, *, is_verified: bool) -> dict[str, object]:
    """Return a backup as `--json` prints it."""
    queues = manifest.broker.queues if manifest.broker else {}
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "project": manifest.header.project,
        "functions": manifest.functions,
        "images": list(manifest.images),
        "missing_images": list(manifest.missing_images),
        "queues": {name: one.most for name, one in queues.items()},
        "rabbitmq": manifest.broker.version if manifest.broker else "",
        "paused_seconds": manifest.broker.paused_seconds if manifest.broker else 0.0,
        "verified": is_verified,
    }


def _write_file(stack: Stack, path: Path, header: Header, word: str, *, has_images: bool) -> Manifest:
    with written_whole(path) as file, writing(file) as archive:
        return _write_members(stack, archive, header, word, has_images=has_images)


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file, which only its owner can read, that has its name once all of it is on the disk.

    Raises:
        HostError: it cannot be written; what had the name before has it still.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
                sync(path.parent)
            finally:
                Path(file.name).unlink(missing_ok=True)
    except OSError as error:
        raise HostError(_explain(path, error)) from error


def _write_members(stack: Stack, archive: ArchiveWriter, header: Header, word: str, *, has_images: bool) -> Manifest:
    key = new_key()
    archive.add(HEADER, header.model_dump_json().encode())
    archive.add(KEY, lock_key(key, word))
    with ExitStack() as exits:
        # Nothing changes files or containers while they are read, and the broker's moment is theirs.
        with lock(stack.workspace, TREE):
            stack = stack.reread()
            write_workspace(stack.workspace, stack.settings, archive)
            secrets = dict(list_secrets(stack.workspace))
            copy = exits.enter_context(copied_broker(stack))
            definitions = copy.definitions if copy else fetch_definitions(stack)
        return _write_rest(stack, archive, Parts(header, key, secrets, copy, definitions), has_images=has_images)


@dataclass(frozen=True)
class Parts:
    """What the last members are made of."""

    header: Header
    key: bytes
    secrets: dict[str, str]
    copy: BrokerCopy | None
    definitions: dict[str, object]


def _write_rest(stack: Stack, archive: ArchiveWriter, parts: Parts, *, has_images: bool) -> Manifest:
    if parts.copy:
        archive.add_chunks(BROKER, parts.copy.read(parts.key))
    volumes = tuple(one.short_name for one in list_claims(stack))
    for name in volumes:
        archive.add_chunks(f"{VOLUMES}{name}/", read_claim(stack, name, parts.key))
    wanted = list_images(stack)
    here = stack.engine.images(wanted) if has_images else set()
    images = tuple(one for one in wanted if one in here)
    if images:
        archive.add_chunks(IMAGES, save_images(images))
    manifest = Manifest(
        header=parts.header,
        functions={name: one.revision for name, one in load_deployments(stack.workspace).items()},
        images=images,
        missing_images=tuple(one for one in wanted if one not in here),
        broker=parts.copy.facts if parts.copy else None,
        has_definitions=bool(parts.definitions) and not parts.copy,
        volumes=volumes,
        members=dict(archive.digests),
    )
    content = manifest.model_dump_json(indent=1).encode()
    archive.add(MANIFEST, content)
    sealed = Sealed(
        manifest=hashlib.sha256(content).hexdigest(),
        secrets=parts.secrets,
        definitions=parts.definitions,
    )
    archive.add(SEALED, encrypt(parts.key, sealed.model_dump_json().encode()))
    return manifest


def choose_path(project: str, request: BackupRequest) -> Path:
    """Return where a backup is to be.

    Raises:
        ConflictError: there is a file of the name.
    """
    name = f"{project}-{datetime.now(UTC):%Y%m%d-%H%M%S}.tidegate.tar.gz"
    path = Path(request.file or name).expanduser().absolute()
    if path.is_dir():
        path /= name
    if path.exists() and not request.force:
        raise ConflictError(f"{path} is there already. Choose another name, or add --force to replace it.")
    return path


def _explain(path: Path, error: OSError) -> str:
    place = Path(error.filename or path)
    return f"{place} cannot be read or written: {error.strerror or error}. {advise(error, place)} There is no backup."


def _tell(path: Path, manifest: Manifest, *, is_verified: bool) -> None:
    functions: Sequence[str] = [f"{name} (revision {number})" for name, number in manifest.functions.items()]
    messages = sum(one.most for one in manifest.broker.queues.values()) if manifest.broker else 0
    console.success(f"{path}: {path.stat().st_size / 1e6:.1f} MB.")
    console.say(f"Functions: {', '.join(functions) or 'none'}; {len(manifest.images)} images of their revisions.")
    if manifest.missing_images:
        console.note(f"Without an image, to be built again by a deploy: {', '.join(manifest.missing_images)}.")
    if manifest.broker:
        queues = len(manifest.broker.queues)
        paused = f"{manifest.broker.paused_seconds:.2f} s"
        console.say(f"Broker: {messages} messages in {queues} durable queues; it paused for {paused}.")
    if manifest.has_definitions:
        console.note("Broker: what it knows, and no messages, which each of its nodes has.")
    if is_verified:
        console.success("It was restored on trial, and is as it should be.")
    console.say(f"Next: keep it and its passphrase on another machine; `invoke restore {path.name}` brings it back.")


_BROKER_SECONDS, _FIGURES_SECONDS, _PAUSE_SECONDS = 180, 30.0, 0.5
_MOST_LINES = 20


def verify_backup(path: Path, word: str) -> None:
    """Restore a backup into a throwaway project and compare files, secrets, definitions and queues with it.

    Raises:
        StackError: something is not as it was; the backup stays, to be looked at.
    """
    with tempfile.TemporaryDirectory(prefix="tidegate-trial-") as name:
        backup = read_backup(path, word)
        stack = restore_backup(Workspace(Path(name)), backup, RestoreRequest(adapt=_adapt))
        try:
            lines = [*_compare_files(stack.workspace, backup), *_compare_broker(stack, backup)]
        finally:
            with console.working("Removing the trial"):
                open_driver(stack.engine).down(volumes=True)
    if lines:
        shown = "\n".join(f"  {line}" for line in lines[:_MOST_LINES])
        raise StackError(f"{path} was written, and does not restore as it should:\n{shown}")


def _adapt(settings: Settings) -> Settings:
    """Return settings by which the trial meets nothing else on this machine, and no other machine meets it."""
    names = tuple(Ports.model_fields)
    ports = Ports(**dict(zip(names, _find_free_ports(len(names)), strict=True)))
    project = f"tidegate-trial-{uuid4().hex[:8]}"
    # Over a bridge the trial would send the messages of the backup once more; of a Swarm one machine is enough for it.
    # Its gateway is asked without TLS, whose files are not in the backup, or elsewhere.
    alone = {"bind": IPv4Address("127.0.0.1"), "bridge": (), "engine": "compose", "tls": Tls()}
    alone["broker"] = settings.broker.model_copy(update={"nodes": 1})
    return settings.model_copy(update={"project": project, "ports": ports, **alone})


def _find_free_ports(count: int) -> list[int]:
    with ExitStack() as exits:
        servers = [exits.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in servers]


def _compare_files(workspace: Workspace, backup: Backup) -> list[str]:
    places = {WORKSPACE: workspace.root, STATE: workspace.state}
    lines = []
    for name, digest in backup.manifest.members.items():
        top, _, relative = name.partition("/")
        root = places.get(f"{top}/")
        if root is None:
            continue
        found = _digest(root / relative)
        if found != digest:
            lines.append(f"{relative} {'differs' if found else 'is missing'}")
    return lines


def _digest(path: Path) -> str:
    if path.is_symlink():
        return digest_link(str(path.readlink()))
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return digest_of(file)


def _compare_broker(stack: Stack, backup: Backup) -> list[str]:
    facts = backup.manifest.broker
    if facts is None:
        return []
    with stack_lock(stack.workspace):
        write_stack(stack, stack.inputs)
        with console.working("Starting RabbitMQ on trial"):
            # The gateway leads to the broker's management.
            open_driver(stack.engine).up([SERVICE, GATEWAY])
            wait_ready(stack.engine, [SERVICE, GATEWAY], _BROKER_SECONDS)
    broker = find_broker(stack)
    deadline = time.monotonic() + _FIGURES_SECONDS
    while (lines := _compare_queues(broker, backup)) and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
    return [*lines, *compare_definitions(backup.sealed.definitions, broker.export_definitions())]


def _compare_queues(broker: Broker, backup: Backup) -> tuple[str, ...]:
    wanted = backup.manifest.broker.queues if backup.manifest.broker else {}
    try:
        return compare_queues(wanted, count_waiting(broker, wanted))
    except BrokerError as error:
        return (str(error),)
