"""What containers said that are no more, with a `docker logs` of the test's own."""

import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest

from stack.docker.container import Container
from stack.docker.kept_log import find_kept_logs, keep_logs

ONE = Container("0123456789abcdef", "p-function-a-1", "image:1", "exited", "", "", "function-a", "", "", "", "a")


@pytest.fixture(autouse=True)
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Print for each container its id and a number of lines; of one it knows nothing."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\ncase "$5" in unknown*) exit 1;; many*) seq 1 300000;; *) echo "said by $5"; echo late >&2;; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return program


def test_what_a_container_said_is_kept_for_its_owner(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    others = [replace(ONE, function=""), replace(ONE, state="created"), replace(ONE, function="../b")]
    keep_logs(folder, [ONE, replace(ONE, id="unknown"), *others])
    (file,) = find_kept_logs(folder, "a")
    head, *lines = file.read_text().splitlines()
    assert head.startswith("# p-function-a-1, of image:1, removed 2")
    assert lines == ["said by 0123456789abcdef", "late"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["a"]


def test_logs_are_bounded_in_size_and_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "logs"
    for number in range(7):
        moment = time.struct_time((2026, 1, 1, 0, 0, number, 3, 1, 0))
        monkeypatch.setattr(time, "gmtime", lambda *_, moment=moment: moment)
        keep_logs(folder, [replace(ONE, id=f"many{number}")])
    kept = find_kept_logs(folder, "a")
    assert [path.stem.rpartition("-")[2] for path in kept] == [f"many{number}" for number in range(2, 7)]
    assert kept[-1].stat().st_size <= 1_000_200
    assert kept[-1].read_text().splitlines()[1].isdecimal()


def test_no_room_for_logs_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder would be")
    keep_logs(tmp_path / "logs", [ONE])
