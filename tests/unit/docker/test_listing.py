"""Docker's own listing, and when it is not to be had."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stack.docker.container import list_containers, read_container
from stack.docker.engine import Engine

_LISTED: dict[str, Any] = {
    "Id": "abc", "Names": ["/p-function-f-1"], "Image": "i", "State": "running", "Status": "Up 3 minutes (healthy)",
    "Ports": [{"IP": "127.0.0.1", "PrivatePort": 8080, "PublicPort": 80, "Type": "tcp"}, {"PrivatePort": 1}],
    "Labels": {
        "com.docker.compose.service": "function-f",
        "com.docker.compose.project": "p",
        "com.docker.compose.config-hash": "h",
        "com.docker.compose.project.working_dir": "/w/.stack",
        "nuclio.io/function-name": "f",
    },
    "NetworkSettings": {"Networks": {"none": {"IPAddress": ""}, "p_default": {"IPAddress": "10.0.0.3"}}},
}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return where a docker that is Docker's own looks for its engine."""
    docker = tmp_path / "docker"
    docker.write_bytes(b"\x7fELF")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
    return str(tmp_path / "engine.sock")


@contextmanager
def answering(place: str, answer: bytes) -> Iterator[list[bytes]]:
    """Answer one question at a socket, and return what was asked."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(place)
        server.listen()
        thread = threading.Thread(target=_answer, args=(server, answer, asked))
        thread.start()
        yield asked
        thread.join()


def _answer(server: socket.socket, answer: bytes, asked: list[bytes]) -> None:
    connection, _ = server.accept()
    with connection:
        asked.append(connection.recv(4096))
        connection.sendall(answer)


def test_listing_says_what_the_command_line_says() -> None:
    container = read_container(_LISTED)
    assert (container.name, container.service, container.function) == ("p-function-f-1", "function-f", "f")
    assert (container.config_hash, container.folder) == ("h", "/w/.stack")
    assert container.is_ready
    assert container.address(8080) == "127.0.0.1:80"
    assert container.network_address == "10.0.0.3"
    cut_off = read_container({**_LISTED, "NetworkSettings": {"Networks": {}}})
    assert (cut_off.network_address, cut_off.condition, cut_off.is_ready) == ("", "cut off", False)


@pytest.mark.parametrize(
    ("service", "networks", "is_cut_off"),
    [
        ("function-f", ["p_default"], False),
        ("function-f", ["p_control"], True),
        ("dashboard", ["p_control"], False),
        ("scaler", ["p_default"], True),
        ("gateway", ["p_default", "p_control"], False),
        ("rabbitmq-mqtt", ["p_control"], True),
    ],
)
def test_each_service_has_its_networks(service: str, networks: list[str], is_cut_off: bool) -> None:
    labels = {**_LISTED["Labels"], "com.docker.compose.service": service}
    found = {"Networks": {name: {"IPAddress": f"10.0.0.{n}"} for n, name in enumerate(networks)}}
    container = read_container({**_LISTED, "Labels": labels, "NetworkSettings": found})
    assert container.is_cut_off is is_cut_off
    assert Engine("p", Path("compose.yaml")).address(container, networks[-1][2:]) == f"10.0.0.{len(networks) - 1}"


def test_containers_of_the_project_are_asked_for(place: str) -> None:
    with answering(place, b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps([_LISTED]).encode()) as asked:
        assert list_containers("p") == (read_container(_LISTED),)
    assert b"%22com.docker.compose.project%3Dp%22" in asked[0]


def test_what_docker_refuses_the_command_line_explains(place: str) -> None:
    with answering(place, b'HTTP/1.0 400 Bad Request\r\n\r\n{"message": "too old"}'):
        assert list_containers("p") is None


@pytest.mark.usefixtures("place")
def test_nobody_listens() -> None:
    assert list_containers("p") is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [("DOCKER_HOST", "ssh://user@machine"), ("DOCKER_HOST", "tcp://machine:2376"), ("DOCKER_CONTEXT", "far")],
)
def test_another_engine_is_the_command_line_s_matter(
    place: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(place)
        server.listen()
        server.settimeout(0)
        assert list_containers("p") is None
        with pytest.raises(BlockingIOError):
            server.accept()


def test_configuration_may_name_another_engine(place: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"currentContext": "far"}')
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(place)
        server.listen()
        assert list_containers("p") is None
