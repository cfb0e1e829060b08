"""The login of those who call functions, kept as digests; and what Tidegate's own programs show the gateway."""

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass

from stack.config.secret import SecretContent
from stack.errors import HostError
from stack.plan.authentication import MOUNTED, GatewayLogin
from stack.plan.key import derive
from stack.run.secret.access import Made, digest_token
from stack.run.secret.key import load_stack_key
from stack.run.state_file import parse_json
from stack.run.workspace import Workspace, make_folder, write_file

USER = "caller"
_FILE = ".gateway"
_LABEL, _NAME = b"gateway", "own"
_PRIVATE, _READABLE, _PRIVATE_FOLDER, _FOLDER = 0o600, 0o444, 0o700, 0o755


@dataclass(frozen=True)
class _Kept:
    """What is kept of the login: SHA-256 digests of `user:password` and of the token."""

    basic: str
    bearer: str


def make_gateway_login(workspace: Workspace) -> Made:
    """Make a random password and token for those who call functions; only their digests are kept.

    It is another than the dashboard's, by which one is as powerful as root: devices have this one.
    """
    made = Made(secrets.token_urlsafe(15), secrets.token_urlsafe(32))
    kept = _Kept(digest_token(f"{USER}:{made.password}"), digest_token(made.token))
    make_folder(workspace.secrets, _PRIVATE_FOLDER)
    write_file(workspace.secrets / _FILE, json.dumps(asdict(kept)).encode() + b"\n", _PRIVATE)
    return made


def has_gateway_login(workspace: Workspace) -> bool:
    """Return whether a login was made."""
    return (workspace.secrets / _FILE).exists()


def load_gateway_login(workspace: Workspace) -> GatewayLogin:
    """Return what the gateway compares with; without a login that was made, Tidegate's own programs alone may call.

    Raises:
        HostError: a file belongs to somebody else, or is broken.
    """
    path = workspace.secrets / _FILE
    own = (digest_token(show_proof(workspace)),)
    try:
        kept = parse_json(_Kept, path.read_bytes())
    except FileNotFoundError:
        return GatewayLogin(own=own)
    except (OSError, ValueError) as error:
        raise HostError(f"{path} cannot be read: {error}. `invoke credentials --gateway` makes it anew.") from error
    return GatewayLogin((kept.basic,), (kept.bearer,), own)


def show_proof(workspace: Workspace) -> str:
    """Return what Tidegate's own programs send to the gateway in the header OWN_HEADER."""
    key = SecretContent(load_stack_key(workspace))
    return hashlib.sha256(derive(key, _LABEL, _NAME)).hexdigest()


def write_gateway_login(workspace: Workspace, login: GatewayLogin) -> None:
    """Write the digests to where the gateway's container sees them; the folder around is private."""
    folder = workspace.rendered / MOUNTED
    make_folder(workspace.secrets, _PRIVATE_FOLDER)
    make_folder(folder, _FOLDER)
    for name, content in login.files.items():
        write_file(folder / name, content, _READABLE)
