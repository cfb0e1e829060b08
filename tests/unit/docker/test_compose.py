"""Which program Compose is called by."""

from pathlib import Path

import pytest

from stack.docker import compose
from stack.docker.compose import find_command

_PROGRAM = b"\x7fELF"
_BY_DOCKER = ["docker", "compose"]


@pytest.fixture(autouse=True)
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a plugin, on a machine with docker and nothing else."""
    monkeypatch.setattr(compose, "_FOLDERS", (str(tmp_path / "usr" / "cli-plugins"),))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "own"))
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    _write(tmp_path / "bin" / "docker")
    return _write(tmp_path / "usr" / "cli-plugins" / "docker-compose")


def _write(path: Path, content: bytes = _PROGRAM) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def test_only_plugin_is_called_itself(plugin: Path) -> None:
    assert find_command() == [str(plugin)]


def test_docker_chooses_between_two(tmp_path: Path) -> None:
    _write(tmp_path / "own" / "cli-plugins" / "docker-compose")
    assert find_command() == _BY_DOCKER


def test_docker_knows_where_its_configuration_leads(tmp_path: Path) -> None:
    _write(tmp_path / "own" / "config.json", b'{"cliPluginsExtraDirs": ["/opt"]}')
    assert find_command() == _BY_DOCKER


def test_docker_knows_where_its_context_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    assert find_command() == _BY_DOCKER


def test_a_script_called_docker_may_lead_elsewhere(tmp_path: Path) -> None:
    _write(tmp_path / "bin" / "docker", b'#!/bin/sh\nexec sudo /usr/bin/docker "$@"\n')
    assert find_command() == _BY_DOCKER


def test_docker_under_another_name_may_lead_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "bin" / "docker").unlink()
    (tmp_path / "bin" / "docker").symlink_to(_write(tmp_path / "bin" / "snap"))
    assert find_command() == _BY_DOCKER


def test_a_plugin_that_is_a_script_is_docker_s_matter(plugin: Path) -> None:
    plugin.write_bytes(b"#!/bin/sh\n")
    assert find_command() == _BY_DOCKER


def test_without_plugin_docker_says_so(plugin: Path) -> None:
    plugin.unlink()
    assert find_command() == _BY_DOCKER
