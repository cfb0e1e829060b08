"""The vault: files NAME.KEY under .stack/secrets/ that only their owner can read."""

import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from stack.config.environment import SecretContent, SecretRef
from stack.errors import HostError
from stack.plan import account as plan
from stack.plan.broker import BROKER_SECRET
from stack.plan.secret import Mount, Vault
from stack.state.workspace import Workspace, advise, make_folder, remove_file, write_file

_FILE = ".stack-key"
_BYTES = 32
_PRIVATE_FOLDER = 0o700


def load_stack_key(workspace: Workspace) -> bytes:
    """Return the 32 random bytes from which each function's own secrets are derived.

    Raises:
        HostError: the file cannot be read or made, or is no key.
    """
    path = workspace.secrets / _FILE
    try:
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}. {advise(error, path)}") from error
    if len(key) != _BYTES:
        raise HostError(
            f"{path} holds {len(key)} bytes instead of the {_BYTES} of the stack key. Put it back from a backup, "
            "or remove it and type `invoke up`: then every function gets a new account at the broker."
        )
    return key


def function_signature_key(workspace: Workspace, name: str) -> bytes:
    """Return the 32 bytes by which the retries of a function's messages are signed.

    Its processor has their hexadecimal text in /run/secrets/broker.signature-key.

    Raises:
        HostError: the stack key cannot be read.
    """
    return plan.signature_key(SecretContent(load_stack_key(workspace)), name)


def _make(path: Path) -> None:
    """Write a new key under another name first, and link it: of two tasks at once, both have the first one's."""
    make_folder(path.parent, _PRIVATE_FOLDER)
    # mkstemp makes files that only their owner can read.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(name)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()


_PRIVATE = 0o600
_READABLE = 0o444
_PRIVATE_FOLDER_VAULT = 0o700
_SALT = ".salt"


def open_vault(workspace: Workspace) -> Vault:
    """Read every secret that was set, and the key of which the stack's own are made.

    Raises:
        HostError: they belong to somebody else.
    """
    contents = {ref: _read(workspace, str(ref)) for ref in _list_files(workspace)}
    salt = workspace.secrets / _SALT
    return Vault(
        contents,
        _read(workspace, _SALT) if salt.is_file() else SecretContent(b""),
        SecretContent(load_stack_key(workspace)),
    )


def load_secret(workspace: Workspace, ref: SecretRef) -> SecretContent | None:
    """Return one secret that was set; nothing if it was not.

    Raises:
        HostError: it belongs to somebody else.
    """
    return _read(workspace, str(ref)) if (workspace.secrets / str(ref)).is_file() else None


def mount_secrets(workspace: Workspace, vault: Vault, *, mounts: Iterable[Mount]) -> None:
    """Copy secrets to where Compose mounts them from; of one that was removed, what was mounted stays.

    In its container a function is another user, so the copies can be read by everybody; their folder by its owner only.
    """
    wanted = {mount.file: content.get_secret_value() for mount in mounts if (content := vault.read(mount))}
    for folder in (workspace.secrets, workspace.mounted_secrets):
        make_folder(folder, _PRIVATE_FOLDER_VAULT)
    for name, value in wanted.items():
        write_file(workspace.mounted_secrets / name, value, _READABLE)


def unmount_secrets(workspace: Workspace, mounts: Iterable[Mount]) -> None:
    """Remove the copies of secrets that are mounted no more: all but these."""
    wanted = {mount.file for mount in mounts}
    for path in workspace.mounted_secrets.iterdir():
        if path.name not in wanted:
            remove_file(path)


def write_secret(workspace: Workspace, ref: SecretRef, *, content: bytes) -> bool:
    """Keep a value; say whether it is another than before."""
    make_folder(workspace.secrets, _PRIVATE_FOLDER_VAULT)
    if not (workspace.secrets / _SALT).exists():
        write_file(workspace.secrets / _SALT, secrets.token_bytes(16), _PRIVATE)
    return write_file(workspace.secrets / str(ref), content, _PRIVATE)


def delete_secret(workspace: Workspace, ref: SecretRef) -> None:
    """Forget a value."""
    remove_file(workspace.secrets / str(ref))


def _list_files(workspace: Workspace) -> Iterator[SecretRef]:
    """Yield the secrets that were set; the stack's own files, and what an editor left behind, are passed over."""
    try:
        names = sorted(path.name for path in workspace.secrets.iterdir() if path.is_file())
    except FileNotFoundError:
        return
    except OSError as error:
        raise HostError(_explain(workspace, "", error)) from error
    for name in names:
        try:
            ref = SecretRef.parse(name)
        except ValueError:
            continue
        if ref.name != BROKER_SECRET.name:
            yield ref


def _read(workspace: Workspace, name: str) -> SecretContent:
    try:
        return SecretContent((workspace.secrets / name).read_bytes())
    except OSError as error:
        raise HostError(_explain(workspace, name, error)) from error


def _explain(workspace: Workspace, name: str, error: OSError) -> str:
    path = workspace.secrets / name
    return f"{path} cannot be read: {error.strerror}. It belongs to the one who made the stack."
