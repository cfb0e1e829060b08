"""The login of those who call functions, kept as digests; and what Tidegate's own programs show the gateway."""

import hashlib
import json
import secrets
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

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
    """What is kept of the login: SHA-256 digests of `user:password` and of the token.

    With an overlap, those of the login before too, and until when they go on, in seconds since 1970.
    """

    basic: str
    bearer: str
    former_basic: str = ""
    former_bearer: str = ""
    until: float = 0.0

    @property
    def is_overlapping(self) -> bool:
        """Return whether the login before still goes on."""
        return bool(self.former_basic) and time.time() < self.until


def make_gateway_login(workspace: Workspace, overlap: float = 0.0) -> Made:
    """Make a random password and token for those who call functions; only their digests are kept.

    With an overlap in seconds, the login before goes on for so long.
    It is another than the dashboard's, by which one is as powerful as root: devices have this one.
    """
    made = Made(secrets.token_urlsafe(15), secrets.token_urlsafe(32))
    kept = _Kept(digest_token(f"{USER}:{made.password}"), digest_token(made.token))
    former = _try_load(workspace) if overlap else None
    if former:
        until = time.time() + overlap
        kept = replace(kept, former_basic=former.basic, former_bearer=former.bearer, until=until)
    _write(workspace, kept)
    return made


def has_former_ended(workspace: Workspace) -> bool:
    """Return whether there is a login before the current one whose time is over."""
    kept = _try_load(workspace)
    return kept is not None and bool(kept.former_basic) and not kept.is_overlapping


def forget_former_login(workspace: Workspace) -> None:
    """Forget the login before the current one."""
    if kept := _try_load(workspace):
        _write(workspace, _Kept(kept.basic, kept.bearer))


def has_gateway_login(workspace: Workspace) -> bool:
    """Return whether a login was made."""
    return (workspace.secrets / _FILE).exists()


def load_gateway_login(workspace: Workspace) -> GatewayLogin:
    """Return what the gateway compares with; without a login that was made, Tidegate's own programs alone may call.

    Raises:
        HostError: a file belongs to somebody else, or is broken.
    """
    own = (digest_token(show_proof(workspace)),)
    kept = _load(workspace)
    if kept is None:
        return GatewayLogin(own=own)
    if kept.is_overlapping:
        return GatewayLogin((kept.basic, kept.former_basic), (kept.bearer, kept.former_bearer), own)
    return GatewayLogin((kept.basic,), (kept.bearer,), own)


def _load(workspace: Workspace) -> _Kept | None:
    path = workspace.secrets / _FILE
    try:
        return parse_json(_Kept, path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise HostError(f"{path} cannot be read: {error}. `invoke credentials --gateway` makes it anew.") from error


def _try_load(workspace: Workspace) -> _Kept | None:
    with suppress(HostError):
        return _load(workspace)
    return None


def _write(workspace: Workspace, kept: _Kept) -> None:
    make_folder(workspace.secrets, _PRIVATE_FOLDER)
    write_file(workspace.secrets / _FILE, json.dumps(asdict(kept)).encode() + b"\n", _PRIVATE)


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
