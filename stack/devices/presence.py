"""Presence: which devices are connected, since when, and why one went.

RabbitMQ's events tell of each begin and end of a connection, and its log why it ended; a line may come a moment after
the event. What happened while the broker or the service was away is seen by one question to the management API.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from sqlite3 import Connection as Database
from sqlite3 import Row
from typing import Any

from stack.contract import device_topic
from stack.devices.event import Connection, Reason, is_end_of_node, read_connection, read_end, read_subscription
from stack.devices.link import Delivery, Link, Publication
from stack.devices.store import Store
from stack.plan.device_account import EVENTS, LOG

TOPIC, SEEN = "presence", "tidegate_device_seen_timestamp_seconds"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS connections (
    name TEXT PRIMARY KEY, device TEXT NOT NULL, since REAL NOT NULL, protocol TEXT NOT NULL, address TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS connections_device ON connections (device);
CREATE TABLE IF NOT EXISTS presence (
    device TEXT PRIMARY KEY, connected INTEGER NOT NULL, since REAL NOT NULL, last_seen REAL NOT NULL,
    reason TEXT NOT NULL, protocol TEXT NOT NULL, address TEXT NOT NULL, version INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS presence_changes ON presence (version);
CREATE TABLE IF NOT EXISTS presence_version (number INTEGER NOT NULL);
INSERT INTO presence_version SELECT 0 WHERE NOT EXISTS (SELECT * FROM presence_version);
"""
# Seconds for which the reason of an end is waited for, or for the connection that takes its place.
_PATIENCE = 0.5
# Seconds for which the management API may not tell yet of a connection whose begin was heard of.
_FRESH = 5.0
# Reasons that are kept of connections whose ends have not been told of.
_MOST = 10_000

# Told that a device can hear: it has connected, or has subscribed to one of the stack's own topics about it, which is
# given without what these begin with.
Arrival = Callable[[str, str], Iterable[Publication]]


@dataclass(frozen=True)
class _Ending:
    device: str
    deadline: float
    time: float
    reason: Reason | None = None


class Presence:
    """What is known of devices' connections; `fetch` asks the broker for all, `may_log_in` whether it is a device's."""

    def __init__(
        self, store: Store, fetch: Callable[[], Sequence[Connection]], may_log_in: Callable[[str], bool]
    ) -> None:
        self._store = store
        self._fetch = fetch
        self._may_log_in = may_log_in
        self._endings: dict[str, _Ending] = {}
        self._reasons: dict[str, Reason] = {}
        # When the begin of connections was heard of; the clock of the machine may be set meanwhile.
        self._begun: dict[str, float] = {}
        self._is_again = False
        self._ask_again: Callable[[], None] = lambda: None
        self.arrivals: list[Arrival] = []
        store.create(_SCHEMA)

    def listen(self, link: Link) -> None:
        """Have the link tell of connections."""
        link.on(EVENTS, "connection.created", self.begin)
        link.on(EVENTS, "connection.closed", self.end)
        link.on(EVENTS, "binding.created", self.subscribe)
        link.on(LOG, "#", self.explain)
        link.every(self.settle)
        link.on_absence(self.miss)
        link.on_open_with(self._fetch, self.compare)
        self._ask_again = link.reopen

    def begin(self, delivery: Delivery) -> Iterator[Publication]:
        """Take note of a connection."""
        one = read_connection(delivery.headers)
        self._begun[one.name] = time.monotonic()
        yield from self._begin(one)

    def end(self, delivery: Delivery) -> Iterator[Publication]:
        """Take note of the end of a connection."""
        closed = read_connection(delivery.headers)
        self._begun.pop(closed.name, None)
        with self._store.transaction() as database:
            row = database.execute("SELECT device FROM connections WHERE name = ?", [closed.name]).fetchone()
            others = row and _has_others(database, row["device"], name=closed.name)
        reason = self._reasons.pop(closed.name, None)
        if row is None:
            return
        self._endings[closed.name] = _Ending(row["device"], time.monotonic() + _PATIENCE, closed.since, reason)
        if others or reason not in (None, Reason.REPLACED):
            yield from self._finish(closed.name)

    def explain(self, delivery: Delivery) -> Iterator[Publication]:
        """Take note of why a connection ended, or is about to."""
        line = delivery.body.decode(errors="replace")
        if is_end_of_node(line):
            # The connections to it have ended too, and no event tells so.
            self._ask_again()
        found = read_end(line)
        if found is None:
            return
        name, reason = found
        if name in self._endings and self._endings[name].reason is None:
            self._endings[name] = replace(self._endings[name], reason=reason)
            if reason is not Reason.REPLACED:
                yield from self._finish(name)
        elif name not in self._endings:
            # The first line says it: others follow from it.
            self._reasons.setdefault(name, reason)
            while len(self._reasons) > _MOST:
                del self._reasons[next(iter(self._reasons))]

    def subscribe(self, delivery: Delivery) -> Iterator[Publication]:
        """Have those tell a device something who wait for it to hear."""
        if found := read_subscription(delivery.headers):
            yield from self._arrive(*found)

    def settle(self) -> Iterator[Publication]:
        """Finish what has been waited for long enough; only what is kept as finished is forgotten."""
        now = time.monotonic()
        for name in [name for name, one in self._endings.items() if one.deadline <= now]:
            if self._is_kept(name):
                yield from self._finish(name)
            else:
                del self._endings[name]

    def miss(self, since: float) -> Iterator[Publication]:
        """Take note that the broker is away: no one is connected to it."""
        with self._store.transaction() as database:
            kept = database.execute("SELECT name, device FROM connections").fetchall()
        for row in kept:
            self._endings[row["name"]] = _Ending(row["device"], 0.0, since, Reason.BROKER)
            yield from self._finish(row["name"])

    def compare(self, connections: Iterable[Connection]) -> Iterator[Publication]:
        """Take note of what has changed by who is connected."""
        now, is_again, fresh = time.time(), self._is_again, time.monotonic() - _FRESH
        self._begun = {name: begun for name, begun in self._begun.items() if begun > fresh}
        self._is_again = True
        found = {one.name: one for one in connections}
        with self._store.transaction() as database:
            kept = {row["name"]: row for row in database.execute("SELECT * FROM connections")}
        for name, row in kept.items():
            if name not in found and name not in self._endings and name not in self._begun:
                reason = self._reasons.pop(name, Reason.BROKER if is_again else Reason.LOST)
                self._endings[name] = _Ending(row["device"], 0.0, now, reason)
                yield from self._finish(name)
        for name, one in found.items():
            if name not in kept:
                yield from self._begin(one)

    def is_connected(self, device: str) -> bool:
        """Return whether a device is there."""
        return bool(self.describe(device)["connected"])

    def describe(self, device: str) -> dict[str, Any]:
        """Return what is known of a device; one that never came is not there since no time."""
        with self._store.transaction() as database:
            row = database.execute("SELECT * FROM presence WHERE device = ?", [device]).fetchone()
        if row is None:
            empty = {"since": None, "lastSeen": None, "reason": "", "protocol": "", "address": ""}
            return {"device": device, "connected": False, **empty}
        return _describe(row)

    def list_of(self, names: Sequence[str]) -> dict[str, Any]:
        """Return what is known of some devices, as `list_changes` does; those that never came are left out."""
        marks = ", ".join("?" * len(names))
        with self._store.transaction() as database:
            rows = database.execute(f"SELECT * FROM presence WHERE device IN ({marks})", list(names)).fetchall()
        return {"devices": {row["device"]: _describe(row) for row in rows}}

    def list_changes(self, after: int = 0, last: int | None = None) -> dict[str, Any]:
        """Return what has changed after a version, or the last changes, with the version of now and a count."""
        with self._store.transaction() as database:
            version = database.execute("SELECT number FROM presence_version").fetchone()["number"]
            first = after if last is None else version - last
            rows = database.execute("SELECT * FROM presence WHERE version > ? ORDER BY device", [first]).fetchall()
            count = database.execute("SELECT count(*) AS n FROM presence WHERE connected").fetchone()["n"]
        return {"version": version, "connected": count, "devices": {row["device"]: _describe(row) for row in rows}}

    def forget(self, device: str) -> Sequence[Publication]:
        """Know nothing of a device any more; return what tells that one is gone that was there."""
        with self._store.transaction() as database:
            said = self.describe(device)
            database.execute("DELETE FROM connections WHERE device = ?", [device])
            database.execute("DELETE FROM presence WHERE device = ?", [device])
        gone = {**said, "connected": False, "since": time.time(), "reason": Reason.REVOKED}
        return [_publish(gone)] if said["connected"] else []

    def write_metrics(self) -> str:
        """Return, in Prometheus' text format, which devices are connected.

        Of one that is not, no series says when it was seen: that falls silent, as an alert on silence has it.
        """
        with self._store.transaction() as database:
            rows = database.execute("SELECT device, connected FROM presence ORDER BY device").fetchall()
        now = time.time()
        lines = [
            "# HELP tidegate_device_connected Whether a device is connected.",
            "# TYPE tidegate_device_connected gauge",
            *(f'tidegate_device_connected{{device="{row["device"]}"}} {row["connected"]}' for row in rows),
            "# HELP tidegate_device_seen_timestamp_seconds When a device was seen, while it is connected.",
            "# TYPE tidegate_device_seen_timestamp_seconds gauge",
            *(f'{SEEN}{{device="{row["device"]}"}} {now:.3f}' for row in rows if row["connected"]),
        ]
        return "\n".join(lines) + "\n"

    def _begin(self, one: Connection) -> Iterator[Publication]:
        if not self._may_log_in(one.user):
            return
        if self._is_kept(one.name):
            return
        self._endings.pop(one.name, None)
        yield from self._finish_others(one.user)
        with self._store.transaction() as database:
            is_another = _has_others(database, one.user, name=one.name)
            database.execute(
                "INSERT INTO connections VALUES (?, ?, ?, ?, ?)",
                [one.name, one.user, one.since, one.protocol, one.address],
            )
            reason = Reason.REPLACED if is_another else ""
            said = _write(database, one.user, values=[1, one.since, one.since, reason, one.protocol, one.address])
        # What was replaced is there no more, and nothing is to be said of it.
        for name in [name for name, ending in self._endings.items() if ending.device == one.user]:
            yield from self._finish(name)
        yield _publish(said)
        yield from self._arrive(one.user, "")

    def _is_kept(self, name: str) -> bool:
        with self._store.transaction() as database:
            return database.execute("SELECT 1 FROM connections WHERE name = ?", [name]).fetchone() is not None

    def _finish_others(self, device: str) -> Iterator[Publication]:
        """Finish the connection of a device that comes again at once: the line that it said so is still to come."""
        for name, ending in list(self._endings.items()):
            if ending.device == device and ending.reason is None:
                self._endings[name] = replace(ending, reason=Reason.CLEAN)
                yield from self._finish(name)

    def _arrive(self, device: str, what: str) -> Iterator[Publication]:
        for arrival in self.arrivals:
            yield from arrival(device, what)

    def _finish(self, name: str) -> Iterator[Publication]:
        ending = self._endings[name]
        device = ending.device
        with self._store.transaction() as database:
            row = database.execute("DELETE FROM connections WHERE name = ? RETURNING *", [name]).fetchone()
            if row is None:
                return
            if _has_others(database, device, name=name):
                _describe_other(database, row)
                return
            reason = (ending.reason or Reason.LOST) if self._may_log_in(device) else Reason.REVOKED
            said = _write(
                database, device, values=[0, ending.time, ending.time, reason, row["protocol"], row["address"]]
            )
        yield _publish(said)


def _has_others(database: Database, device: str, *, name: str) -> bool:
    """Return whether a device has another connection than one."""
    query = "SELECT 1 FROM connections WHERE device = ? AND name != ?"
    return database.execute(query, [device, name]).fetchone() is not None


def _describe_other(database: Database, ended: Row) -> None:
    """Describe a device by the connection that it still has, where it was described by the one that ended."""
    query = "SELECT * FROM connections WHERE device = ? AND since < ? ORDER BY since DESC"
    other = database.execute(query, [ended["device"], ended["since"]]).fetchone()
    now = database.execute("SELECT * FROM presence WHERE device = ?", [ended["device"]]).fetchone()
    if other and all(now[key] == ended[key] for key in ("since", "protocol", "address")):
        values = [1, other["since"], other["since"], "", other["protocol"], other["address"]]
        _write(database, ended["device"], values=values)


def _write(database: Database, device: str, *, values: Sequence[Any]) -> dict[str, Any]:
    number = database.execute("UPDATE presence_version SET number = number + 1 RETURNING number").fetchone()["number"]
    marks = ", ".join("?" * 8)
    row = database.execute(
        f"INSERT OR REPLACE INTO presence VALUES ({marks}) RETURNING *", [device, *values, number]
    ).fetchone()
    return _describe(row)


def _describe(row: Row) -> dict[str, Any]:
    is_there = bool(row["connected"])
    return {
        "device": row["device"],
        "connected": is_there,
        "since": row["since"],
        "lastSeen": time.time() if is_there else row["last_seen"],
        "reason": row["reason"],
        "protocol": row["protocol"],
        "address": row["address"],
    }


def _publish(said: dict[str, Any]) -> Publication:
    return Publication(device_topic(said["device"], TOPIC), json.dumps(said).encode())
