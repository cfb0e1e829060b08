"""Messages that were in progress when the whole container ended, as its next start finds them."""

import subprocess
import sys
from pathlib import Path

import pytest

from stack.processor.in_flight import MEMORY_BYTES, MOST_DEATHS, CrashFiles, InFlight, fingerprint_message


def live(folder: Path, *held: int, released: int = 0) -> tuple[int, ...]:
    """Start, take messages, and end at once; return which messages are to blame."""
    files = CrashFiles(folder)
    for mark in held:
        in_flight = InFlight(memory=files.open_memory(MEMORY_BYTES))
        in_flight.hold(mark)
        in_flight.hold(99)
        in_flight.release()
    for _ in range(released):
        in_flight.release()
    return files.attributed


def test_message_that_was_in_progress_at_each_end_is_to_blame(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    assert [live(folder, 7, 8 + number) for number in range(MOST_DEATHS)] == [()] * MOST_DEATHS
    assert live(folder, 5) == (7,)
    assert live(folder) == (7,)


def test_message_that_was_done_is_not(tmp_path: Path) -> None:
    for _ in range(MOST_DEATHS + 1):
        assert live(tmp_path, 7, released=1) == ()


def test_what_happened_long_ago_counts_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        monkeypatch.setattr("time.time", lambda number=number: 4000.0 * number)
        assert live(tmp_path, 7) == ()


@pytest.mark.parametrize("text", ["", "{", "{}", "[1]", '[["a", [1, 2]]]', "null"])
def test_file_that_cannot_be_read_says_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "deaths.json").write_text(text)
    (tmp_path / "marks-0").write_bytes(b"odd")
    assert live(tmp_path, 7) == ()


def test_nothing_is_kept_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert live(tmp_path / "file" / "below", 7) == ()
    assert len(CrashFiles(None).open_memory(64)) == 64


def test_every_process_gives_a_message_the_same_mark() -> None:
    program = (
        "from stack.processor.in_flight import fingerprint_message; print(fingerprint_message('k\\udc80', b'body'))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert int(told) == fingerprint_message("k\udc80", b"body")
