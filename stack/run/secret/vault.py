"""The vault: files NAME.KEY under .stack/secrets/ that only their owner can read."""

import secrets
from collections.abc import Iterable, Iterator

from stack.config.secret import SecretContent, SecretRef
from stack.errors import HostError
from stack.plan.function import BROKER_SECRET
from stack.plan.secret import Mount, Vault
from stack.run.secret.key import load_stack_key
from stack.run.workspace import Workspace, make_folder, remove_file, write_file

_PRIVATE = 0o600
_READABLE = 0o444
_PRIVATE_FOLDER = 0o700
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


def mount_secrets(workspace: Workspace, vault: Vault, mounts: Iterable[Mount]) -> None:
    """Copy secrets to where Compose mounts them from; of one that was removed, what was mounted stays.

    In its container a function is another user, so the copies can be read by everybody; their folder by its owner only.
    """
    wanted = {mount.file: content.get_secret_value() for mount in mounts if (content := vault.read(mount))}
    for folder in (workspace.secrets, workspace.mounted_secrets):
        make_folder(folder, _PRIVATE_FOLDER)
    for name, value in wanted.items():
        write_file(workspace.mounted_secrets / name, value, _READABLE)


def unmount_secrets(workspace: Workspace, mounts: Iterable[Mount]) -> None:
    """Remove the copies of secrets that are mounted no more: all but these."""
    wanted = {mount.file for mount in mounts}
    for path in workspace.mounted_secrets.iterdir():
        if path.name not in wanted:
            remove_file(path)


def write_secret(workspace: Workspace, ref: SecretRef, content: bytes) -> bool:
    """Keep a value; say whether it is another than before."""
    make_folder(workspace.secrets, _PRIVATE_FOLDER)
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
    return f"{path} cannot be read: {error.strerror}. It belongs to whoever made the stack."
