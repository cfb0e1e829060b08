"""Requests over real sockets: what a client may send, and what it gets."""

import json
import select
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.process.processor.conftest import Start
from tests.process.processor.running import FUNCTIONS, Processor, run_processor, wait_for


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processor]:
    with run_processor(tmp_path_factory.mktemp("echo"), {}, FUNCTIONS / "echo") as processor:
        yield processor.wait_until_ready()


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processor]:
    with run_processor(tmp_path_factory.mktemp("answers"), {}, FUNCTIONS / "answers") as processor:
        yield processor.wait_until_ready()


def read_to_end(connection: socket.socket) -> bytes:
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def exchange(processor: Processor, request: bytes) -> bytes:
    """Send bytes on a connection of their own and return all that comes until the processor closes it."""
    with processor.connect() as connection:
        connection.sendall(request)
        return read_to_end(connection)


def test_event_has_every_attribute(echo: Processor) -> None:
    answer = echo.ask("/a/b?x=1&x=2&y=", body='{"n": 1}', content_type="application/json", x_Sensor="k1")
    event = json.loads(answer.body)
    assert event["body"] == {"n": 1}
    assert event["content_type"] == "application/json"
    assert event["fields"] == {"x": "2", "y": ""}
    assert event["headers"]["X-Sensor"] == "k1"
    assert event["headers"]["Content-Length"] == "8"
    assert (event["method"], event["path"], event["size"], event["url"]) == ("POST", "/a/b", 8, "")
    assert event["trigger"] == ["http", "default-http"]
    assert (event["shard_id"], event["num_shards"], event["offset"], event["last_in_batch"]) == (-1, 0, 0, False)
    assert [event[name] for name in ("type", "type_version", "version", "topic")] == ["", "", "", ""]
    assert abs(time.time() - time.mktime(time.strptime(event["timestamp"], "%Y-%m-%d %H:%M:%S"))) < 86_400
    assert event["worker"] == "0"


def test_ids_are_new_for_each_event(echo: Processor) -> None:
    ids = {json.loads(echo.ask().body)["id"] for _ in range(20)}
    assert len(ids) == 20
    assert all(len(id_) == 36 and id_[14] == "4" for id_ in ids)


@pytest.mark.parametrize(
    ("target", "path"),
    [("/", "/"), ("/a%20b", "/a b"), ("//a/./b/../c/", "/a/c/"), ("/%2e%2e/x", "/x"), ("http://host/p?q=1", "/p")],
)
def test_path_is_decoded_and_normal(echo: Processor, target: str, path: str) -> None:
    answer = exchange(echo, f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["path"] == path


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", "[1]", [1]),
        ("application/json", "no json", {"bytes": "no json"}),
        ("application/json; charset=utf-8", "[1]", {"bytes": "[1]"}),
        ("text/plain", "t", {"bytes": "t"}),
    ],
)
def test_body_is_decoded_as_nuclio_does(echo: Processor, content_type: str, body: str, expected: object) -> None:
    assert json.loads(echo.ask(body=body, content_type=content_type).body)["body"] == expected


@pytest.mark.parametrize(
    ("path", "status", "content_type", "body"),
    [
        ("/text", 200, "text/plain", "grüße".encode()),
        ("/bytes", 200, "text/plain", b"\x00\xff"),
        ("/none", 200, "text/plain", b"None"),
        ("/number", 200, "text/plain", b"1.5"),
        ("/dict", 200, "application/json", b'{"a": "NaN"}'),
        ("/list", 200, "application/json", b'[1, {"b": 2}]'),
        ("/empty-list", 200, "application/json", b"[]"),
        ("/status-text", 201, "text/plain", b"made"),
        ("/status-dict", 202, "application/json", b'{"a": null}'),
        ("/triple", 200, "text/plain", b"(1, 2, 3)"),
        ("/response", 418, "text/xml", b"<a/>"),
        ("/response-dict", 200, "application/json", b'{"a": 1}'),
        ("/header-type", 200, "text/csv", b"x"),
    ],
)
def test_results_become_responses(answers: Processor, path: str, status: int, content_type: str, body: bytes) -> None:
    answer = answers.ask(path)
    assert (answer.status, answer.headers["content-type"], answer.body) == (status, content_type, body)
    assert answer.headers["server"] == "nuclio"


def test_headers_of_any_type_survive_and_cannot_be_split(answers: Processor) -> None:
    headers = answers.ask("/response").headers
    assert (headers["x-number"], headers["x-flag"]) == ("7", "True")
    answer = answers.ask("/split-header")
    assert answer.status == 500 and "x-b" not in answer.headers


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/fail", 'Exception caught in handler - "it does not work": Traceback (most recent call last):'),
        ("/leave", 'Exception caught in handler - "3": Traceback'),
        ("/bad-status", "should be a whole number"),
        ("/bad-type", "content_type should be a text"),
        ("/bad-json", "not JSON serializable"),
    ],
)
def test_errors_are_answered_and_the_worker_lives(answers: Processor, path: str, text: str) -> None:
    before = answers.workers()
    answer = answers.ask(path)
    assert answer.status == 500
    assert text in answer.body.decode()
    assert answers.ask("/text").status == 200
    assert answers.workers() == before


def test_traceback_shows_the_users_code_only(answers: Processor) -> None:
    body = answers.ask("/fail").body.decode()
    assert "functions/answers/main.py" in body
    assert "processor/worker.py" not in body


def test_header_that_is_not_utf8_is_an_error_of_its_request_only(echo: Processor) -> None:
    answer = exchange(echo, b"GET / HTTP/1.1\r\nHost: h\r\nX-A: \xff\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert echo.ask().status == 200


def test_head_has_no_body(answers: Processor) -> None:
    answer = exchange(answers, b"HEAD /text HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Length: 7" in head
    assert body == b""


def test_no_content_has_neither_body_nor_length(answers: Processor) -> None:
    answer = exchange(answers, b"GET /no-content HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert b"Content-Length" not in answer
    assert answer.endswith(b"\r\n\r\n")


def test_connection_is_kept(answers: Processor) -> None:
    with answers.connect() as connection:
        for _ in range(3):
            connection.sendall(b"GET /text HTTP/1.1\r\nHost: h\r\n\r\n")
            assert connection.recv(65536).endswith("grüße".encode())


def test_old_clients_get_their_connection_closed_unless_they_ask(answers: Processor) -> None:
    assert b"Connection: close" in exchange(answers, b"GET /text HTTP/1.0\r\n\r\n")
    with answers.connect() as connection:
        for _ in range(2):
            connection.sendall(b"GET /text HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert b"Connection: keep-alive" in connection.recv(65536)


@pytest.mark.parametrize("workers", [1, 3])
def test_pipelined_requests_are_answered_in_their_order(start: Start, workers: int) -> None:
    processor = start("echo", triggers={"web": {"kind": "http", "numWorkers": workers}})
    requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(60))
    answer = exchange(processor, requests + b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    lines = answer.replace(b"HTTP/1.1", b"\r\n").split(b"\r\n")
    paths = [json.loads(line)["path"] for line in lines if b'"path"' in line]
    assert paths == [f"/{number}" for number in range(60)] + ["/last"]


def test_chunked_body_arrives_whole(echo: Processor) -> None:
    head = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = exchange(echo, head + b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["body"] == {"bytes": "abcdefg"}


def test_client_that_expects_to_be_asked_for_the_body_is_asked(echo: Processor) -> None:
    with echo.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hi")
        assert b'{"bytes": "hi"}' in connection.recv(65536)


def test_client_that_closes_its_side_still_gets_its_answer(answers: Processor) -> None:
    with answers.connect() as connection:
        connection.sendall(b"GET /text HTTP/1.1\r\nHost: h\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection).endswith("grüße".encode())


def test_internal_health_path_does_not_call_the_handler(answers: Processor) -> None:
    assert answers.ask("/__internal/health").status == 200


def test_what_is_not_http_is_refused(echo: Processor) -> None:
    assert exchange(echo, b"\x16\x03\x01 hello\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_offered_upgrade_is_passed_over(answers: Processor) -> None:
    request = b"GET /text HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    answer = exchange(answers, request)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"Connection: close" in answer


def test_large_bodies_are_refused(start: Start) -> None:
    processor = start("echo", triggers={"web": {"kind": "http", "attributes": {"maxRequestBodySize": 1000}}})
    assert processor.ask(body=b"x" * 1000).status == 200
    assert processor.ask(body=b"x" * 1001).status == 413
    chunked = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = exchange(processor, chunked + b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_refusal_reaches_a_client_that_still_sends(start: Start) -> None:
    processor = start("echo", triggers={"web": {"kind": "http", "attributes": {"maxRequestBodySize": 1000}}})
    with processor.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n" + b"x" * 400_000)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("value", [b"x" * 20_000, b"x" * 2_000_000])
def test_large_heads_are_refused(echo: Processor, value: bytes) -> None:
    with echo.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nX-A: ")
        time.sleep(0.1)
        with suppress(ConnectionError):
            connection.sendall(value + b"\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 431 ")


def test_large_answer_and_body_cross_whole(start: Start) -> None:
    for workers in (1, 2):
        processor = start("echo", triggers={"web": {"kind": "http", "numWorkers": workers}})
        body = b"0123456789" * 400_000
        assert json.loads(processor.ask(body=body).body)["body"]["bytes"].encode() == body


def test_requests_are_handled_at_a_time_by_all_workers(start: Start, tmp_path: Path) -> None:
    processor = start("meets", triggers={"web": {"kind": "http", "numWorkers": 3}})
    folder = tmp_path / "met"
    folder.mkdir()
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: processor.ask("/3", str(folder)), range(3)))
    assert {answer.body for answer in answers} == {b"0", b"1", b"2"}


def test_busy_worker_is_no_hindrance_to_a_kept_connection(start: Start, tmp_path: Path) -> None:
    processor, end = start("slow", triggers={"web": {"kind": "http", "numWorkers": 2}}), tmp_path / "end"
    with processor.connect() as busy, processor.connect() as kept:
        busy.sendall(f"POST /until HTTP/1.1\r\nHost: h\r\nContent-Length: {len(str(end))}\r\n\r\n{end}".encode())
        processor.wait_for_log("began /until")
        for _ in range(5):
            kept.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert kept.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert not select.select([busy], [], [], 0)[0]
        end.touch()
        assert busy.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("workers", [1, 2])
def test_request_without_a_free_worker_is_turned_away_in_time(start: Start, tmp_path: Path, workers: int) -> None:
    trigger = {"kind": "http", "numWorkers": workers, "workerAvailabilityTimeoutMilliseconds": 300}
    processor, end = start("slow", triggers={"web": trigger}), tmp_path / "end"
    with ThreadPoolExecutor(workers) as pool:
        slow = [pool.submit(processor.ask, f"/until{number}", body=str(end)) for number in range(workers)]
        for number in range(workers):
            processor.wait_for_log(f"began /until{number}")
        began = time.monotonic()
        assert processor.ask("/late").status == 503
        assert time.monotonic() - began > 0.25
        assert not any(one.done() for one in slow)
        end.touch()
        assert [answer.result().status for answer in slow] == [200] * workers
    assert "began /late" not in processor.log
    assert processor.ask("/again").status == 200


def test_port_in_use_is_said(start: Start) -> None:
    first = start("echo")
    second = start("echo", ready=False, triggers={"web": {"kind": "http", "url": f"127.0.0.1:{first.port}"}})
    assert second.wait_for_end() == 1
    assert f"spec.triggers.web.url: cannot listen on 127.0.0.1:{first.port}: " in second.log
    assert "Traceback" not in second.log


def test_many_connections_at_once(echo: Processor) -> None:
    with ThreadPoolExecutor(32) as pool:
        assert {answer.status for answer in pool.map(lambda number: echo.ask(f"/{number}"), range(300))} == {200}
    wait_for(lambda: echo.ask().status == 200)
