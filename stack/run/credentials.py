"""The stack's credentials: files under .stack/secrets/ that only their owner can read."""

import secrets

from stack import console
from stack.config.secret import Secret
from stack.errors import HostError
from stack.plan.broker import AMQP_PORT, GUEST_CREDENTIALS, SERVICE, Credentials
from stack.plan.image import digest
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
    _protect(workspace)
    write_file(workspace.secrets / "broker.password", password.encode() + b"\n", _PRIVATE)
    console.success(f"The broker's user is {USERNAME}; its password is in {workspace.secrets / 'broker.password'}.")
    console.say("Next: `invoke up` applies it to the broker and to every function.")


def write_environment(workspace: Workspace, credentials: Credentials) -> None:
    """Write the values of the secrets where Compose finds them: .env, beside compose.yaml."""
    _protect(workspace)
    url = credentials.url(SERVICE, AMQP_PORT)
    write_file(workspace.rendered / ".env", f"TIDEGATE_BROKER_URL='{url}'\n".encode(), _PRIVATE)


def secrets_digest(credentials: Credentials) -> str:
    """Return what changes when the credentials do, and does not tell them."""
    return digest((credentials.username, credentials.password.get_secret_value()))


def _protect(workspace: Workspace) -> None:
    make_folder(workspace.secrets, 0o700)
