"""Links that make a phone a device: each holds for some minutes, and once. Kept is only a digest of the token in it."""

import json
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from stack.state.access import digest_token
from stack.state.workspace import Workspace, list_files, make_folder, parse_json, write_file

LINK_MINUTES = 10
_FOLDER = "device-links"
_PRIVATE, _PRIVATE_FOLDER = 0o600, 0o700
# So many random bytes, 160 bits, cannot be guessed, and leave the QR code small.
_TOKEN_BYTES = 20


@dataclass(frozen=True)
class Link:
    """For which device a link is, and until when, in seconds since 1970."""

    device: str
    until: float

    @property
    def is_open(self) -> bool:
        """Return whether it has not ended."""
        return time.time() < self.until


def make_link(workspace: Workspace, device: str) -> str:
    """Return the token of a new link; links that have ended are removed."""
    folder = workspace.state / _FOLDER
    make_folder(folder, _PRIVATE_FOLDER)
    for path in list_files(folder):
        if not (found := _load(path)) or not found.is_open:
            path.unlink(missing_ok=True)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    link = Link(device, round(time.time() + LINK_MINUTES * 60))
    write_file(_path(workspace, token), json.dumps(asdict(link)).encode(), _PRIVATE, is_durable=False)
    return token


def find_linked(workspace: Workspace, token: str) -> str:
    """Return for which device a link is; nothing where there is none, or it has ended."""
    found = _load(_path(workspace, token))
    return found.device if found and found.is_open else ""


def take_link(workspace: Workspace, token: str) -> str:
    """Return for which device a link is, to the first who takes it."""
    device = find_linked(workspace, token)
    try:
        _path(workspace, token).unlink()
    except FileNotFoundError:
        return ""
    return device


def _path(workspace: Workspace, token: str) -> Path:
    return workspace.state / _FOLDER / digest_token(token)


def _load(path: Path) -> Link | None:
    try:
        return parse_json(Link, path.read_bytes())
    except (OSError, ValueError):
        return None
