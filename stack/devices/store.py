"""What the service of devices keeps: one SQLite file in its volume. Each feature has tables of its own in it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

_FILE = "devices.sqlite"


class Store:
    """The file; threads wait for each other, since a message of a device writes little."""

    def __init__(self, path: Path) -> None:
        self._lock = RLock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.row_factory = sqlite3.Row
        # What was acknowledged to a device or a caller survives a loss of power.
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            self._database.execute(f"PRAGMA {pragma}")

    def create(self, schema: str) -> None:
        """Make the tables of a feature, where they are not there yet."""
        with self._lock:
            self._database.executescript(schema)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield the database; what is written is there together, or not at all. One may be within another."""
        with self._lock:
            is_inner = self._database.in_transaction
            self._database.execute("SAVEPOINT part" if is_inner else "BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK TO part" if is_inner else "ROLLBACK")
                if is_inner:
                    self._database.execute("RELEASE part")
                raise
            self._database.execute("RELEASE part" if is_inner else "COMMIT")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()


def open_store(folder: Path) -> Store:
    """Open the file in a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    return Store(folder / _FILE)


def claim_folder(folder: Path, owner: Path) -> None:
    """Give a folder and its files to whose another one is: Docker makes a volume for root. Only root can."""
    if os.getuid() or not folder.is_dir():
        return
    status = owner.stat()
    for path in (folder, *folder.iterdir()):
        os.chown(path, status.st_uid, status.st_gid)
