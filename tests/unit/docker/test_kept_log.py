"""What containers said that are no more."""

import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest

from stack.docker.container import Container
from stack.docker.engine import Engine
from tests.unit.docker.fake_engine import FakeEngine

ONE = Container("0123456789abcdef", "p-function-a-1", "image:1", "exited", "", "", "function-a", "", "", "", "a")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    (tmp_path / "state").mkdir()
    return Engine("p", tmp_path / "compose.yaml")


def say(fake: FakeEngine, container: str, text: str) -> None:
    """Have a container with a terminal say something."""
    fake.answer(f"/containers/{container}/json", {"Config": {"Tty": True}})
    fake.answer(f"/containers/{container}/logs", text.encode())


def test_what_a_container_said_is_kept_for_its_owner(fake: FakeEngine, engine: Engine) -> None:
    say(fake, ONE.id, "said\nlate\n")
    others = [replace(ONE, function=""), replace(ONE, state="created"), replace(ONE, function="../b")]
    engine.keep_logs([ONE, replace(ONE, id="unknown"), *others])
    (file,) = engine.kept_logs("a")
    head, *lines = file.read_text().splitlines()
    assert head.startswith("# p-function-a-1, of image:1, removed 2")
    assert lines == ["said", "late"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in engine.logs_folder.iterdir()] == ["a"]


def test_logs_are_bounded_in_size_and_number(fake: FakeEngine, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"{number}\n" for number in range(300_000))
    for number in range(7):
        moment = time.struct_time((2026, 1, 1, 0, 0, number, 3, 1, 0))
        monkeypatch.setattr(time, "gmtime", lambda *_, moment=moment: moment)
        say(fake, f"many{number}", text)
        engine.keep_logs([replace(ONE, id=f"many{number}")])
    kept = engine.kept_logs("a")
    assert any("tail=10000" in path for path in fake.asked)
    assert [path.stem.rpartition("-")[2] for path in kept] == [f"many{number}" for number in range(2, 7)]
    assert kept[-1].stat().st_size <= 1_000_200
    assert kept[-1].read_text().splitlines()[1].isdecimal()


def test_no_room_for_logs_is_no_failure(fake: FakeEngine, engine: Engine) -> None:
    say(fake, ONE.id, "said\n")
    engine.logs_folder.write_text("a file where the folder would be")
    engine.keep_logs([ONE])
