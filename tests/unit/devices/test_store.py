"""The file of the service of devices."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.devices.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path / "data")
    store.create("CREATE TABLE IF NOT EXISTS t (n INTEGER)")
    yield store
    store.close()


def read(store: Store) -> list[int]:
    with store.transaction() as database:
        return [row["n"] for row in database.execute("SELECT n FROM t")]


def test_what_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(KeyError), store.transaction() as database:
        database.execute("INSERT INTO t VALUES (1)")
        raise KeyError
    assert read(store) == []


def test_a_part_that_fails_leaves_the_rest(store: Store) -> None:
    with store.transaction() as database:
        database.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(KeyError), store.transaction():
            database.execute("INSERT INTO t VALUES (2)")
            raise KeyError
        with store.transaction():
            database.execute("INSERT INTO t VALUES (3)")
    assert read(store) == [1, 3]


def test_it_is_there_after_a_restart(store: Store, tmp_path: Path) -> None:
    with store.transaction() as database:
        database.execute("INSERT INTO t VALUES (1)")
    other = open_store(tmp_path / "data")
    assert read(other) == [1]
    other.close()
