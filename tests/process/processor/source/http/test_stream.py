"""Responses that come piece by piece."""

import http.client
import time
from pathlib import Path

import pytest

from tests.process.processor.conftest import Start
from tests.process.processor.running import PATIENCE, Processor, wait_for

pytestmark = pytest.mark.parametrize("workers", [1, 2])


def start_streams(start: Start, workers: int, handler: str = "handler", **attributes: str) -> Processor:
    triggers = {"web": {"kind": "http", "numWorkers": workers, "attributes": attributes}}
    return start("streams", handler=f"main:{handler}", triggers=triggers)


@pytest.mark.parametrize("handler", ["handler", "async_handler"])
def test_generators_are_sent_in_chunks(start: Start, workers: int, handler: str) -> None:
    processor = start_streams(start, workers, handler)
    for path in ("/count", "/async"):
        answer = processor.ask(path)
        assert (answer.status, answer.body, answer.headers["transfer-encoding"]) == (200, b"0\n1\n2\n", "chunked")
        assert answer.headers["content-type"] == "text/plain"
        assert "content-length" not in answer.headers
    assert processor.ask("/empty").body == b""
    assert processor.ask("/large").body == b"0123456789abcdef" * 16384 * 64


def test_async_generator_may_be_the_handler(start: Start, workers: int) -> None:
    assert start_streams(start, workers, "generating_handler").ask().body == b"first second"


def test_first_piece_has_the_head(start: Start, workers: int) -> None:
    processor = start_streams(start, workers)
    answer = processor.ask("/with-head")
    assert (answer.status, answer.headers["content-type"], answer.headers["x-a"]) == (201, "text/csv", "1")
    assert answer.body == b"ab3"
    answer = processor.ask("/body")
    assert (answer.status, answer.headers["content-type"], answer.headers["x-b"]) == (202, "text/csv", "2.5")
    assert answer.body == b"0\n1\n2\n"


def test_pieces_arrive_as_they_are_made(start: Start, workers: int, tmp_path: Path) -> None:
    processor, gate = start_streams(start, workers), tmp_path / "gate"
    connection = http.client.HTTPConnection("127.0.0.1", processor.port, timeout=PATIENCE)
    connection.request("POST", "/gated", str(gate).encode())
    response = connection.getresponse()
    assert response.readline() == b"first\n"
    gate.touch()
    assert response.read() == b"second\n"
    connection.request("GET", "/text")
    assert connection.getresponse().read() == b"text"
    connection.close()


def test_errors_before_and_after_the_first_piece(start: Start, workers: int) -> None:
    processor = start_streams(start, workers)
    answer = processor.ask("/fail-first")
    assert answer.status == 500 and b"early" in answer.body
    with pytest.raises(http.client.IncompleteRead):
        processor.ask("/fail-later")
    assert "ValueError: too late" in processor.wait_for_log("too late")
    assert processor.ask("/text").body == b"text"


@pytest.mark.parametrize(("handler", "path"), [("handler", "/endless"), ("async_handler", "/async-endless")])
def test_client_that_leaves_ends_the_generator(start: Start, workers: int, handler: str, path: str) -> None:
    processor = start_streams(start, workers, handler)
    with processor.connect() as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
    processor.wait_for_log("the generator ended")
    assert processor.ask("/text").body == b"text"


def test_client_that_does_not_read_is_waited_for(start: Start, workers: int) -> None:
    processor = start_streams(start, workers)
    with processor.connect() as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        time.sleep(0.5)
        data = b""
        while piece := client.recv(1 << 20):
            data += piece
    assert len(data) > 64 * 16 * 16384


def test_old_and_brief_clients(start: Start, workers: int) -> None:
    processor = start_streams(start, workers)
    with processor.connect() as client:
        client.sendall(b"GET /count HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.endswith(b"\r\n\r\n0\n1\n2\n") and b"chunked" not in answer
    with processor.connect() as client:
        client.sendall(
            b"HEAD /count HTTP/1.1\r\nHost: h\r\n\r\nGET /text HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        )
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.count(b"HTTP/1.1 200 OK") == 2 and answer.endswith(b"\r\n\r\ntext") and b"0\n" not in answer


def test_file_is_sent_and_deleted_if_asked(start: Start, workers: int, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    processor = start_streams(start, workers, filestreamFolder=str(folder))
    file = folder / "figures.csv"
    content = b"a,b\n" * 200_000
    file.write_bytes(content)
    for path in ("/file", "/delete/file"):
        answer = processor.ask(path, body=str(file))
        assert (answer.status, answer.headers["content-type"], answer.headers["x-a"]) == (200, "text/csv", "1")
        assert answer.body == content
        assert not any("filestream" in name for name in answer.headers)
        assert file.exists() or path == "/delete/file"
    wait_for(lambda: not file.exists())
    answer = processor.ask("/file", body=str(file))
    assert (answer.status, answer.body) == (404, b"")
    assert processor.ask("/file", body=str(folder)).status == 500
    assert processor.ask("/text").body == b"text"


def test_no_file_is_sent_from_elsewhere(start: Start, workers: int, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    (folder / "below").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (folder / "below" / "link").symlink_to(tmp_path / "secret")
    (folder / "below" / "own").write_text("own")
    processor = start_streams(start, workers, filestreamFolder=str(folder))
    for name in (
        tmp_path / "secret",
        folder / ".." / "secret",
        folder / "below" / "link",
        "../secret",
        "/etc/hostname",
    ):
        answer = processor.ask("/file", body=str(name))
        assert (answer.status, b"is not below filestreamFolder" in answer.body) == (500, True)
    assert processor.ask("/file", body="below/own").body == b"own"
    assert b"no file" in processor.ask("/file", body="below").body
    answer = start_streams(start, workers).ask("/file", body=str(tmp_path / "secret"))
    assert (answer.status, b"attribute filestreamFolder should name" in answer.body) == (500, True)
