"""What the logger keeps, in each kind of file."""

import csv
import json
import sqlite3
from pathlib import Path

import pytest

from stack.errors import HostError
from stack.run.feedback_file import Record, open_sink

FIRST = [Record("2026-01-01T00:00:00.000+00:00", "Invoked Function amqpconsume on 17.3", "a-1")]
SECOND = [Record("2026-01-01T00:00:01.000+00:00", 'with "quotes", commas\nand lines', ""), *FIRST]


def keep(path: Path) -> None:
    """Keep two batches, the second in a file that is there already."""
    for batch in (FIRST, SECOND):
        with open_sink(str(path)) as sink:
            sink.store(batch)


def expected() -> list[tuple[str, str, str]]:
    return [(record.time, record.message, record.correlation) for record in (*FIRST, *SECOND)]


def test_json_lines_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "feedback.jsonl"
    keep(path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [tuple(line.values()) for line in lines] == expected()
    assert list(lines[0]) == ["time", "message", "correlation"]


def test_csv_has_one_row_of_headings(tmp_path: Path) -> None:
    path = tmp_path / "feedback.CSV"
    keep(path)
    with path.open(newline="") as file:
        rows = [tuple(row) for row in csv.reader(file)]
    assert rows == [("time", "message", "correlation"), *expected()]


def test_sqlite_keeps_a_table_that_others_can_read_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "feedback.sqlite"
    keep(path)
    with open_sink(str(path)) as sink:
        sink.store(FIRST)
        database = sqlite3.connect(path)
        assert database.execute("SELECT time, message, correlation FROM feedback").fetchall()[:3] == expected()
        assert database.execute("SELECT count(*) FROM feedback").fetchone() == (4,)
        database.close()


def test_a_file_that_cannot_be_written_is_to_be_another(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"cannot be written: No such file or directory\. Choose another --output"):
        open_sink(str(tmp_path / "none" / "a.jsonl"))


def test_nothing_is_kept_where_no_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_sink("") as sink:
        sink.store(FIRST)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"\.jsonl, \.csv, \.sqlite"):
        open_sink(str(tmp_path / "feedback.txt"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="No such file or directory"):
        open_sink(str(tmp_path / "nowhere" / "feedback.csv"))
    (tmp_path / "broken.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(HostError, match="not a database"):
        open_sink(str(tmp_path / "broken.sqlite"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full stands for a full disk, and Linux has it")
def test_a_full_disk_is_a_message(tmp_path: Path) -> None:
    full = tmp_path / "feedback.jsonl"
    full.symlink_to("/dev/full")
    with (
        pytest.raises(HostError, match=r"^--output .*/feedback\.jsonl cannot be written: No space left"),
        open_sink(str(full)) as sink,
    ):
        sink.store(FIRST)
    headings = tmp_path / "feedback.csv"
    headings.symlink_to("/dev/full")
    with pytest.raises(HostError, match=r"feedback\.csv cannot be written: No space left"), open_sink(str(headings)):
        pass
