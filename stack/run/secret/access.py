"""Access to the dashboard: its one user, whose password and token are kept as hashes that only their owner can read."""

import hashlib
import json
import re
import secrets
from dataclasses import asdict, dataclass

from argon2 import PasswordHasher

from stack.errors import HostError
from stack.run.state_file import parse_json
from stack.run.workspace import Workspace, advise, make_folder, write_file

USER = "admin"
_PRIVATE, _PRIVATE_FOLDER = 0o600, 0o700
# No name of a secret of the user's begins with a dot.
_FILE, _SESSION_KEY = ".dashboard", ".session-key"
_KEY_BYTES = 32
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

    It costs nothing to compare, so that whoever knows the password waits for no one who does not.
    """

    @property
    def generation(self) -> str:
        """Return what changes with the password, so that older sessions end."""
        return hashlib.sha256(self.password_hash.encode()).hexdigest()[:16]

    def takes_password(self, user: str, password: str) -> bool:
        """Say whether user and password are right, as far as their digest tells."""
        return secrets.compare_digest(digest_token(f"{user}:{password}"), self.password_digest)

    def takes_token(self, token: str) -> bool:
        """Say whether this is the token."""
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
