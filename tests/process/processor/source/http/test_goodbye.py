"""How the http source ends: each client that has connected is answered."""

import http.client
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.process.processor.conftest import Start
from tests.process.processor.running import AT_ONCE, Processor, wait_for

# Seconds in which one who has connected should have asked when the port closes; the processor hears him for 0.25.
HEARD = 0.2


class Gateway:
    """Asks the processor how it is, as the gateway does, and has clients ask on new connections while it is well.

    What the machine kept them from asking in time is not kept.
    """

    def __init__(self, processor: Processor, clients: int = 8) -> None:
        self.answers = 0
        self.errors: list[Exception] = []
        self.is_open = True
        self._processor = processor
        self._threads = [threading.Thread(target=run) for run in (self._check, *[self._ask] * clients)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _check(self) -> None:
        while self._processor.health("/ready?gateway").status == 200:
            time.sleep(0.05)
        self.is_open = False

    def _ask(self) -> None:
        while self.is_open:
            began = time.monotonic()
            try:
                assert self._processor.ask("/text").status == 200
                self.answers += 1
            except ConnectionRefusedError:
                # The gateway asks another container.
                return
            except (OSError, http.client.HTTPException) as error:
                if time.monotonic() - began < HEARD:
                    self.errors.append(error)


@pytest.mark.parametrize("workers", [1, 2])
def test_no_request_fails_that_is_sent_until_the_gateway_knows(start: Start, workers: int) -> None:
    processor = start("answers", triggers={"web": {"kind": "http", "numWorkers": workers}})
    gateway = Gateway(processor)
    wait_for(lambda: gateway.answers > 100)
    processor.stop()
    gateway.join()
    assert gateway.errors == []


class Client(threading.Thread):
    """Asks on new connections without a pause until it is refused, and keeps what was no answer.

    What the machine kept it from asking in time is not kept.
    """

    def __init__(self, processor: Processor) -> None:
        super().__init__()
        self.answers = 0
        self.errors: list[Exception] = []
        self._processor = processor
        self.start()

    def run(self) -> None:
        while not self.errors:
            began = time.monotonic()
            try:
                assert self._processor.ask("/text").status == 200
                self.answers += 1
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, ConnectionRefusedError) or time.monotonic() - began < HEARD:
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


# Seconds for which a processor waits at least until the gateway knows that it stops.
UNKNOWN = 1.5


def check_in_time(start: Start, case: str, check: Callable[[Processor], None]) -> None:
    """Check what a processor does while it waits for the gateway, on another one where the machine was too slow."""
    for left in reversed(range(5)):
        processor = start(case)
        assert processor.health("/ready?gateway").status == 200
        began = time.monotonic()
        try:
            check(processor)
        except (OSError, AssertionError):
            if not left or time.monotonic() - began < UNKNOWN:
                raise
        else:
            return


def test_requests_are_taken_until_the_gateway_knows(start: Start) -> None:
    def check(processor: Processor) -> None:
        processor.process.terminate()
        wait_for(lambda: processor.health().status == 503)
        time.sleep(0.5)
        assert processor.ask("/text").status == 200
        assert processor.health("/ready?gateway").status == 503
        assert processor.wait_for_end() == 0

    check_in_time(start, "answers", check)


def test_gateway_that_is_gone_is_not_waited_for_long(start: Start) -> None:
    def check(processor: Processor) -> None:
        assert UNKNOWN < processor.stop() < AT_ONCE

    check_in_time(start, "answers", check)


@pytest.mark.parametrize("workers", [1, 2])
def test_connections_are_refused_before_a_worker_is_there(start: Start, workers: int) -> None:
    processor = start("init_fails", ready=False, triggers={"web": {"kind": "http", "numWorkers": workers}})
    processor.wait_for_log("init_context failed")
    assert not accepts(processor)
    # The log has it before the supervisor does.
    wait_for(lambda: b"init_context failed" in processor.health().body)


def test_connections_in_the_queue_are_served_and_then_closed(start: Start) -> None:
    def check(processor: Processor) -> None:
        with ExitStack() as stack:
            early = [stack.enter_context(processor.connect()) for _ in range(20)]
            processor.process.terminate()
            wait_for(lambda: processor.health().status == 503)
            late = [stack.enter_context(processor.connect()) for _ in range(20)]
            for client in early + late:
                client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            for client in early + late:
                assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
            for client in early + late:
                assert client.recv(1) == b""

    check_in_time(start, "slow", check)


def test_connection_that_asks_nothing_does_not_hold_up_the_end(start: Start) -> None:
    processor = start("echo")
    with processor.connect() as silent, processor.connect() as kept:
        kept.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert kept.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert processor.stop() < AT_ONCE
        assert (silent.recv(1), kept.recv(1)) == (b"", b"")


def accepts(processor: Processor) -> bool:
    try:
        socket.create_connection(("127.0.0.1", processor.port), timeout=1).close()
    except OSError:
        return False
    return True
