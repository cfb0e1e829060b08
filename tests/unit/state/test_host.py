"""This machine: ports, space, certificates, apt's archive."""

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.config.settings import Images, Settings
from stack.errors import HostError
from stack.state.host import check_ports, check_space, find_ca, processor_digest, read_archive


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@pytest.fixture
def free(taken: int) -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_free_ports(free: int) -> None:
    check_ports("127.0.0.1", [("ports.amqp", free)])


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_ports_in_use_are_named(address: str, taken: int, free: int) -> None:
    with pytest.raises(HostError) as caught:
        check_ports(address, [("ports.amqp", free), ("ports.mqtt", taken)])
    assert str(caught.value).startswith(f"Port {taken} (ports.mqtt) on {address} is in use by another program.")
    assert str(free) not in str(caught.value)


def test_port_for_root_alone_is_docker_s_affair(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    check_ports("127.0.0.1", [("ports.gateway", 80)])


def test_address_of_another_machine() -> None:
    with pytest.raises(HostError, match=r"^stack\.yaml: bind: this machine has no address 192\.0\.2\.1\. `ip "):
        check_ports("192.0.2.1", [])


def test_space(tmp_path: Path) -> None:
    check_space(str(tmp_path), 0.001)
    check_space(str(tmp_path / "not" / "there"), 0.001)
    with pytest.raises(HostError, match=r"^Only .* GB are free under .*, and 1e\+06 GB are needed\. `docker system"):
        check_space(str(tmp_path), 10**6)


def test_certificates_are_as_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    assert find_ca(Settings()) is None
    told, own = tmp_path / "told.pem", tmp_path / "own.pem"
    monkeypatch.setenv("CURL_CA_BUNDLE", str(told))
    assert find_ca(Settings()) is None
    told.touch()
    assert find_ca(Settings()) == told
    with pytest.raises(HostError, match=r"images\.ca: there is no file .*own\.pem"):
        find_ca(Settings(images=Images(ca=str(own))))
    own.touch()
    assert find_ca(Settings(images=Images(ca=str(own)))) == own


def test_processors_digest_is_stable() -> None:
    assert processor_digest() == processor_digest()


RELEASE = "ID=ubuntu\nVERSION_CODENAME=noble\n"
TARGETS = """\
http://archive/ubuntu/ noble main
http://archive/ubuntu/ noble universe
http://archive/ubuntu/ noble universe
http://archive/ubuntu/ noble multiverse
http://archive/ubuntu/ noble-updates main
http://ppa/ubuntu/ jammy main
http://docker/ubuntu noble stable
file:/media/ noble main
"""


def fake_apt(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Another release's apt, which this machine does not have."""
    (folder / "targets").write_text(TARGETS)
    (folder / "apt-get").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"VERSION_CODENAME": "noble"})


def test_archive_leaves_third_parties_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_apt(tmp_path, monkeypatch, f"cat {tmp_path}/targets")
    archive = read_archive()
    assert archive.codename == "noble"
    assert archive.sources == (
        "deb http://archive/ubuntu/ noble main",
        "deb http://archive/ubuntu/ noble universe",
        "deb http://archive/ubuntu/ noble-updates main",
    )


@pytest.mark.parametrize(
    ("script", "message"),
    [("exit 100", "apt-get does not answer"), ("true", r"apt knows no sources for noble; see /etc/apt")],
)
def test_archive_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str) -> None:
    fake_apt(tmp_path, monkeypatch, script)
    with pytest.raises(HostError, match=message):
        read_archive()


@pytest.mark.skipif(not Path("/usr/bin/apt-get").is_file(), reason="this system has no apt")
def test_archive_of_this_machine() -> None:
    archive = read_archive()
    assert archive.codename
    assert all(line.startswith("deb ") and archive.codename in line for line in archive.sources)
