"""A session with a broker that is a few lines: some messages at once, and nothing more."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.process.processor.conftest import Start
from tests.process.processor.running import PATIENCE

_CONNECT, _SUBSCRIBE, _PUBACK = 0x10, 0x80, 0x40


def publish(packet_id: int) -> bytes:
    """Return a message of QoS 1: the topic "t", the packet id, the payload "x"."""
    return b"\x32\x06\x00\x01t" + packet_id.to_bytes(2) + b"x"


class Broker:
    """Sends messages to the client that subscribes, all at once, and notes when all are acknowledged."""

    def __init__(self, listener: socket.socket, messages: int) -> None:
        self.acknowledged = threading.Event()
        self._expected = [number.to_bytes(2) for number in range(1, messages + 1)]
        self._listener = listener
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        messages = b"".join(publish(number) for number in range(1, len(self._expected) + 1))
        found: list[bytes] = []
        with connection, connection.makefile("rb") as reader:
            while head := reader.read(2):
                kind, rest = head[0] & 0xF0, reader.read(head[1])
                if kind == _CONNECT:
                    connection.sendall(b"\x20\x02\x00\x00")
                elif kind == _SUBSCRIBE:
                    connection.sendall(b"\x90\x03" + rest[:2] + b"\x01" + messages)
                elif kind == _PUBACK:
                    found.append(rest)
                    if found == self._expected:
                        self.acknowledged.set()


@contextmanager
def open_broker(messages: int) -> Iterator[tuple[Broker, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Broker(listener, messages), listener.getsockname()[1]


def used_seconds(process: int) -> float:
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / 100


@pytest.mark.parametrize("messages", [1, 30])
def test_a_session_rests_once_all_messages_are_acknowledged(start: Start, messages: int) -> None:
    with open_broker(messages) as (broker, port):
        trigger = {
            "kind": "mqtt",
            "url": f"mqtt://127.0.0.1:{port}",
            "attributes": {"subscriptions": [{"topic": "t", "qos": 1}]},
        }
        (worker,) = start("echo", triggers={"topic": trigger}).workers()
        assert broker.acknowledged.wait(PATIENCE)
        before = used_seconds(worker)
        time.sleep(1)
        assert used_seconds(worker) - before < 0.2


def test_who_is_not_let_in_waits_longer_each_time(start: Start) -> None:
    """What answers is no MQTT broker: the connection is open for a moment each time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        times: list[float] = []
        seen = threading.Event()

        def serve() -> None:
            while len(times) < 5:
                connection, _ = listener.accept()
                times.append(time.monotonic())
                with connection:
                    connection.recv(1)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            seen.set()

        threading.Thread(target=serve, daemon=True).start()
        attributes = {"subscriptions": [{"topic": "t"}]}
        url = f"mqtt://127.0.0.1:{listener.getsockname()[1]}"
        start("echo", ready=False, triggers={"topic": {"kind": "mqtt", "url": url, "attributes": attributes}})
        assert seen.wait(PATIENCE)
        # 0.2 s, and twice as long each time, less a quarter by chance; a machine that is busy only adds to that.
        assert times[4] - times[0] > 2
