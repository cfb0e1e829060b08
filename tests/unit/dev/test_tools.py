"""What tests need is installed once for each lock."""

import shlex
import subprocess
from pathlib import Path

import pytest

from stack.dev import check as tools
from stack.dev.check import install_packages, install_test_tools
from stack.errors import HostError


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that would run; one whose lock says `broken` fails."""
    calls: list[str] = []

    def run(command: tuple[str, ...], **_: object) -> None:
        calls.append(shlex.join(command))
        if "broken" in Path(command[-1]).read_text():
            raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_packages_are_installed_again_when_the_lock_changes(tmp_path: Path, calls: list[str]) -> None:
    lock = tmp_path / "requirements.lock"
    for text in ("one", "one", "two", "two"):
        lock.write_text(text)
        install_packages(lock, tmp_path)
    assert len(calls) == 2
    assert calls[0].endswith(f"install --require-hashes --requirement {lock}")


def test_packages_that_could_not_be_installed_are_tried_again(tmp_path: Path, calls: list[str]) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("broken")
    for _ in range(2):
        with pytest.raises(HostError, match=r"could not be installed\. To see why, type: .* -m pip "):
            install_packages(lock, tmp_path)
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("browser", "node", "there", "wanted"),
    [
        (True, False, None, ["chromium", "passt"]),
        (True, True, "/bin/x", []),
        (False, True, None, ["nodejs"]),
        (False, False, None, []),
    ],
)
def test_chromium_and_node_come_where_they_are_wanted(
    monkeypatch: pytest.MonkeyPatch, *, browser: bool, node: bool, there: str | None, wanted: list[str]
) -> None:
    installed: list[str] = []
    monkeypatch.setattr(tools, "install_packages", lambda lock, environment: None)
    monkeypatch.setattr(tools, "install_package", lambda name, purpose: installed.append(name))
    monkeypatch.setattr("shutil.which", lambda name: there)
    install_test_tools(browser=browser, node=node)
    assert installed == wanted


def test_browser_goes_without_a_network_of_its_own_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, purpose: str) -> None:
        raise HostError(f"{name}, which {purpose}, could not be installed.")

    monkeypatch.setattr(tools, "install_packages", lambda lock, environment: None)
    monkeypatch.setattr(tools, "install_package", refuse)
    monkeypatch.setattr("shutil.which", lambda name: None if name == "pasta" else "/bin/x")
    install_test_tools(browser=True)


def test_what_devices_run_comes_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[str] = []
    monkeypatch.setattr(tools, "install_packages", lambda lock, environment: None)
    monkeypatch.setattr(tools, "install_package", lambda name, purpose: installed.append(name))
    monkeypatch.setattr("shutil.which", lambda name: None if name == "micropython" else "/bin/x")
    install_test_tools(browser=False, devices=True)
    assert installed == ["micropython"]
