"""Access to the dashboard: its one user, whose password and token are kept as hashes that only their owner can read."""

import hashlib
import json
import re
import secrets
import ssl
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from argon2 import PasswordHasher

from stack.config.bridge import Bridge
from stack.config.environment import SecretContent
from stack.config.settings import FILE
from stack.errors import ConfigError, HostError
from stack.plan.account import derive
from stack.plan.bridge import AUTHORITIES
from stack.plan.device_account import SERVICE_LOGIN, service_files
from stack.plan.gateway import MOUNTED, GatewayLogin
from stack.plan.grafana import LOGIN_MOUNTED as GRAFANA_MOUNTED
from stack.plan.grafana import login_files as grafana_login_files
from stack.plan.notify import SECRETS_MOUNTED
from stack.plan.store import MOUNTED as STORE_MOUNTED
from stack.plan.store import login_files
from stack.state.vault import load_stack_key
from stack.state.workspace import Workspace, advise, make_folder, parse_json, remove_file, write_file

USER = "admin"
_PRIVATE, _PRIVATE_FOLDER = 0o600, 0o700
# No name of a secret of the user's begins with a dot.
_FILE, _SESSION_KEY = ".dashboard", ".session-key"
_KEY_BYTES = 32
# Where this machine has the authorities that it trusts, if Python does not know.
_SYSTEM_AUTHORITIES, _CERTIFICATE = "/etc/ssl/certs/ca-certificates.crt", b"-----BEGIN CERTIFICATE-----"
# So many random bytes, as token_urlsafe writes them.
_KEY = re.compile(r"[-_A-Za-z0-9]{43}")


@dataclass(frozen=True)
class Access:
    """Who may come in: an argon2 hash of the password, and a SHA-256 digest of the token, which is long and random."""

    user: str
    password_hash: str
    token_digest: str
    password_digest: str = ""
    """Of `user:password`, which is random and long enough for it; logins of older releases have none.

    It costs nothing to compare, so that anyone who knows the password waits for no one who does not.
    """

    @property
    def generation(self) -> str:
        """Return what changes with the password, so that older sessions end."""
        return hashlib.sha256(self.password_hash.encode()).hexdigest()[:16]

    def takes_password(self, user: str, password: str) -> bool:
        """Return whether user and password are right, as far as their digest tells."""
        return secrets.compare_digest(digest_token(f"{user}:{password}"), self.password_digest)

    def takes_token(self, token: str) -> bool:
        """Return whether this is the token."""
        return secrets.compare_digest(digest_token(token), self.token_digest)


@dataclass(frozen=True)
class Made:
    """What was made, to be shown this once."""

    password: str
    token: str


def load_access(workspace: Workspace) -> Access | None:
    """Return who may come in, or nothing where no login was made.

    Raises:
        HostError: the file belongs to somebody else, or is broken.
    """
    path = workspace.secrets / _FILE
    try:
        return parse_json(Access, path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        advice = "`invoke credentials --dashboard` makes another login."
        raise HostError(f"{path} cannot be read: {error}. {advice}") from error


def make_access(workspace: Workspace) -> Made:
    """Make a random password and token for the dashboard; only their hashes are kept."""
    made = Made(secrets.token_urlsafe(15), secrets.token_urlsafe(32))
    digest = digest_token(f"{USER}:{made.password}")
    access = Access(USER, PasswordHasher().hash(made.password), digest_token(made.token), digest)
    make_folder(workspace.secrets, _PRIVATE_FOLDER)
    write_file(workspace.secrets / _FILE, json.dumps(asdict(access)).encode() + b"\n", _PRIVATE)
    return made


def load_session_key(workspace: Workspace) -> str:
    """Return the key that sessions are signed with; it is made the first time, and where the file is spoiled.

    With another key, who was logged in logs in again.

    Raises:
        HostError: the file belongs to somebody else.
    """
    path = workspace.secrets / _SESSION_KEY
    try:
        key = path.read_bytes().decode("ascii", errors="replace") if path.exists() else ""
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}. {advise(error, path)}") from error
    if not _KEY.fullmatch(key):
        key = secrets.token_urlsafe(_KEY_BYTES)
        make_folder(workspace.secrets, _PRIVATE_FOLDER)
        write_file(path, key.encode(), _PRIVATE)
    return key


def digest_token(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


CALLER = "caller"
_FILE_GATEWAY_LOGIN = ".gateway"
_LABEL, _NAME = b"gateway", "own"
_PRIVATE_GATEWAY_LOGIN, _READABLE, _PRIVATE_FOLDER_GATEWAY_LOGIN, _FOLDER = 0o600, 0o444, 0o700, 0o755


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
    kept = _Kept(digest_token(f"{CALLER}:{made.password}"), digest_token(made.token))
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
    return (workspace.secrets / _FILE_GATEWAY_LOGIN).exists()


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
    path = workspace.secrets / _FILE_GATEWAY_LOGIN
    try:
        return parse_json(_Kept, path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise HostError(f"{path} cannot be read: {error}. `invoke credentials --gateway` makes it again.") from error


def _try_load(workspace: Workspace) -> _Kept | None:
    with suppress(HostError):
        return _load(workspace)
    return None


def _write(workspace: Workspace, kept: _Kept) -> None:
    make_folder(workspace.secrets, _PRIVATE_FOLDER_GATEWAY_LOGIN)
    write_file(
        workspace.secrets / _FILE_GATEWAY_LOGIN, json.dumps(asdict(kept)).encode() + b"\n", _PRIVATE_GATEWAY_LOGIN
    )


def show_proof(workspace: Workspace) -> str:
    """Return what Tidegate's own programs send to the gateway in the header OWN_HEADER."""
    key = SecretContent(load_stack_key(workspace))
    return hashlib.sha256(derive(key, _LABEL, name=_NAME)).hexdigest()


def write_gateway_login(workspace: Workspace, login: GatewayLogin) -> None:
    """Write the digests to where the gateway's container sees them; the folder around is private."""
    _write_mounted(workspace, MOUNTED, files=login.files)


def write_store_login(workspace: Workspace, key: SecretContent) -> None:
    """Write what the store's container is to know of its logins."""
    _write_mounted(workspace, STORE_MOUNTED, files=login_files(key))


def write_grafana_login(workspace: Workspace, key: SecretContent) -> None:
    """Write what Grafana's container is to know: the password of its user, and of the store's."""
    _write_mounted(workspace, GRAFANA_MOUNTED, files=grafana_login_files(key))


def write_devices_login(workspace: Workspace, key: SecretContent) -> None:
    """Write the password by which the service of devices logs in at the broker."""
    _write_mounted(workspace, SERVICE_LOGIN, files=service_files(key))


def write_notify_secrets(workspace: Workspace, files: Mapping[str, bytes], *, keeps_others: bool = False) -> None:
    """Write the passwords that Alertmanager's container reads each time it tells people; others are removed.

    They are kept where its configuration is not written as well: it reads those that it names.
    """
    _write_mounted(workspace, SECRETS_MOUNTED, files=files)
    for path in (workspace.rendered / SECRETS_MOUNTED).iterdir():
        if path.name not in files and not keeps_others:
            remove_file(path)


def write_bridge_authorities(workspace: Workspace, bridges: Iterable[Bridge]) -> None:
    """Write the certificates that vouch for the brokers of other places, by which the broker knows them.

    Raises:
        ConfigError: a file of the user's cannot be read, or is none of certificates.
    """
    files = {f"{one.name}.pem": content for one in bridges if (content := _read_authorities(workspace, one))}
    _write_mounted(workspace, AUTHORITIES, files=files)


def list_authorities(workspace: Workspace, bridges: Iterable[Bridge]) -> tuple[tuple[str, str], ...]:
    """Return the names of the same files, each with what changes with it.

    Raises:
        ConfigError: as above.
    """
    kept = workspace.rendered / AUTHORITIES
    names = {f"{one.name}.pem": one for one in bridges}
    contents = {name: _read_authorities(workspace, one) or (kept / name).read_bytes() for name, one in names.items()}
    return tuple((name, hashlib.sha256(content).hexdigest()[:12]) for name, content in contents.items())


def _read_authorities(workspace: Workspace, bridge: Bridge) -> bytes:
    """Return the certificates of a bridge; nothing where those that were found before are to stay."""
    own = ssl.get_default_verify_paths().cafile or _SYSTEM_AUTHORITIES
    path = workspace.root / Path(bridge.ca or own).expanduser()
    where = f"{FILE}: bridge.{bridge.name}.ca: {path}"
    try:
        content = path.read_bytes()
    except OSError as error:
        if not bridge.ca and (workspace.rendered / AUTHORITIES / f"{bridge.name}.pem").is_file():
            return b""
        advice = "Name a file with the certificates of who vouches for the other broker"
        raise ConfigError([f"{where} cannot be read: {error.strerror}. {advice}."]) from error
    if _CERTIFICATE not in content:
        raise ConfigError([f"{where} has no certificate in PEM, which begins with {_CERTIFICATE.decode()}."])
    return content


def _write_mounted(workspace: Workspace, path: str, *, files: Mapping[str, bytes]) -> None:
    folder = workspace.rendered / path
    make_folder(workspace.secrets, _PRIVATE_FOLDER_GATEWAY_LOGIN)
    make_folder(folder, _FOLDER)
    for name, content in files.items():
        write_file(folder / name, content, _READABLE)
