"""Calls of services: which headers they get, how much of an answer is read, and how long one may take."""

import asyncio
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from stack.processor.configuration import Function, parse_function
from stack.processor.output.message import OutputError, OutputMessage, describe_message
from stack.processor.output.outbox import Cause, Outbox, OutputSet
from stack.processor.output.sender import Sender, _call
from stack.processor.output.target import Target, open_targets

MESSAGE = OutputMessage("hook", b"x", "text/plain", "", {}, "id", "c")
FUNCTION = parse_function({}, secrets=Path("/nowhere"), folder=Path())
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"


class Service:
    """A service that answers each request with the same, and remembers the heads of requests and its connections."""

    def __init__(self, answer: Callable[[socket.socket], object]) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        self._answer = answer
        self.heads: list[bytes] = []
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection = self._socket.accept()[0]
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        while data := connection.recv(65536):
            while not data.endswith(b"\r\n\r\nx"):
                data += connection.recv(65536)
            self.heads.append(data)
            try:
                self._answer(connection)
            except OSError:
                return


def open_target(url: str, **keys: Any) -> Target:
    document = {"spec": {"outputs": {"hook": {"kind": "http", "url": url, **keys}}}}
    function: Function = replace(parse_function(document, secrets=Path("/nowhere"), folder=Path()), reloads=True)
    return open_targets(function)["hook"]


def call(target: Target, message: OutputMessage = MESSAGE) -> None:
    assert target.call
    asyncio.run(_call(target, target.call, message))


def test_a_connection_is_used_again_after_a_short_answer_and_not_after_a_long_one() -> None:
    service = Service(lambda connection: connection.sendall(OK % (5, b"hello")))
    target = open_target(service.url)
    for _ in range(3):
        call(target)
    assert (len(service.heads), len(service.connections)) == (3, 1)
    sent = []

    def flood(connection: socket.socket) -> None:
        connection.sendall(OK % (1 << 30, b""))
        while True:
            sent.append(connection.send(bytes(65536)))

    endless = Service(flood)
    call(open_target(endless.url))
    assert sum(sent) < 1 << 25


def test_an_answer_that_drips_ends_with_the_time_of_the_call() -> None:
    def drip(connection: socket.socket) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 20 + b"\r\n\r\n":
            connection.sendall(bytes([byte]))
            sleep(0.05)

    service, began = Service(drip), monotonic()
    target = open_target(service.url, timeout="300ms")
    assert target.call

    async def run() -> None:
        with pytest.raises(OutputError, match="the output hook: there was no answer within"):
            await _call(target, target.call, MESSAGE)  # type: ignore[arg-type]
        assert monotonic() - began < 3

    asyncio.run(run())


def test_headers_of_a_message_replace_those_of_its_output_in_any_case() -> None:
    service = Service(lambda connection: connection.sendall(OK % (0, b"")))
    configured = {"content-type": "text/csv", "X-Own": "1", "x-both": "output"}
    call(
        open_target(service.url, headers=configured), MESSAGE._replace(headers={"X-Both": "message", "X-City": "東京"})
    )
    head = service.heads[0].lower()
    for header in (b"content-type: text/csv", b"x-own: 1", b"x-both: message", b"x-city: " + "東京".encode()):
        assert head.count(header.split(b":")[0] + b":") == 1 and header in head
    assert describe_message(MESSAGE._replace(headers={"X": "é"}))["X"] == "é"


def test_headers_of_an_event_that_is_passed_on_are_not_those_of_the_call() -> None:
    service = Service(lambda connection: connection.sendall(OK % (0, b"")))
    passed_on = {"Content-Length": "1000", "transfer-encoding": "chunked", "Host": "elsewhere", "X-Own": "1"}
    call(open_target(service.url), MESSAGE._replace(headers=passed_on))
    head = service.heads[0].lower()
    assert b"content-length: 1\r\n" in head and b"x-own: 1" in head
    assert b"transfer-encoding" not in head and b"elsewhere" not in head


def test_one_that_http_cannot_say_names_its_output() -> None:
    target = open_target("http://127.0.0.1:9/")
    sender = Sender(FUNCTION, {"hook": target})
    outputs = OutputSet(FUNCTION, {"hook": target}, sender)
    sender.start()
    try:
        outbox = Outbox(outputs, Cause(""))
        outbox.add("hook", "x", headers={"X-Ü": "1"})
        with pytest.raises(OutputError, match="the output hook: UnicodeEncodeError"):
            outputs.send_now(outbox)
    finally:
        sender.close(5)
        sender._loop.close()
