"""The limit of processes: only a container that stays full has reached it."""

from pathlib import Path

import pytest

from stack.processor.supervisor import PidsLimit


def write(folder: Path, limit: str, current: int) -> None:
    (folder / "pids.max").write_text(f"{limit}\n")
    (folder / "pids.current").write_text(f"{current}\n")


def look(limit: PidsLimit, *times: float) -> list[bool]:
    return [limit.is_exhausted(time) for time in times]


def test_container_that_stays_full(tmp_path: Path) -> None:
    write(tmp_path, "100", 100)
    assert look(PidsLimit((tmp_path,)), 0, 1, 3, 6) == [False, False, False, True]


def test_container_that_was_full_for_a_moment(tmp_path: Path) -> None:
    write(tmp_path, "100", 100)
    limit = PidsLimit((tmp_path,))
    assert look(limit, 0, 3) == [False, False]
    write(tmp_path, "100", 99)
    assert look(limit, 6) == [False]
    write(tmp_path, "100", 100)
    assert look(limit, 9, 12) == [False, False]


@pytest.mark.parametrize("limit", ["max", ""])
def test_no_limit_is_never_looked_at(tmp_path: Path, limit: str) -> None:
    write(tmp_path, limit, 100)
    assert PidsLimit((tmp_path / "none", tmp_path)).due == float("inf")
