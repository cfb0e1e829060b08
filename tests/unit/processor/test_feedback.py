"""What the logger's handler writes: a line for each event, in files of which the oldest goes."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from nuclio_sdk import Event

from stack.contract import FEEDBACK_BYTES
from stack.processor import feedback
from stack.processor.feedback import LineFiles


def read(folder: Path) -> list[str]:
    return [line for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()]


def test_oldest_lines_go(tmp_path: Path) -> None:
    files = LineFiles(tmp_path, 1000)
    for number in range(500):
        files.append([f"{number:09}"])
    lines = read(tmp_path)
    assert lines == [f"{number:09}" for number in range(500 - len(lines), 500)]
    assert 900 <= sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1100
    # The next start goes on where this ends.
    LineFiles(tmp_path, 1000).append(["more"])
    assert read(tmp_path)[-2:] == [lines[-1], "more"]


def test_line_that_was_cut_off_takes_no_other_with_it(tmp_path: Path) -> None:
    files = LineFiles(tmp_path, 1000)
    files.append(["a"])
    (path,) = tmp_path.iterdir()
    path.write_text('a\n{"ti')
    files.append(["b"])
    assert read(tmp_path) == ["a", '{"ti', "b"]


def test_each_event_is_a_line_whatever_its_body(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback, "FEEDBACK_FOLDER", str(tmp_path))
    monkeypatch.setenv(FEEDBACK_BYTES, "1000000")
    context = SimpleNamespace(user_data=SimpleNamespace())
    feedback.init_context(context)
    bodies = [b"feedback 21.5", "text\nof two", b"\xff", {"a": 1}]
    assert feedback.handler(context, [Event(body=body) for body in bodies]) == []
    found = [json.loads(line) for line in read(tmp_path)]
    assert [one["message"] for one in found] == ["feedback 21.5", "text\nof two", "\ufffd", '{"a": 1}']
    assert all(one["time"].endswith("+00:00") for one in found)
