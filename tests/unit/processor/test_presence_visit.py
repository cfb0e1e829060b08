"""How often a processor visits the gateway, and on which connection."""

import asyncio
from itertools import pairwise

import pytest

from stack.processor.source.http import presence

# Not long enough for two signs of life of one who has a seat.
_SECONDS = 0.8


class Gateway:
    """Answers each visitor with the next status, and hangs up after one below zero."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = iter(statuses)
        self.connections = 0
        self.questions: list[tuple[str, float]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.questions.append((head.split()[1].decode(), asyncio.get_running_loop().time()))
                status = next(self._statuses, 200)
                writer.write(f"HTTP/1.1 {abs(status)} Said\r\ncontent-length: 3\r\n\r\n{{}}\n".encode())
                if status < 0:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    def entertain(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have a processor be present for a while."""

        async def run() -> None:
            server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
            host, port = server.sockets[0].getsockname()
            monkeypatch.setenv(presence.VARIABLE, f"{host}:{port}")
            present = presence.open_presence("some", lambda: True)
            assert present
            present.begin()
            await asyncio.sleep(_SECONDS)
            await present.leave()
            server.close()

        asyncio.run(run())

    @property
    def gaps(self) -> list[float]:
        """Return the seconds between questions."""
        return [later - earlier for (_, earlier), (_, later) in pairwise(self.questions)]


def test_who_is_unknown_waits_on_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway(404)
    gateway.entertain(monkeypatch)
    assert (gateway.connections, len(gateway.questions)) == (1, 1)


def test_who_finds_no_seat_asks_soon_on_the_same_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway(503, 503)
    gateway.entertain(monkeypatch)
    paths = [path.split("/")[1] for path, _ in gateway.questions]
    assert paths == ["here", "here", "here", "bye"]
    # One more to say goodbye.
    assert gateway.connections == 2
    assert all(0.05 < gap < 0.5 for gap in gateway.gaps[:2])


def test_gateway_that_hangs_up_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway(-404, 200)
    gateway.entertain(monkeypatch)
    assert [path.split("/")[1] for path, _ in gateway.questions] == ["here", "here", "bye"]
    assert gateway.gaps[0] < 0.5


def test_answer_that_is_not_http_ends_a_visit(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway()

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gateway.connections += 1
        writer.write(b"\r\n\r\n")
        writer.close()

    gateway.serve = babble  # type: ignore[method-assign]
    gateway.entertain(monkeypatch)
    assert gateway.connections > 2
