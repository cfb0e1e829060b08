"""Odd answers and odd requests over HTTP: each request has one answer, and nothing else is disturbed."""

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import pytest

from tests.docker.fuzz import Fuzz
from tests.docker.workspace import Workspace
from tests.process.processor.running import FUNCTIONS, Processor, run_processor

_CODE = FUNCTIONS / "fuzzed_http"
_TIMEOUT, _COUNT = 20.0, 700
_METHODS = (b"GET", b"POST", b"HEAD", b"PUT", b"BREW", b"", b"get", b"G\0T", b"PRI")
_TARGETS = (
    b"/ordinary/1",
    b"*",
    b"",
    b"//",
    b"/%00/%ff",
    b"/\xff",
    b"http://[",
    b"/" + b"a" * 20_000,
    b"/odd/x?%zz=%",
    b"a b",
)
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b"", b"http/1.1", b"HTTP/1.1 x")
_LINES = (
    b"Host: h",
    b"Host:",
    b"X-A: \xff\xfe",
    b"X-\xff: a",
    b": no",
    b"X-A",
    b" folded",
    b"Content-Length: -1",
    b"Content-Length: 5",
    b"Content-Length: 99999999999999999999",
    b"Content-Length: a",
    b"Content-Length: 1\r\nContent-Length: 2",
    b"X-A: \0",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip",
    b"Expect: 100-continue",
    b"Connection: Upgrade\r\nUpgrade: h2c",
    b"Content-Type: application/json",
    b"Content-Type: application/cloudevents+json",
    b"CE-SpecVersion: 1.0",
    b"Origin: null",
    b"Sec-Fetch-Site: cross-site",
    b"X-Tidegate-Caller: 1.\xff",
    b"X-Nuclio-Log-Level: \xff",
    b"X-Long: " + b"v" * 20_000,
)
_BODIES = (
    b"",
    b"hello",
    b'{"data": ',
    b"5\r\nhello\r\n0\r\n\r\n",
    b"zz\r\n",
    b"\0" * 1000,
    b"[" * 10_000,
    b"GET / HTTP/1.1\r\n\r\n",
)


class Client:
    """One kept connection at a time, which shows whether a request had exactly one answer."""

    def __init__(self, host: str, port: int, prefix: str) -> None:
        self._where = (host, port)
        self._prefix = prefix
        self._connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
        self.cut_off = 0

    def check_odd(self, number: int) -> None:
        """Ask for something odd, then for something ordinary on the same connection."""
        status, body = self._ask(f"/odd/{number}")
        assert 200 <= status <= 999, (number, status)
        # The function answers with no 500 of its own.
        assert status != 500 or body != b"", number
        self.check_ordinary(number)

    def check_ordinary(self, number: int) -> None:
        assert self._ask(f"/ordinary/{number}") == (200, str(number).encode()), number

    def send_odd(self, random: Random) -> None:
        """Send what is hardly a request, and read until the other end has had enough."""
        lines = [random.choice(_LINES) for _ in range(random.randrange(5))]
        start = b" ".join((random.choice(_METHODS), random.choice(_TARGETS), random.choice(_VERSIONS)))
        request = b"\r\n".join([start, *lines, b"", b""]) + random.choice(_BODIES)
        if random.random() < 0.1:
            request = random.randbytes(random.randrange(2000))
        with suppress(OSError), socket.create_connection(self._where, _TIMEOUT) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    def _ask(self, path: str) -> tuple[int, bytes]:
        try:
            self._connection.request("GET", self._prefix + path)
            answer = self._connection.getresponse()
            body = answer.read()
            if answer.will_close:
                self._connection.close()
        except http.client.IncompleteRead:
            # A stream whose generator raised: it is cut off, so that it passes for no whole answer.
            self.cut_off += 1
            self._connection.close()
            return answer.status, b"cut off"
        return answer.status, body

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(params=["alone", "shared", "async"])
def processor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Processor]:
    workers = 2 if request.param == "shared" else 1
    handler = "main:async_handler" if request.param == "async" else "main:handler"
    spec = {"handler": handler, "triggers": {"web": {"kind": "http", "numWorkers": workers}}}
    with run_processor(tmp_path, spec, _CODE) as processor:
        yield processor.wait_until_ready()


def fuzz_client(client: Client, fuzz: Fuzz) -> None:
    # There are several of these tests, and each answer is awaited.
    fuzz.count = min(fuzz.count, _COUNT)
    while not fuzz.is_over:
        client.check_odd(fuzz.random.getrandbits(40))
        fuzz.sent += 1
        if fuzz.random.random() < 0.2:
            client.send_odd(fuzz.random)
            client.check_ordinary(fuzz.sent)
            fuzz.sent += 1


@pytest.mark.fuzz
@pytest.mark.slow
def test_each_request_has_one_answer(processor: Processor, fuzz: Fuzz) -> None:
    workers = processor.workers()
    with closing(Client("127.0.0.1", processor.port, "")) as client:
        fuzz_client(client, fuzz)
    assert processor.workers() == workers
    assert processor.health().status == 200
    assert client.cut_off < fuzz.sent / 4


@pytest.mark.fuzz
@pytest.mark.slow
def test_each_request_has_one_answer_of_the_gateway(
    workspace: Workspace, author: Callable[..., Path], fuzz: Fuzz
) -> None:
    author("fuzzed", (_CODE / "main.py").read_text())
    workspace.invoke("deploy-function", "fuzzed")
    with closing(Client("127.0.0.1", workspace.settings.ports.gateway, "/fuzzed")) as client:
        fuzz_client(client, fuzz)
    (told,) = [
        one for one in json.loads(workspace.invoke("status", "--json").stdout) if one["service"] == "function-fuzzed"
    ]
    assert told["restarts"] == 0 and told["events"] >= fuzz.sent
