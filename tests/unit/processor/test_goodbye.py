"""How the http source takes its leave: whoever has connected is answered."""

import http.client
import socket
import threading
import time

import pytest

from tests.unit.processor.conftest import Start
from tests.unit.processor.running import Processor, wait_for


class Client(threading.Thread):
    """Asks on new connections without a pause until it is refused, and keeps what was no answer."""

    def __init__(self, processor: Processor) -> None:
        super().__init__()
        self.answers = 0
        self.errors: list[Exception] = []
        self._processor = processor
        self.start()

    def run(self) -> None:
        while not self.errors:
            try:
                assert self._processor.ask("/text").status == 200
                self.answers += 1
            except (OSError, http.client.HTTPException) as error:
                self.errors.append(error)


@pytest.mark.parametrize("workers", [1, 2])
def test_clients_are_answered_or_refused_and_never_cut_off(start: Start, workers: int) -> None:
    triggers = {"web": {"kind": "http", "numWorkers": workers}, "idle": {"kind": "rabbit-mq", "url": "amqp://h:1"}}
    processor = start("answers", ready=False, triggers=triggers)
    wait_for(lambda: accepts(processor))
    clients = [Client(processor) for _ in range(8)]
    wait_for(lambda: all(client.answers > 10 for client in clients))
    processor.stop()
    for client in clients:
        client.join()
    assert [type(client.errors[0]) for client in clients] == [ConnectionRefusedError] * 8


def test_connections_in_the_queue_are_served_and_then_closed(start: Start) -> None:
    processor = start("slow")
    early = [processor.connect() for _ in range(20)]
    processor.process.terminate()
    time.sleep(0.05)
    late = [processor.connect() for _ in range(20)]
    for client in early + late:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    for client in early + late:
        answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 ") and b"Connection: close" in answer
        assert client.recv(1) == b""
        client.close()


def test_connection_that_asks_nothing_does_not_hold_up_the_end(start: Start) -> None:
    processor = start("echo")
    with processor.connect() as silent, processor.connect() as kept:
        kept.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert kept.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert processor.stop() < 1.0
        assert (silent.recv(1), kept.recv(1)) == (b"", b"")


def accepts(processor: Processor) -> bool:
    try:
        socket.create_connection(("127.0.0.1", processor.port), timeout=1).close()
    except OSError:
        return False
    return True
