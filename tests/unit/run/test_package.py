"""A package that is asked for, with programs in the place of the system's."""

import os
from pathlib import Path

import pytest

from stack.errors import HostError
from stack.run.provision.machine import install_package


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def write_program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def test_package_is_installed_from_a_fresh_list(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    write_program(programs / "apt-get", f'echo "$DEBIAN_FRONTEND $*" >>{programs}/calls')
    install_package("wrk", "makes the load")
    assert (programs / "calls").read_text().splitlines() == [
        "noninteractive update --quiet=2",
        "noninteractive install --quiet=2 --yes --no-install-recommends wrk",
    ]


@pytest.mark.parametrize("user", [0, 1000])
def test_what_cannot_be_installed_is_told_with_what_to_type(
    programs: Path, monkeypatch: pytest.MonkeyPatch, user: int
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    write_program(programs / "apt-get", "exit 100")
    write_program(programs / "sudo", '"$@"')
    with pytest.raises(HostError) as failure:
        install_package("wrk", "makes the load")
    typed = "sudo apt-get update --quiet=2" if user else "apt-get update --quiet=2"
    assert str(failure.value) == f"wrk, which makes the load, could not be installed. To see why, type: {typed}"
