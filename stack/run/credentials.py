"""The stack's credentials: files under .stack/secrets/ that only their owner can read."""

import secrets

from stack import console
from stack.config.secret import Secret
from stack.errors import HostError
from stack.plan.broker import GUEST_CREDENTIALS, Credentials
from stack.run.workspace import Workspace, make_folder, write_file

USERNAME = "tidegate"
_PRIVATE = 0o600


def load_credentials(workspace: Workspace) -> Credentials:
    """Return the made credentials, or the tutorial's guest/guest where none were made.

    Raises:
        HostError: they belong to somebody else.
    """
    path = workspace.secrets / "broker.password"
    try:
        return Credentials(USERNAME, Secret(path.read_text(encoding="utf-8").strip()))
    except FileNotFoundError:
        return GUEST_CREDENTIALS
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}. It belongs to whoever made the stack.") from error


def make_credentials(workspace: Workspace) -> None:
    """Make a random password for the broker; the next `up` applies it.

    The old one goes on working until then.
    """
    password = secrets.token_urlsafe(24)
    make_folder(workspace.secrets, 0o700)
    write_file(workspace.secrets / "broker.password", password.encode() + b"\n", _PRIVATE)
    console.success(f"The broker's user is {USERNAME}; its password is in {workspace.secrets / 'broker.password'}.")
    console.say("Next: `invoke up` applies it to the broker and to every function.")
