"""How a bridge is: what waits, since when, whether it runs, and why it does not."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from stack.plan.bridge import FROM, TO
from stack.plan.trouble import Trouble, write_megabytes

RUNNING, BLOCKED = "running", "blocked"
# Why nothing goes to a broker that lets no one publish: it has an alarm.
_ALARMS = {TO: "its broker takes no messages, for want of disk or memory", FROM: "this broker takes no messages"}
# Messages that a shovel has taken and waits for the confirm of.
_ON_THE_WAY = 200
# Of the room for messages that wait, and of their time, the share from which on it is told.
_NEARLY, _FULL = 0.8, 0.98
# Seconds for which a message may wait while the bridge runs, before it is told that it lags.
_LATE = 600
# What RabbitMQ's log says of a shovel that ended, the word that matters in it, and what it means.
_SAYS = (
    re.compile(r"failed to connect \(URI: [^)]*\): (.*)"),
    re.compile(r"server_initiated_close,\s*(\d+,\s*<<\"[^\"]*)"),
    re.compile(r"closed with code (\d+, reason: .*)"),
    re.compile(r"is stopping, reason: (.*)"),
)
_MEANINGS = (
    (r"econnrefused", "its broker takes no connections at that port"),
    (r"nxdomain|unknown.host", "no one knows the name of its host"),
    (r"ehostunreach|enetunreach", "there is no way to its host"),
    (r"etimedout|\btimeout|heartbeat", "its broker does not answer"),
    # So the gateway does, through which a bridge with a limit goes.
    (r"^closed\b|socket_closed", "its broker cannot be reached, or closes connections at once"),
    (r"hostname_check_failed", "its certificate is for another name"),
    (r"cert_expired|certificate.expired", "its certificate is not of this time, or the clock here is wrong"),
    (r"unknown.ca|bad_cert|certificate.unknown|selfsigned", "its certificate is vouched for by none of `ca`"),
    (r"login was refused|auth_failure|authentication.failure", "its broker does not let the account in"),
    (r"not_found.*no queue '([^']*)'", r"its broker has no queue \1"),
    (r"not_found.*no exchange '([^']*)'", r"its broker has no exchange \1"),
    (r"configure access to queue '([^']*)'", r"its broker has no queue \1, by `name` of its bridge and `site` here"),
    (r"access.*to topic '([^']*)'", r"the account may not publish to \1, which `receive` there does not name"),
    (r"access.*to (?:queue|exchange) '([^']*)'", r"the account may not use \1"),
    (r"vhost|virtual host", "its broker does not let the account into that virtual host"),
)


@dataclass(frozen=True)
class BridgeState:
    """A bridge as it is now.

    `shovels` are the states of those that run here by their way, `to` or `from`; `connections` says of a bridge
    without any how many the other place has.
    """

    name: str
    messages: int = 0
    size: int = 0
    """Bytes of the messages that wait."""
    most: int = 0
    """Bytes that may wait."""
    buffer: float = 0.0
    """Seconds that a message may wait."""
    oldest: float | None = None
    """Seconds for which the oldest waits; nothing where it is not known."""
    shovels: Mapping[str, str] = field(default_factory=dict)
    connections: int = 0
    most_connections: int = 0
    """How many connections one place has at most."""
    consumers: int | None = None
    """How many fetch what waits; nothing where nothing goes there."""
    reason: str = ""
    """Why a shovel does not run, as far as RabbitMQ says."""

    @property
    def runs(self) -> bool:
        """Return whether messages go."""
        if self.shovels:
            return all(one == RUNNING for one in self.shovels.values())
        return self.connections > 0 and self.consumers != 0

    @property
    def may_lag(self) -> bool:
        """Return whether more waits than is on its way anyhow."""
        return self.messages > (_ON_THE_WAY if self.runs else 0)

    def __str__(self) -> str:
        size = f" ({write_megabytes(self.size)})" if self.size >= 1_000_000 else ""
        since = f", the oldest for {write_seconds(self.oldest)}" if self.oldest is not None else ""
        return f"bridge {self.name}: {self._tell_state()}; {self._tell_waiting()}{size}{since}."

    def _tell_waiting(self) -> str:
        if self.messages == 1:
            return "1 message waits"
        return f"{self.messages:,} messages wait" if self.messages else "no message waits"

    def _tell_state(self) -> str:
        if not self.shovels:
            fetches = "is connected" if self.runs else "is connected, and fetches nothing"
            return fetches if self.connections else "is not connected"
        why = f": {self.reason}" if self.reason else ""
        return "runs" if self.runs else f"does not run{why}"

    def as_document(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        return {**asdict(self), "running": self.runs}

    @property
    def troubles(self) -> Sequence[Trouble]:
        """Return what is wrong with it."""
        return tuple(self._find_troubles())

    def _find_troubles(self) -> Iterator[Trouble]:
        yield from self._find_stops()
        yield from self._find_losses()

    def _find_stops(self) -> Iterator[Trouble]:
        """Yield why messages do not go, or do not go where they should."""
        goes = f", and {'goes' if self.messages == 1 else 'go'} when it does" if self.messages else ""
        kept = f"{self._tell_waiting()}{goes}."
        if not self.runs and self.shovels:
            yield self._warn(f"{self._tell_state()}.", f"It tries again every few seconds; {kept}")
        elif not self.connections and not self.shovels:
            yield self._warn(f"{self._tell_state()}.", f"The other place connects by itself; {kept}")
        elif not self.runs:
            yield self._warn(f"{self._tell_state()}.", f"`invoke status` there says why, or `invoke plan` here; {kept}")
        elif (self.oldest or 0) > _LATE:
            what = f"lags: a message waits for {write_seconds(self.oldest)}."
            yield self._warn(what, f"The line or the other broker is slow; {kept}")
        if not self.shovels and (self.connections > self.most_connections or (self.consumers or 0) > 1):
            what = "is connected more than once: each message goes to one of them."
            yield self._warn(what, "If it is so for minutes, two places have one name, `site` in their stack.yaml.")

    def _find_losses(self) -> Iterator[Trouble]:
        """Yield which messages go for good, or soon will."""
        room = f"{write_megabytes(self.size)} of {write_megabytes(self.most)}"
        advice = "`megabytes` of the bridge in stack.yaml is how much may wait."
        if self.most and self.size > _FULL * self.most:
            yield self._warn(f"is full, {room}: for each new message the oldest goes for good.", advice)
        elif self.most and self.size > _NEARLY * self.most:
            yield self._warn(f"has {room} waiting; then the oldest go for good.", advice)
        if self.buffer and (self.oldest or 0) > _NEARLY * self.buffer:
            what = f"has messages that wait for {write_seconds(self.oldest)}, and may for {write_seconds(self.buffer)}."
            yield self._warn(what, "Then they go for good; `buffer` of the bridge in stack.yaml is how long.")

    def _warn(self, what: str, advice: str) -> Trouble:
        return Trouble(f"bridge {self.name}", what, advice, "warn")


def write_seconds(seconds: float | None) -> str:
    """Return a time as a person reads it."""
    value = seconds or 0
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if value >= 2 * size:
            return f"{value / size:.0f} {unit}"
    return f"{value:.0f} s"


def explain_alarm(way: str) -> str:
    """Return why a shovel waits that a broker lets publish nothing."""
    return _ALARMS[way]


def explain_end(log: str, shovel: str) -> str:
    """Return why a shovel ended last, in plain words, by the lines of RabbitMQ's log; nothing where none says."""
    # A queue here has the name of the shovel that takes it.
    own_queue = f"queue '{shovel}'"
    mentions = log.split(f"Shovel '{shovel}'")
    for text in reversed(mentions[1:]):
        for pattern in _SAYS:
            if found := pattern.search(text):
                return _explain(found[1].strip(), own_queue)
    return ""


def _explain(text: str, own_queue: str) -> str:
    if own_queue in text:
        return f"there is no {own_queue} here; `invoke up` makes it"
    for pattern, meaning in _MEANINGS:
        if found := re.search(pattern, text, re.IGNORECASE):
            return found.expand(meaning)
    return text.rstrip(".")
