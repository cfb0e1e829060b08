"""The broker's account of people and devices: files under .stack/secrets/ that only their owner can read."""

import json
import re
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from stack import console
from stack.config.environment import Secret
from stack.contract import parse_duration
from stack.errors import ConfigError, HostError
from stack.plan.broker import GUEST_CREDENTIALS, Credentials
from stack.state.access import CALLER, USER, Made, make_access, make_gateway_login
from stack.state.workspace import Workspace, make_folder, parse_json, parse_word, remove_file, write_file

USERNAME = "tidegate"
_PASSWORD, _NAME, _FORMER = "broker.password", "broker.username", ".former-credentials"
_NUMBERED = re.compile(rf"{USERNAME}-(\d+)")
_PRIVATE = 0o600
_RENEW = "`invoke credentials` makes another password, which the next `up` applies."


@dataclass(frozen=True)
class _KeptFormer:
    """How the account before the current one is kept."""

    username: str
    password: str
    until: float


@dataclass(frozen=True)
class _Former:
    """The account before the current one, and until when it goes on, in seconds since 1970."""

    credentials: Credentials
    until: float


def load_credentials(workspace: Workspace) -> Credentials:
    """Return the made credentials, or the tutorial's guest/guest where none were made.

    Raises:
        HostError: they belong to somebody else, or are broken.
    """
    path = workspace.secrets / _PASSWORD
    if not path.exists():
        return GUEST_CREDENTIALS
    password = _read_word(path)
    if not password:
        raise HostError(f"{path} is empty. {_RENEW}")
    return Credentials(_read_word(workspace.secrets / _NAME) or USERNAME, Secret(password))


def load_former_credentials(workspace: Workspace) -> Credentials | None:
    """Return the account before the current one, as long as it is to go on.

    Raises:
        HostError: the file belongs to somebody else, or is broken.
    """
    former = _read_former(workspace)
    return former.credentials if former and time.time() < former.until else None


def has_ended(workspace: Workspace) -> bool:
    """Return whether there is a former account whose time is over.

    Raises:
        HostError: the file belongs to somebody else, or is broken.
    """
    former = _read_former(workspace)
    return former is not None and time.time() >= former.until


def forget_former_credentials(workspace: Workspace) -> None:
    """Forget the account before the current one."""
    remove_file(workspace.secrets / _FORMER)


def make_credentials(
    workspace: Workspace, *, is_for_dashboard: bool = False, is_for_gateway: bool = False, overlap: str = ""
) -> None:
    """Make random passwords for broker, dashboard and gateway, or for one of the last two; the next `up` applies them.

    The old ones go on working until then, and with an overlap, such as 1h, for so much longer: RabbitMQ knows one
    password for each user, so that the new account then has another name.

    Raises:
        ConfigError: the overlap is no duration.
    """
    is_for_all, seconds = not (is_for_dashboard or is_for_gateway), _parse_overlap(overlap)
    if is_for_all:
        make_account(workspace, seconds)
    rows = []
    if is_for_all or is_for_dashboard:
        rows.append(_describe("dashboard", USER, make_access(workspace)))
    if is_for_all or is_for_gateway:
        rows.append(_describe("gateway", CALLER, make_gateway_login(workspace, seconds)))
    console.success("Logins, which are shown this once and kept as hashes:")
    console.show_table(("login", "user", "password", "token"), rows)
    console.say("Programs send user and password (HTTP basic), or the token (Authorization: Bearer).")
    console.say("Who calls functions needs the gateway's; who has the dashboard's is as powerful as root.")
    console.say("Next: `invoke up` applies them. They are asked for where `bind` lets other machines in.")


def _describe(login: str, user: str, made: Made) -> dict[str, str]:
    return {"login": login, "user": user, "password": made.password, "token": made.token}


def make_account(workspace: Workspace, overlap: float = 0.0) -> None:
    """Make a new account of people at the broker; the one before goes on for so many seconds."""
    former = _load_replaced(workspace)
    name = _choose_name(former, is_another=overlap > 0)
    make_folder(workspace.secrets, 0o700)
    if overlap and not former.is_guest:
        _keep_former(workspace, former, until=time.time() + overlap)
    else:
        forget_former_credentials(workspace)
    write_file(workspace.secrets / _NAME, name.encode() + b"\n", _PRIVATE)
    write_file(workspace.secrets / _PASSWORD, secrets.token_urlsafe(24).encode() + b"\n", _PRIVATE)
    console.success(f"The broker's user is {name}; its password is in {workspace.secrets / _PASSWORD}.")
    if overlap and former.is_guest:
        console.warn("The account guest, which everybody knows, has no overlap: it ends with the next `up`.")


def _load_replaced(workspace: Workspace) -> Credentials:
    """Return the account that is to be replaced: of one that cannot be read, whose password no one knows, the name."""
    try:
        return load_credentials(workspace)
    except HostError as error:
        console.warn(f"{error} A client that logs in with the account before that is refused from the next `up` on.")
        return GUEST_CREDENTIALS


def _choose_name(former: Credentials, *, is_another: bool) -> str:
    """Return the name of the new account: the same as before, unless both are to log in for a while."""
    if former.is_guest:
        return USERNAME
    if not is_another:
        return former.username
    found = _NUMBERED.fullmatch(former.username)
    return f"{USERNAME}-{int(found[1]) + 1 if found else 2}"


def _read_former(workspace: Workspace) -> _Former | None:
    path = workspace.secrets / _FORMER
    try:
        kept = parse_json(_KeptFormer, content) if (content := _read(path)) else None
    except ValueError as error:
        raise HostError(f"{path} is broken: {error}. Remove it: then the former account ends.") from error
    return _Former(Credentials(kept.username, Secret(kept.password)), kept.until) if kept else None


def _keep_former(workspace: Workspace, former: Credentials, *, until: float) -> None:
    kept = _KeptFormer(former.username, former.password.get_secret_value(), until)
    write_file(workspace.secrets / _FORMER, json.dumps(asdict(kept)).encode() + b"\n", _PRIVATE)
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(until))
    console.say(f"{former.username} goes on until {moment}; then the dashboard removes it, or the next `up` does.")


def _parse_overlap(text: str) -> float:
    try:
        return parse_duration(text) if text else 0.0
    except ValueError as error:
        raise ConfigError([f"--overlap: {error}"]) from error


def _read_word(path: Path) -> str:
    try:
        return parse_word(_read(path))
    except ValueError as error:
        raise HostError(f"{path} is broken: {error}. {_RENEW}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise HostError(
            f"{path} cannot be read: {error.strerror}. It belongs to the one who made the stack."
        ) from error
