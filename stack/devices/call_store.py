"""Calls as the service of devices keeps them: those under way, and for each device the last that are over."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from math import inf
from typing import Any

from stack.plan.device_call import Call, CallState

SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    id TEXT PRIMARY KEY, device TEXT NOT NULL, method TEXT NOT NULL, data TEXT NOT NULL, by TEXT NOT NULL,
    made REAL NOT NULL, expires REAL NOT NULL, state TEXT NOT NULL, sent REAL, ended REAL, answer TEXT NOT NULL,
    late INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS calls_of_device ON calls (device, made);
CREATE INDEX IF NOT EXISTS calls_under_way ON calls (expires) WHERE ended IS NULL;
"""
# Calls that are over, of one device.
_KEPT = 200
# Calls that may be under way, of one device.
MOST_UNDER_WAY = 100

_UNDER_WAY = "ended IS NULL"
_COLUMNS = "id, device, method, data, by, made, expires, state, sent, ended, answer, late"

Transaction = Callable[[], AbstractContextManager[sqlite3.Connection]]


class CallStore:
    """Calls in a database; `transaction` gives its connection to one thread at a time, and commits in the end."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, call: Call) -> bool:
        """Keep a call, unless too many of its device are under way; return whether it is kept, or was before."""
        with self._transaction() as connection:
            (count,) = connection.execute(
                f"SELECT count(*) FROM calls WHERE device = ? AND {_UNDER_WAY}", [call.device]
            ).fetchone()
            if count >= MOST_UNDER_WAY:
                return False
            connection.execute(
                f"INSERT OR IGNORE INTO calls ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    *(call.id, call.device, call.method, json.dumps(call.data), call.by, call.made, call.expires),
                    *(call.state, call.sent, call.ended, json.dumps(call.answer), call.late),
                ],
            )
            _drop_old(connection, call.device)
            return True

    def find(self, device: str, id: str) -> Call | None:
        """Return a call of a device."""
        return next(self._select("device = ? AND id = ?", device, id), None)

    def list_queued(self, device: str) -> list[Call]:
        """Return what a device has not been sent yet, the oldest first."""
        return list(self._select(f"device = ? AND state = '{CallState.QUEUED}' ORDER BY made", device))

    def list_last(self, device: str, count: int) -> list[Call]:
        """Return the last calls of a device, the newest first."""
        return list(self._select("device = ? ORDER BY made DESC LIMIT ?", device, count))

    def list_busy(self) -> dict[str, bool]:
        """Return the devices with calls under way, and whether any of these was sent."""
        with self._transaction() as connection:
            found = connection.execute(
                f"SELECT device, max(state = '{CallState.SENT}') FROM calls WHERE {_UNDER_WAY} GROUP BY device"
            )
            return {device: bool(is_sent) for device, is_sent in found}

    def mark_sent(self, call: Call, begun: float) -> None:
        """Note that a device's session has a call, which was published after `begun`; it may be answered already."""
        with self._transaction() as connection:
            connection.execute("UPDATE calls SET sent = ? WHERE id = ?", [begun, call.id])
            connection.execute(
                f"UPDATE calls SET state = '{CallState.SENT}' WHERE id = ? AND state = '{CallState.QUEUED}'", [call.id]
            )

    def requeue(self, device: str, *, sent_before: float = inf) -> None:
        """Have calls sent again that were lost with a device's session; answered ones were none of these."""
        with self._transaction() as connection:
            connection.execute(
                f"UPDATE calls SET state = '{CallState.QUEUED}', sent = NULL WHERE device = ? AND {_UNDER_WAY}"
                " AND sent < ?",
                [device, sent_before],
            )

    def end(self, device: str, id: str, *, state: CallState, answer: Any, now: float) -> Call | None:
        """Note the answer of a call; return the call, or None where it was over, which only counts the answer."""
        with self._transaction() as connection:
            is_first = connection.execute(
                f"UPDATE calls SET state = ?, answer = ?, ended = ? WHERE device = ? AND id = ? AND {_UNDER_WAY}",
                [state, json.dumps(answer), now, device, id],
            ).rowcount
            if not is_first:
                connection.execute("UPDATE calls SET late = late + 1 WHERE device = ? AND id = ?", [device, id])
        return self.find(device, id) if is_first else None

    def expire(self, now: float) -> list[Call]:
        """End the calls that have had no answer in time, and return them."""
        with self._transaction() as connection:
            rows = connection.execute(
                f"UPDATE calls SET state = '{CallState.EXPIRED}', ended = ? WHERE {_UNDER_WAY} AND expires <= ?"
                f" RETURNING {_COLUMNS}",
                [now, now],
            ).fetchall()
        return list(map(_read, rows))

    def forget(self, device: str) -> list[Call]:
        """Drop all calls of a device that is removed: another of its name is not to get them.

        Return those that were under way.
        """
        under_way = list(self._select(f"device = ? AND {_UNDER_WAY}", device))
        with self._transaction() as connection:
            connection.execute("DELETE FROM calls WHERE device = ?", [device])
        return under_way

    def _select(self, condition: str, *values: object) -> Iterator[Call]:
        with self._transaction() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM calls WHERE {condition}", values).fetchall()
        yield from map(_read, rows)


def _read(row: tuple[Any, ...]) -> Call:
    id, device, method, data, by, made, expires, state, sent, ended, answer, late = row
    words = (id, device, method, json.loads(data), by, made, expires)
    return Call(*words, CallState(state), sent, ended, json.loads(answer), late)


def _drop_old(connection: sqlite3.Connection, device: str) -> None:
    connection.execute(
        "DELETE FROM calls WHERE device = ?1 AND made < "
        "(SELECT made FROM calls WHERE device = ?1 AND ended IS NOT NULL ORDER BY made DESC LIMIT 1 OFFSET ?2)"
        " AND ended IS NOT NULL",
        [device, _KEPT],
    )
