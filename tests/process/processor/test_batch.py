"""Batches: a list of events in, a list of responses out."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from nuclio_sdk import Event, Response

from stack.processor.batch import match_responses
from tests.process.processor.conftest import Start
from tests.process.processor.running import AT_ONCE, Answer, Processor


def start_batches(start: Start, workers: int = 1, handler: str = "handler", **batch: Any) -> Processor:
    settings = {"mode": "enable", "batchSize": 4, "timeout": "300ms"} | batch
    triggers = {"web": {"kind": "http", "numWorkers": workers, "batch": settings}}
    return start("batches", handler=f"main:{handler}", triggers=triggers)


def ask_all(processor: Processor, *bodies: str) -> list[Answer]:
    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(lambda body: processor.ask(body=body), bodies))


@pytest.mark.parametrize("handler", ["handler", "async_handler"])
@pytest.mark.parametrize("workers", [1, 2])
def test_each_client_gets_its_own_response(start: Start, workers: int, handler: str) -> None:
    processor = start_batches(start, workers, handler, timeout="60s")
    answers = [json.loads(answer.body) for answer in ask_all(processor, *"abcdefgh")]
    assert [answer[0] for answer in answers] == list("abcdefgh")
    assert {answer[1] for answer in answers} == {4}


@pytest.mark.parametrize("handler", ["handler", "async_handler"])
@pytest.mark.parametrize("workers", [1, 2])
def test_batch_that_does_not_fill_goes_after_its_timeout(start: Start, workers: int, handler: str) -> None:
    processor = start_batches(start, workers, handler, timeout="2s")
    began = time.monotonic()
    answers = [json.loads(answer.body) for answer in ask_all(processor, "a", "b")]
    assert time.monotonic() - began > 1.9
    assert [answer[:2] for answer in answers] == [["a", 2], ["b", 2]]


@pytest.mark.parametrize("workers", [1, 2])
def test_error_fails_the_batch_and_not_the_worker(start: Start, workers: int) -> None:
    processor = start_batches(start, workers, batchSize=3, timeout="60s")
    before = processor.workers()
    answers = ask_all(processor, "a", "fail", "c")
    assert [answer.status for answer in answers] == [500, 500, 500]
    assert all(b"the batch failed" in answer.body for answer in answers)
    assert processor.log.count("ValueError: the batch failed") == 1
    answer, *_ = ask_all(processor, "number", "b", "c")
    assert answer.status == 500 and b"should return a list of responses, not int" in answer.body
    assert json.loads(ask_all(processor, "a", "b", "c")[0].body)[0] == "a"
    assert processor.workers() == before


def test_missing_responses_are_empty(start: Start) -> None:
    processor = start_batches(start, batchSize=2, timeout="60s")
    answers = ask_all(processor, "a", "forgotten")
    assert json.loads(answers[0].body)[:2] == ["a", 2]
    assert (answers[1].status, answers[1].body) == (200, b"")
    assert {(answer.status, answer.body) for answer in ask_all(processor, "none", "b")} == {(200, b"")}


def test_responses_without_an_id_are_in_order(start: Start) -> None:
    processor = start_batches(start, batchSize=2, timeout="60s")
    assert [answer.body for answer in ask_all(processor, "plain", "b")] == [b"plain plain", b"plain b"]


def test_bad_request_fails_alone(start: Start) -> None:
    processor = start_batches(start)
    with processor.connect() as client, ThreadPoolExecutor(1) as pool:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nX-A: \xff\r\n\r\n")
        good = pool.submit(processor.ask, body="a")
        assert client.recv(65536).startswith(b"HTTP/1.1 500 ")
        assert json.loads(good.result().body)[:2] == ["a", 1]


@pytest.mark.parametrize("handler", ["handler", "async_handler"])
@pytest.mark.parametrize("workers", [1, 2])
def test_begun_batch_is_finished_at_the_end(start: Start, workers: int, handler: str) -> None:
    """It does not wait to be full, or for its time-out: no one comes any more."""
    processor = start_batches(start, workers, handler, timeout="60s")
    with processor.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nConnection: close\r\n\r\na")
        # Who comes later is answered: the other has been read.
        assert processor.ask("/__internal/health").status == 200
        assert processor.stop() < AT_ONCE
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])[0] == "a"


def test_late_batch_is_ended_as_a_whole(start: Start) -> None:
    triggers = {"web": {"kind": "http", "batch": {"mode": "enable", "batchSize": 2, "timeout": "5s"}}}
    processor = start("stuck", handler="main:late_batch", eventTimeout="500ms", triggers=triggers)
    assert [answer.status for answer in ask_all(processor, "a", "b")] == [408, 408]


def test_idle_costs_nothing(start: Start) -> None:
    processor = start_batches(start, timeout="10ms")
    ask_all(processor, "a", "b")
    pids = [processor.process.pid, *processor.workers()]
    assert min(count_used(pids) for _ in range(3)) <= 5


def count_used(pids: list[int]) -> int:
    """Return how many ticks processes have used in two seconds."""
    before = sum(map(count_ticks, pids))
    time.sleep(2.0)
    return sum(map(count_ticks, pids)) - before


def count_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def event(id_: str) -> Event:
    return Event(_id=id_)


def test_matching() -> None:
    events = [event("1"), event("2")]
    assert [one.body for one in match_responses(events, [Response(body="b", event_id="2")])] == [b"", b"b"]
    assert [one.body for one in match_responses(events, ["a", {"b": 1}])] == [b"a", b'{"b": 1}']
    assert [one.body for one in match_responses(events, [])] == [b"", b""]
    with pytest.raises(ValueError, match="3 responses without event_id for a batch of 2 events"):
        match_responses(events, [1, 2, 3])
    with pytest.raises(TypeError, match="cannot be a generator"):
        match_responses(events, [(piece for piece in "ab"), "b"])
