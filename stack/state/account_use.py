"""Who was connected to the broker by the accounts of people in the last week, kept in .stack/state/accounts.json.

RabbitMQ counts logins by account, protocol and address since it started, and tells no times. So its counts are looked
at again and again, and what has grown since the last look is noted with the time.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace

from stack.state.workspace import Workspace, parse_json, write_file

WEEK_SECONDS = 7 * 24 * 3600.0
_FILE = "accounts.json"
# Anybody may log in by the account that everybody knows, from any number of addresses.
_MOST = 200
# So old the file may be in what it says of somebody who is there all the time.
_SLACK_SECONDS = 60.0
# Of a broker that has run for longer it is not known when the logins were that it counted before the first look.
_YOUNG_SECONDS = 3600.0


@dataclass(frozen=True, order=True)
class Login:
    """By which account, over which protocol and from where somebody logs in."""

    account: str
    protocol: str
    address: str


@dataclass(frozen=True)
class AccountUse:
    """A client that uses an account, and when it was last seen, in seconds since 1970.

    A client that came and went between two looks has no name: RabbitMQ counts it without one.
    """

    login: Login
    client: str = ""
    last: float = 0.0

    @property
    def name(self) -> str:
        """Return the client as people know it."""
        place = f"{self.login.protocol} from {self.login.address}"
        return f"{self.client} ({place})" if self.client else place


@dataclass(frozen=True)
class UseLog:
    """What is kept: the uses of a week, how many logins there were at the last look, and when that was."""

    uses: tuple[AccountUse, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    looked: float = 0.0

    def has_grown(self, counts: Mapping[Login, int], uptime: float) -> set[Login]:
        """Return who has logged in since the last look, of a broker that runs for so many seconds."""
        if not self.looked and uptime > _YOUNG_SECONDS:
            return set()
        return {one for one, count in counts.items() if count and count != self.counts.get(_key(one), 0)}

    def add(self, grown: Iterable[Login], there: Iterable[AccountUse], now: float) -> "UseLog":
        """Return the log with those who have logged in since, and those who are there now."""
        connected = [replace(one, last=now) for one in there]
        named = {one.login for one in connected}
        nameless = [AccountUse(one, last=now) for one in grown if one not in named]
        latest = {(one.login, one.client): one for one in (*self.uses, *nameless, *connected)}
        kept = sorted((one for one in latest.values() if one.last > now - WEEK_SECONDS), key=lambda one: -one.last)
        return replace(self, uses=tuple(kept[:_MOST]))

    def count(self, counts: Mapping[Login, int], now: float) -> "UseLog":
        """Return the log with what the broker has counted until now."""
        return replace(self, counts={_key(login): count for login, count in counts.items()}, looked=now)

    def differs(self, before: "UseLog") -> bool:
        """Return whether it says more than before, but for who is still there."""
        then = {(one.login, one.client): one.last for one in before.uses}
        is_new = any(one.last > then.get((one.login, one.client), 0.0) + _SLACK_SECONDS for one in self.uses)
        return is_new or self.counts != before.counts or not before.looked


def load_use_log(workspace: Workspace) -> UseLog:
    """Return what is kept; nothing where the file is missing or spoiled, since it is written again."""
    try:
        return parse_json(UseLog, (workspace.state / _FILE).read_bytes())
    except (OSError, ValueError):
        return UseLog()


def save_use_log(workspace: Workspace, log: UseLog) -> None:
    """Keep it."""
    write_file(workspace.state / _FILE, json.dumps(asdict(log)).encode(), is_durable=False)


def _key(login: Login) -> str:
    return " ".join((login.account, login.protocol, login.address))
