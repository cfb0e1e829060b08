"""How a processor is known to the gateway: present when it takes requests, and gone before it does not."""

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.unit.processor.conftest import Start
from tests.unit.processor.running import wait_for

_ANSWER = b"HTTP/1.1 %d X\r\nContent-Length: 3\r\n\r\n{}\n"


class Gateway:
    """The gateway's control port, and what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.status = 200
        self.connections: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            while request := _receive(connection):
                self.told.append(request.split()[1].decode())
                connection.sendall(_ANSWER % self.status)


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except OSError:
        return b""


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    gateway = Gateway()
    monkeypatch.setitem(os.environ, "TIDEGATE_GATEWAY", gateway.address)
    yield gateway
    gateway.close()


WHO = f"tested/{socket.gethostname()}"


@pytest.mark.parametrize("workers", [1, 2])
def test_says_that_it_is_here_again_and_again_and_then_goodbye(start: Start, gateway: Gateway, workers: int) -> None:
    processor = start("answers", triggers={"web": {"kind": "http", "numWorkers": workers}})
    wait_for(lambda: len(gateway.told) > 2)
    assert set(gateway.told) == {f"/here/{WHO}"}
    assert len(gateway.connections) == 1
    processor.stop()
    assert gateway.told[-1] == f"/bye/{WHO}"


@pytest.mark.parametrize("workers", [1, 2])
def test_is_not_here_before_a_worker_is(start: Start, gateway: Gateway, workers: int) -> None:
    processor = start("init_fails", ready=False, triggers={"web": {"kind": "http", "numWorkers": workers}})
    processor.wait_for_log("init_context failed")
    assert gateway.told == []


@pytest.mark.parametrize("status", [200, 404, 503])
def test_comes_again_when_the_gateway_hangs_up_and_not_before(start: Start, gateway: Gateway, status: int) -> None:
    gateway.status = status
    start("answers")
    wait_for(lambda: len(gateway.told) > 2)
    assert len(gateway.connections) == 1
    gateway.connections[0].shutdown(socket.SHUT_RDWR)
    wait_for(lambda: len(gateway.connections) == 2)


def test_stops_without_delay_where_the_gateway_is_gone(start: Start, gateway: Gateway) -> None:
    processor = start("answers")
    wait_for(lambda: gateway.told)
    gateway.close()
    for connection in gateway.connections:
        connection.close()
    assert processor.stop() < 5
