"""`invoke backup`: all that makes a stack what it is, in one file that has its name only when it is whole."""

import base64
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from stack import console
from stack.config.settings import FILE, Settings
from stack.config.sites import FILE as SITES
from stack.docker.client import save_images
from stack.docker.stack import Stack, check_owner, open_stack
from stack.docker.swarm.driver import open_driver
from stack.errors import ConflictError, HostError
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
)
from stack.run.backup.archive import (
    ArchiveWriter,
    choose_passphrase,
    encrypt,
    lock_key,
    new_key,
    writing,
)
from stack.run.backup.broker import BrokerCopy, copied_broker, fetch_definitions
from stack.run.backup.claim import list_claims, read_claim
from stack.run.backup.verification import verify_backup
from stack.run.interruption import interruptible
from stack.state.deployment import load_deployments, load_revisions
from stack.state.host import find_architecture
from stack.state.lock import STACK, TREE, lock
from stack.state.workspace import Workspace, advise, sync

# Copies of secrets, which `up` makes again; caches of Python.
_LEFT_OUT = frozenset({"mounted", "__pycache__"})


def list_images(stack: Stack) -> tuple[str, ...]:
    """Return the images of all revisions of all functions."""
    found = [one.image for name in load_deployments(stack.workspace) for one in load_revisions(stack.workspace, name)]
    return tuple(dict.fromkeys(found))


def write_workspace(workspace: Workspace, settings: Settings, *, archive: ArchiveWriter) -> None:
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
    check_owner(stack.workspace, stack.settings.project, containers=stack.engine.listed())
    path = choose_path(stack.settings.project, request)
    word = choose_passphrase(request.passphrase_file)
    header = Header(project=stack.settings.project, made=datetime.now(UTC), architecture=find_architecture())
    with interruptible("there is no backup."), lock(stack.workspace, STACK), console.working(f"Writing {path}"):
        manifest = _write_file(stack, path, header=header, word=word, has_images=request.has_images)
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


def _write_file(stack: Stack, path: Path, *, header: Header, word: str, has_images: bool) -> Manifest:
    with written_whole(path) as file, writing(file) as archive:
        return _write_members(stack, archive, header=header, word=word, has_images=has_images)


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


def _write_members(stack: Stack, archive: ArchiveWriter, *, header: Header, word: str, has_images: bool) -> Manifest:
    key = new_key()
    archive.add(HEADER, header.model_dump_json().encode())
    archive.add(KEY, lock_key(key, word))
    with ExitStack() as exits:
        # Nothing changes files or containers while they are read, and the broker's moment is theirs.
        with lock(stack.workspace, TREE):
            stack = stack.reread()
            write_workspace(stack.workspace, stack.settings, archive=archive)
            secrets = dict(list_secrets(stack.workspace))
            copy = exits.enter_context(copied_broker(stack))
            definitions = copy.definitions if copy else fetch_definitions(stack)
        return _write_rest(stack, archive, parts=Parts(header, key, secrets, copy, definitions), has_images=has_images)


@dataclass(frozen=True)
class Parts:
    """What the last members are made of."""

    header: Header
    key: bytes
    secrets: dict[str, str]
    copy: BrokerCopy | None
    definitions: dict[str, object]


def _write_rest(stack: Stack, archive: ArchiveWriter, *, parts: Parts, has_images: bool) -> Manifest:
    if parts.copy:
        archive.add_chunks(BROKER, parts.copy.read(parts.key))
    volumes = tuple(one.short_name for one in list_claims(stack))
    for name in volumes:
        archive.add_chunks(f"{VOLUMES}{name}/", read_claim(stack, name, key=parts.key))
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
