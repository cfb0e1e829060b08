import os
from pathlib import Path

from stack.run.function_snapshot import MentionReader
from stack.state.workspace import Workspace

_FILES = {"one": ["main.py", "notes.txt"]}


def _write(root: Path, text: str) -> Path:
    path = root / "functions" / "one" / "main.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_names_in_quotes_are_found(tmp_path: Path) -> None:
    _write(tmp_path, "a = 'iot/logs'\nb = \"iot/alerts\"\n# iot/other\n")
    (tmp_path / "functions" / "one" / "notes.txt").write_text("'iot/notes'")
    names = ["iot/logs", "iot/alerts", "iot/other", "iot/notes", "iot"]
    assert MentionReader(Workspace(tmp_path)).find(_FILES, names) == {"one": ["iot/logs", "iot/alerts"]}


def test_changed_file_is_read_again(tmp_path: Path) -> None:
    path = _write(tmp_path, "'a'")
    reader = MentionReader(Workspace(tmp_path))
    assert reader.find(_FILES, ["a", "b"]) == {"one": ["a"]}
    path.write_text("'b'")
    os.utime(path, ns=(1, 1))
    assert reader.find(_FILES, ["a", "b"]) == {"one": ["b"]}


def test_file_that_is_gone_names_nothing(tmp_path: Path) -> None:
    assert MentionReader(Workspace(tmp_path)).find({"gone": ["main.py"]}, ["a"]) == {"gone": []}
