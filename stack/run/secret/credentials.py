"""The stack's credentials: files under .stack/secrets/ that only their owner can read."""

import secrets

from stack import console
from stack.config.secret import Secret
from stack.errors import HostError
from stack.plan.broker import GUEST_CREDENTIALS, Credentials
from stack.run.secret.access import USER, make_access
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
        password = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return GUEST_CREDENTIALS
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}. It belongs to whoever made the stack.") from error
    if not password:
        raise HostError(f"{path} is empty. `invoke credentials` makes another password, which the next `up` applies.")
    return Credentials(USERNAME, Secret(password))


def make_credentials(workspace: Workspace, *, is_for_dashboard: bool = False) -> None:
    """Make random passwords for the broker and the dashboard, or for the dashboard alone; the next `up` applies them.

    The old ones go on working until then.
    """
    if not is_for_dashboard:
        password = secrets.token_urlsafe(24)
        make_folder(workspace.secrets, 0o700)
        write_file(workspace.secrets / "broker.password", password.encode() + b"\n", _PRIVATE)
        console.success(f"The broker's user is {USERNAME}; its password is in {workspace.secrets / 'broker.password'}.")
    made = make_access(workspace)
    console.success("The dashboard's login, which is shown this once and kept as hashes:")
    console.show_table(("user", "password", "token"), [{"user": USER, "password": made.password, "token": made.token}])
    console.say("Programs send user and password (HTTP basic), or the token (Authorization: Bearer).")
    console.say("Next: `invoke up` applies it. The dashboard asks for it where `bind` lets other machines in.")
