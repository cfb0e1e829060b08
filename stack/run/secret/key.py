"""The stack key on the disk: made the first time that it is asked for, and never changed."""

import os
import secrets
import tempfile
from pathlib import Path

from stack.config.secret import SecretContent
from stack.errors import HostError
from stack.plan import key as plan
from stack.run.workspace import Workspace, advise, make_folder

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
