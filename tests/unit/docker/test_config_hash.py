"""What is remembered of Compose's hashes."""

from pathlib import Path

import pytest

from stack.docker import compose
from stack.docker.compose import HashMemory, make_key


def test_hashes_are_recalled_by_their_key(tmp_path: Path) -> None:
    memory = HashMemory(tmp_path / "state" / "hashes.json")
    assert memory.recall("a") is None
    memory.remember("a", {"gateway": "1"})
    assert HashMemory(tmp_path / "state" / "hashes.json").recall("a") == {"gateway": "1"}
    assert memory.recall("b") is None


def test_compose_is_asked_once(tmp_path: Path) -> None:
    memory, answers = HashMemory(tmp_path / "hashes.json"), ["gateway 1\nfunction-a 2\n"]
    assert memory.find("a", answers.pop) == memory.find("a", answers.pop) == {"gateway": "1", "function-a": "2"}


def test_oldest_are_forgotten(tmp_path: Path) -> None:
    memory = HashMemory(tmp_path / "hashes.json")
    for key in "abcabde":
        memory.remember(key, {"gateway": key})
    assert [key for key in "abcde" if memory.recall(key)] == ["a", "b", "d", "e"]


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_broken_memory_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hashes.json"
    path.write_text(text)
    assert HashMemory(path).recall("a") is None
    HashMemory(path).remember("a", {})
    assert HashMemory(path).recall("a") == {}


def test_key_tells_files_commands_and_releases_of_compose_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compose, "_FOLDERS", (str(tmp_path),))
    keys = [make_key(["compose"], b"a"), make_key(["compose"], b"b"), make_key(["other"], b"a")]
    (tmp_path / "docker-compose").write_text("a newer one")
    keys.append(make_key(["compose"], b"a"))
    assert len(set(keys)) == 4
    assert make_key(["compose"], b"a") == keys[-1]
