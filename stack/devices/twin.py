"""Twins: of each device, how it is to be and how it says that it is, as two JSON documents with versions.

Both change by JSON merge patches. What is desired and not reported so is told to the device when it changes, and when
the device comes back.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from stack import console
from stack.contract import MQTT_EXCHANGE, device_topic, to_key
from stack.devices.link import Delivery, Link, Publication
from stack.devices.merge_patch import find_delta, is_deeper, merge_patch
from stack.devices.store import Store
from stack.errors import ConfigError, ConflictError

REPORTED, DELTA = "twin/reported", "twin/delta"
# Bytes of JSON that one part, or a patch, may have, and changes that are kept of a device.
MOST_BYTES, KEPT = 64 * 1024, 100
MOST_LEVELS = 64
# Seconds between two lines in the log of what one device reported in vain.
_QUIET = 60.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS twins (
    device TEXT NOT NULL, part TEXT NOT NULL, document TEXT NOT NULL, version INTEGER NOT NULL, time REAL NOT NULL,
    PRIMARY KEY (device, part)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS twin_changes (
    id INTEGER PRIMARY KEY, device TEXT NOT NULL, part TEXT NOT NULL, version INTEGER NOT NULL, patch TEXT NOT NULL,
    by TEXT NOT NULL, time REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS twin_changes_device ON twin_changes (device, id);
"""


class Part(StrEnum):
    """One of the two documents."""

    DESIRED = "desired"
    REPORTED = "reported"


@dataclass(frozen=True)
class Change:
    """A patch of a part; a version is refused if the part has another by now."""

    part: Part
    patch: Any
    version: int | None = None
    by: str = ""


@dataclass(frozen=True)
class _Document:
    content: Mapping[str, Any]
    version: int = 0
    time: float | None = None


@dataclass(frozen=True)
class Twin:
    """Both documents of a device."""

    device: str
    desired: _Document
    reported: _Document

    @property
    def delta(self) -> dict[str, Any]:
        """Return what is desired and not reported so."""
        return find_delta(self.desired.content, self.reported.content)

    def as_document(self) -> dict[str, Any]:
        """Return it as the API has it."""
        return {
            "device": self.device,
            "desired": self.desired.content,
            "reported": self.reported.content,
            "delta": self.delta,
            "desiredVersion": self.desired.version,
            "reportedVersion": self.reported.version,
            "desiredAt": self.desired.time,
            "reportedAt": self.reported.time,
        }


class Twins:
    """All twins; `may_log_in` says whether a name is a device's, whose word alone is kept."""

    def __init__(self, store: Store, may_log_in: Callable[[str], bool]) -> None:
        self._store = store
        self._may_log_in = may_log_in
        self._warned: dict[str, float] = {}
        store.create(_SCHEMA)

    def listen(self, link: Link) -> None:
        """Have the link bring what devices report."""
        link.on(MQTT_EXCHANGE, to_key(device_topic("+", REPORTED)), self.take)

    def get(self, device: str) -> Twin:
        """Return the twin of a device; one that was never written is empty."""
        with self._store.transaction() as database:
            rows = database.execute("SELECT * FROM twins WHERE device = ?", [device]).fetchall()
        parts = {row["part"]: _Document(json.loads(row["document"]), row["version"], row["time"]) for row in rows}
        return Twin(device, *(parts.get(part, _Document({})) for part in Part))

    def change(self, device: str, change: Change) -> tuple[Twin, list[Publication]]:
        """Patch a part; return the twin, and what is to be told to the device.

        Raises:
            ConflictError: the part has another version.
            ConfigError: the patch is none, or the part would be too large.
        """
        with self._store.transaction() as database:
            before = self.get(device)
            old = before.desired if change.part is Part.DESIRED else before.reported
            if change.version not in (None, old.version):
                raise ConflictError(
                    f"The {change.part} part of {device} has version {old.version} by now, not {change.version}. "
                    "Read it, and change that."
                )
            (document, patch), now = _patch(old.content, change), time.time()
            is_new = document != json.dumps(old.content, ensure_ascii=False)
            version = old.version + is_new
            if is_new:
                written = [device, change.part, document, version, now]
                database.execute("INSERT OR REPLACE INTO twins VALUES (?, ?, ?, ?, ?)", written)
                values = [device, change.part, version, patch, change.by, now]
                database.execute("INSERT INTO twin_changes VALUES (NULL, ?, ?, ?, ?, ?, ?)", values)
                database.execute(
                    "DELETE FROM twin_changes WHERE device = ? AND id <= "
                    "(SELECT id FROM twin_changes WHERE device = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
                    [device, device, KEPT],
                )
            after = self.get(device)
        # A device that cannot follow, and says so, is not told the same again for it.
        is_told = is_new and (change.part is Part.DESIRED or (after.delta and after.delta != before.delta))
        return after, [tell_delta(after)] if is_told else []

    def change_and_tell(self, device: str, change: Change, *, tell: Callable[[Iterable[Publication]], None]) -> Twin:
        """Patch a part, and have the device told in the order of the changes; return the twin.

        Raises:
            ConflictError: the part has another version.
            ConfigError: the patch is none, or the part would be too large.
        """
        with self._store.transaction():
            twin, said = self.change(device, change)
            tell(said)
        return twin

    def take(self, delivery: Delivery) -> Iterator[Publication]:
        """Take what a device reports."""
        device = delivery.topic.split("/")[2]
        if not self._may_log_in(device):
            return
        try:
            if len(delivery.body) > MOST_BYTES:
                raise ConfigError([f"It has {len(delivery.body):,} bytes; {MOST_BYTES:,} are the most."])
            patch = json.loads(delivery.body)
            yield from self.change(device, Change(Part.REPORTED, patch, by=device))[1]
        except (ValueError, RecursionError, ConfigError) as error:
            self._warn(device, error)

    def _warn(self, device: str, error: Exception) -> None:
        """Say in the log why a report was not taken, now and then: a device cannot be told."""
        now = time.monotonic()
        if now - self._warned.get(device, -_QUIET) >= _QUIET:
            self._warned[device] = now
            console.warn(f"What {device} reported of its twin was not taken: {ascii(str(error))[1:-1][:300]}")

    def arrive(self, device: str, subscribed: str) -> Iterator[Publication]:
        """Tell a device that can hear again what has changed."""
        if subscribed and subscribed.split("/")[0] not in ("twin", "#", "*"):
            return
        twin = self.get(device)
        if twin.delta:
            yield tell_delta(twin)

    def list_changes(self, device: str, limit: int = KEPT) -> list[dict[str, Any]]:
        """Return the last changes, the newest first."""
        with self._store.transaction() as database:
            rows = database.execute(
                "SELECT part, version, patch, by, time FROM twin_changes WHERE device = ? ORDER BY id DESC LIMIT ?",
                [device, min(limit, KEPT)],
            ).fetchall()
        return [{**dict(row), "patch": json.loads(row["patch"])} for row in rows]

    def forget(self, device: str) -> None:
        """Forget the twin of a device."""
        with self._store.transaction() as database:
            database.execute("DELETE FROM twins WHERE device = ?", [device])
            database.execute("DELETE FROM twin_changes WHERE device = ?", [device])


def tell_delta(twin: Twin) -> Publication:
    """Return the message that tells a device how it is to be and is not."""
    body = {"version": twin.desired.version, "delta": twin.delta}
    return Publication(device_topic(twin.device, DELTA), json.dumps(body).encode())


def _patch(content: Mapping[str, Any], change: Change) -> tuple[str, str]:
    """Return a part with a patch in it, and the patch."""
    if not isinstance(change.patch, Mapping):
        raise ConfigError(
            [f'The patch of a twin should be a JSON object, such as {{"fan": "on"}}, not {ascii(change.patch)[:100]}.']
        )
    patch = _write(change.patch, "patch of a twin")
    return _write(merge_patch(content, change.patch), f"{change.part} part"), patch


def _write(content: Mapping[str, Any], what: str) -> str:
    """Write JSON that may be kept, which has no halves of characters, say, and is as deep as all can read."""
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except RecursionError as error:
        raise ConfigError(
            [f"The {what} has too many levels of objects and lists; {MOST_LEVELS} are the most."]
        ) from error
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise ConfigError([f"The {what} has half of a character, {half!a}, which no text may have."]) from error
    except ValueError as error:
        raise ConfigError([f"The {what} has a number that JSON does not know, such as NaN or Infinity."]) from error
    if size > MOST_BYTES:
        raise ConfigError([f"The {what} would have {size:,} bytes; {MOST_BYTES:,} are the most."])
    if is_deeper(content, MOST_LEVELS):
        raise ConfigError([f"The {what} has more than {MOST_LEVELS} levels of objects and lists."])
    return text
