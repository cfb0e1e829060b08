"""The stack's credentials: files under .stack/secrets/ that only their owner can read."""

import secrets

from stack import console
from stack.config.secret import Secret
from stack.errors import HostError
from stack.plan.broker import GUEST_CREDENTIALS, Credentials
from stack.run.secret.access import USER, Made, make_access
from stack.run.secret.gateway_login import USER as CALLER
from stack.run.secret.gateway_login import make_gateway_login
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


def make_credentials(workspace: Workspace, *, is_for_dashboard: bool = False, is_for_gateway: bool = False) -> None:
    """Make random passwords for broker, dashboard and gateway, or for one of the last two; the next `up` applies them.

    The old ones go on working until then.
    """
    is_for_all = not (is_for_dashboard or is_for_gateway)
    if is_for_all:
        password = secrets.token_urlsafe(24)
        make_folder(workspace.secrets, 0o700)
        write_file(workspace.secrets / "broker.password", password.encode() + b"\n", _PRIVATE)
        console.success(f"The broker's user is {USERNAME}; its password is in {workspace.secrets / 'broker.password'}.")
    rows = []
    if is_for_all or is_for_dashboard:
        rows.append(_describe("dashboard", USER, make_access(workspace)))
    if is_for_all or is_for_gateway:
        rows.append(_describe("gateway", CALLER, make_gateway_login(workspace)))
    console.success("Logins, which are shown this once and kept as hashes:")
    console.show_table(("login", "user", "password", "token"), rows)
    console.say("Programs send user and password (HTTP basic), or the token (Authorization: Bearer).")
    console.say("Who calls functions needs the gateway's; who has the dashboard's is as powerful as root.")
    console.say("Next: `invoke up` applies them. They are asked for where `bind` lets other machines in.")


def _describe(login: str, user: str, made: Made) -> dict[str, str]:
    return {"login": login, "user": user, "password": made.password, "token": made.token}
