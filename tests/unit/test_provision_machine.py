"""Where packages come from, and the key that vouches for them."""

import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from stack.errors import HostError
from stack.plan.provision import HOST, Machine, Source
from stack.plan.provision_step import RELEASES, Command, FileExists, Step
from stack.run.provision.machine import choose_source, find_problem
from stack.run.provision.provision import apply_step

BOOKWORM, TRIXIE = RELEASES[-2:]

MACHINE = Machine(
    release=TRIXIE,
    architecture="amd64",
    prefix=(),
    user="",
    installed=(),
    has_docker=False,
    has_systemd=False,
    has_apparmor=False,
)


def make_step(path: Path, url: str) -> Step:
    """A step that fetches a key."""
    command = Command(("install", "-m", "0644", "/dev/stdin", str(path)), url=url)
    return Step("fetch a key", "the test reads it", FileExists(PurePosixPath(path)), (command,))


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers /key with a key, /page with a page, /slow never, and nothing else."""

    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(20)
            return
        texts = {"/key": b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", "/page": b"<html>log in first</html>\n"}
        if self.path not in texts:
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(texts[self.path])

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_key_is_fetched(site: str, tmp_path: Path) -> None:
    path = tmp_path / "key.asc"
    apply_step(make_step(path, f"{site}/key"), yes=False)
    assert path.read_text() == "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"


@pytest.mark.parametrize(("page", "complaint"), [("/page", "something else than a key"), ("/none", "Not Found")])
def test_something_else_than_a_key(site: str, tmp_path: Path, page: str, complaint: str) -> None:
    path = tmp_path / "key.asc"
    with pytest.raises(HostError, match=complaint):
        apply_step(make_step(path, site + page), yes=False)
    assert not path.exists()


def test_a_site_that_answers(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_problem(f"{site}/page") == ""
    assert find_problem(f"{site}/none") == "Not Found"
    monkeypatch.setattr("stack.run.provision.machine._ANSWER_SECONDS", 0.3)
    assert "timed out" in find_problem(f"{site}/slow")
    assert "refused" in find_problem("http://127.0.0.1:9/")


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead every request to a proxy that is not there."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)


@pytest.mark.usefixtures("unreachable")
def test_auto_falls_back_and_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    assert choose_source("auto", MACHINE) is Source.DISTRO
    said = capfd.readouterr().err
    assert said.startswith(f"{HOST} does not answer (")
    assert said.endswith("so Debian 13's own Docker packages are used.\n")
    assert len(said.splitlines()) == 1


@pytest.mark.usefixtures("unreachable")
def test_auto_never_takes_packages_that_are_too_old() -> None:
    with pytest.raises(HostError, match=r"Debian 12's own Docker packages are too old\. Make it reachable"):
        choose_source("auto", replace(MACHINE, release=BOOKWORM, installed=("docker.io",)))


@pytest.mark.usefixtures("unreachable")
@pytest.mark.parametrize(
    ("installed", "source"), [(("docker-ce",), Source.DOCKER), (("docker.io", "runc"), Source.DISTRO)]
)
def test_auto_stays_with_what_is_there(installed: tuple[str, ...], source: Source) -> None:
    assert choose_source("auto", replace(MACHINE, installed=installed)) is source


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(HostError, match="--source snap: there is auto, docker and distro"):
        choose_source("snap", MACHINE)
