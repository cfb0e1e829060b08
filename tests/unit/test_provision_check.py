"""The checks of provisioning, against real files and processes."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from stack.plan.provision import HOST, RECENT
from stack.plan.provision_step import (
    AnyOf,
    DockerIsRecent,
    FileExists,
    PackagesAbsent,
    PackagesInstalled,
    PidIsOf,
    SourceListed,
    UserInGroup,
)
from stack.run.provision.machine import find_installed, holds, parse_version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Docker version 26.1.5+dfsg1, build 411e817", (26, 1, 5)),
        ("v2.26.1-4", (2, 26, 1)),
        ("github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3", (0, 13, 1)),
        ("29.0", (29, 0)),
        ("", ()),
    ],
)
def test_version(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("engine", "compose", "recent"),
    [("26.1.5", "2.26.1", True), ("25.0.0", "2.20.2", True), ("24.0.7", "2.26.1", False), ("29.1.3", "1.29.2", False)],
)
def test_docker_is_recent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, compose: str, recent: bool
) -> None:
    program = tmp_path / "docker"
    program.write_text(
        "#!/bin/sh\n"
        f'case "$1 $2" in "version --format") echo {engine};; "compose version") echo {compose};; '
        '"buildx version") echo github.com/docker/buildx v0.13.1;; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert holds(RECENT) is recent
    program.unlink()
    assert not holds(DockerIsRecent(engine="0.1", compose="99.0"))


def test_packages() -> None:
    assert find_installed(("dpkg", "no-such-package")) == ("dpkg",)
    assert holds(PackagesInstalled(("dpkg", "apt")))
    assert not holds(PackagesInstalled(("dpkg", "no-such-package")))
    assert holds(PackagesAbsent(("no-such-package",)))
    assert not holds(PackagesAbsent(("no-such-package", "dpkg")))


def test_any_of(tmp_path: Path) -> None:
    here, gone = FileExists(PurePosixPath(tmp_path)), FileExists(PurePosixPath(tmp_path / "gone"))
    assert holds(AnyOf((gone, here)))
    assert not holds(AnyOf((gone, gone)))


def test_group() -> None:
    assert holds(UserInGroup("root", "root"))
    assert not holds(UserInGroup("root", "no-such-group"))
    assert not holds(UserInGroup("no-such-user", "root"))


def test_apt_source(tmp_path: Path) -> None:
    wanted = SourceListed(PurePosixPath(tmp_path / "docker.sources"), f"URIs: https://{HOST}/linux/debian\n", HOST)
    assert not holds(wanted)
    (tmp_path / "docker.sources").write_text("URIs: https://elsewhere\n")
    assert not holds(wanted)
    (tmp_path / "docker.sources").write_text(wanted.content)
    assert holds(wanted)


@pytest.mark.parametrize(
    ("name", "text", "listed"),
    [
        ("old.list", f"deb [signed-by=/k] https://{HOST}/linux/debian trixie stable\n", True),
        ("old.list", f"# deb [signed-by=/k] https://{HOST}/linux/debian trixie stable\n", False),
        ("old.sources", f"Types: deb\nURIs: https://{HOST}/linux/debian\n", True),
        ("old.sources", f"Enabled: no\nTypes: deb\nURIs: https://{HOST}/linux/debian\n", False),
        ("old.list.distUpgrade", f"deb https://{HOST}/linux/debian trixie stable\n", False),
    ],
)
def test_apt_source_of_another_file(tmp_path: Path, name: str, text: str, listed: bool) -> None:
    (tmp_path / name).write_text(text)
    assert holds(SourceListed(PurePosixPath(tmp_path / "docker.sources"), "Types: deb\n", HOST)) is listed


def test_pid_file(tmp_path: Path) -> None:
    path = tmp_path / "engine.pid"
    check = PidIsOf(PurePosixPath(path), "sleep")
    assert holds(check)
    for leftover in ("", "none", "999999999", str(os.getpid())):
        path.write_text(leftover)
        assert not holds(check)
    with subprocess.Popen(("sleep", "60")) as process:
        path.write_text(f"{process.pid}\n")
        assert wait_until(lambda: holds(check))
        process.kill()
        assert wait_until(lambda: not holds(check)), "a process that has ended, unnoticed by its parent, counts as gone"


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
