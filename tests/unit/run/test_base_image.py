"""The base image that is made while Docker is being installed, by programs of the tests' own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stack.plan.image import Archive, debian_image, find_registry
from stack.run.provision import base_image
from stack.run.provision.base_image import base_begun

ARCHIVE = Archive("trixie", ("deb http://deb.example trixie main",))
SETTINGS = "images: {{source: {}}}\n"

Program = Callable[[str, str], Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Write a program that stands first in PATH; its folder has what it notes."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("TIDEGATE_WORKSPACE", str(tmp_path))
    monkeypatch.setattr(base_image, "read_archive", lambda: ARCHIVE)
    monkeypatch.setattr(base_image, "is_reachable", lambda url: url != "https://registry-1.docker.io/v2/")
    (tmp_path / "stack.yaml").write_text(SETTINGS.format("auto"))

    def write(name: str, script: str) -> Path:
        path = folder / name
        path.write_text(f'#!/bin/sh\nhere="{folder}"\n{script}\n')
        path.chmod(0o755)
        return folder

    return write


def test_what_it_writes_is_given_to_docker(program: Program, capfd: pytest.CaptureFixture[str]) -> None:
    program("mmdebstrap", 'echo "$@" >"$here/asked"; echo tar')
    folder = program("docker", 'echo "$@" >"$here/told"; cat >"$here/tar"; echo sha256:1')
    with base_begun(()) as base:
        assert base
        base.finish()
    assert (folder / "asked").read_text().endswith(f" trixie - {ARCHIVE.sources[0]}\n")
    assert (folder / "told").read_text() == f'import --change CMD ["bash"] - {debian_image(ARCHIVE)}\n'
    assert (folder / "tar").read_text() == "tar\n"
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Building a base image from the packages of trixie: ")
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize(("maker", "docker"), [("exit 1", "cat"), ("echo tar", "cat; exit 1")])
def test_that_it_cannot_be_made_stops_nothing(
    program: Program, capfd: pytest.CaptureFixture[str], maker: str, docker: str
) -> None:
    program("mmdebstrap", maker)
    program("docker", docker)
    with base_begun(()) as base:
        assert base
        base.finish()
    assert capfd.readouterr().err.endswith("\nThat was not possible; `up` tries it again, and says why if it fails.\n")


def test_it_ends_with_what_it_was_begun_for(program: Program) -> None:
    program("mmdebstrap", "exec sleep 60")
    found = []
    with pytest.raises(KeyboardInterrupt), base_begun(()) as base:
        assert base
        found.append(base.process)
        raise KeyboardInterrupt
    assert found[0].poll() is not None


@pytest.mark.parametrize(
    "settings", [SETTINGS.format("registry"), "images: {mirror: mirror.example/}\n", "nonsense: 1\n"]
)
def test_it_is_not_begun_where_it_may_not_be_needed(program: Program, tmp_path: Path, settings: str) -> None:
    """Where a registry answers or is told to be used, and where the settings are wrong, which is told elsewhere."""
    (tmp_path / "stack.yaml").write_text(settings)
    folder = program("mmdebstrap", 'touch "$here/asked"')
    with base_begun(()) as base:
        assert base is None
    assert not (folder / "asked").exists()


@pytest.mark.parametrize(
    ("name", "registry"),
    [
        ("rabbitmq:4.3-management", "registry-1.docker.io"),
        ("library/rabbitmq:4.3", "registry-1.docker.io"),
        ("quay.io/some/rabbitmq:4", "quay.io"),
        ("localhost/rabbitmq", "localhost"),
        ("mirror:5000/rabbitmq:4", "mirror:5000"),
    ],
)
def test_registry_of_an_image(name: str, registry: str) -> None:
    assert find_registry(name) == registry
