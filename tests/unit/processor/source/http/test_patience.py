"""Clients that take too long, by time-outs shorter than the real ones."""

import socket
import time
from collections.abc import Iterator

import pytest

from stack.processor.attributes import Attributes
from stack.processor.configuration import Trigger
from stack.processor.delivery import DeliveryQueue
from stack.processor.response import refuse
from stack.processor.source.http import connection
from stack.processor.source.http.source import HttpSource
from stack.processor.stats import WorkerStats
from stack.processor.status import SourceReport
from tests.process.processor.running import wait_for


@pytest.fixture
def queue() -> DeliveryQueue:
    return DeliveryQueue()


@pytest.fixture
def source(queue: DeliveryQueue, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpSource]:
    """A source whose clients must hurry."""
    for name in ("_HEAD_TIMEOUT", "_BODY_TIMEOUT", "_IDLE_TIMEOUT"):
        monkeypatch.setattr(connection, name, 1.0)
    # Long enough for a client that a busy machine keeps from reading.
    monkeypatch.setattr(connection, "_LINGER_TIMEOUT", 5.0)
    trigger = Trigger("web", "http", 1, "", "", "", Attributes("a", {}), 1.0, 1.0)
    with socket.create_server(("127.0.0.1", 0)) as port:
        states: list[str] = []
        source = HttpSource(
            trigger, [port], queue, SourceReport(lambda state, _reason: states.append(state), WorkerStats())
        )
        # A request waits for the test as long as that needs, also on a busy machine.
        source._patience = 60.0
        source.start()
        wait_for(lambda: states)
        yield source
        source.stop()
        source.close(5.0)


@pytest.fixture
def address(source: HttpSource) -> tuple[str, int]:
    host, port = source._ports[0].getsockname()
    return host, port


def send_and_read(address: tuple[str, int], data: bytes) -> tuple[bytes, float]:
    """Return all that comes until the source closes the connection, and the seconds that it took."""
    began = time.monotonic()
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(data)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    return answer, time.monotonic() - began


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX-Slow", b"HTTP/1.1 408 Request Timeout\r\n"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc", b"HTTP/1.1 408 Request Timeout\r\n"),
    ],
)
def test_client_that_dawdles_is_left(address: tuple[str, int], data: bytes, answer: bytes) -> None:
    found, seconds = send_and_read(address, data)
    assert found.startswith(answer)
    assert bool(found) == bool(answer)
    assert seconds > 0.7


def test_request_that_comes_in_a_pause_of_the_process_still_waits_for_a_worker(
    address: tuple[str, int], queue: DeliveryQueue, source: HttpSource
) -> None:
    def pause() -> None:
        # Longer than a client waits, as where the machine, or a limit of the container, stops the process.
        source.now -= 2 * source._patience
        time.sleep(0.5)

    with socket.create_connection(address, timeout=10) as client:
        client.sendall(b"GET /__internal/health HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        source._loop.call_soon_threadsafe(pause)
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        delivery = queue.get()
        assert delivery is not None and delivery.claim()
        delivery.done(refuse(200, "fine"))
        source.flush()
        assert client.recv(65536).endswith(b"fine")


def test_request_being_handled_may_take_longer(address: tuple[str, int], queue: DeliveryQueue) -> None:
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        delivery = queue.get()
        assert delivery is not None and delivery.claim()
        time.sleep(1.5)
        delivery.done(refuse(200, "late"))
        delivery.connection.source.flush()  # type: ignore[attr-defined]
        assert client.recv(65536).endswith(b"late")
        assert client.recv(1) == b""


def test_body_that_trickles_is_left(address: tuple[str, int]) -> None:
    began = time.monotonic()
    with socket.create_connection(address, timeout=10) as client:
        client.settimeout(0.1)
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n")
        answer = b""
        while not answer and time.monotonic() - began < 8:
            client.sendall(b"a")
            try:
                answer = client.recv(65536)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    # Each byte was in time; all together are not.
    assert time.monotonic() - began > 0.7


def test_body_that_comes_fast_enough_may_take_longer(
    address: tuple[str, int], queue: DeliveryQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine may keep the test from sending for a while.
    monkeypatch.setattr(connection, "_BODY_TIMEOUT", 3.0)
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 80000\r\n\r\n")
        for _ in range(20):
            client.sendall(b"a" * 4000)
            time.sleep(0.2)
        delivery = queue.get()
        assert delivery is not None and delivery.claim()
        delivery.done(refuse(200, ""))
