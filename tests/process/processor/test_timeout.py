"""eventTimeout: an event that takes too long is ended with its worker, and nothing else is."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from socket import gethostname

import pytest

from tests.process.processor.conftest import Start
from tests.process.processor.running import Answer, Processor, wait_for

LIMIT = 1.0


def ask_timed(processor: Processor, path: str, body: str = "") -> tuple[Answer, float]:
    began = time.monotonic()
    return processor.ask(path, body=body), time.monotonic() - began


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("path", ["/sleep", "/hold"])
def test_late_event_is_answered_in_time_and_its_worker_replaced(start: Start, path: str, workers: int) -> None:
    processor = start("stuck", eventTimeout="1s", triggers={"web": {"kind": "http", "numWorkers": workers}})
    before = {processor.ask().body for _ in range(20)}
    answer, seconds = ask_timed(processor, path)
    assert (answer.status, json.loads(answer.body)) == (408, {"error": "handler timed out"})
    assert answer.headers["content-type"] == "application/json"
    # The handler itself takes 30 s.
    assert LIMIT <= seconds < 10 * LIMIT
    assert "the handler timed out: it took longer than 1 s" in processor.wait_for_log("timed out")
    wait_for(lambda: processor.health().status == 200)
    assert {processor.ask().body for _ in range(20)} - before
    assert all(processor.ask().status == 200 for _ in range(5))


def test_others_are_untouched(start: Start) -> None:
    processor = start("stuck", eventTimeout="2s", triggers={"web": {"kind": "http", "numWorkers": 2}})
    with ThreadPoolExecutor(3) as pool:
        late = pool.submit(processor.ask, "/sleep")
        processor.wait_for_log("began /sleep")
        time.sleep(0.8)
        almost = pool.submit(processor.ask, "/for", body="1.3")
        processor.wait_for_log("began /for")
        waiting = pool.submit(processor.ask, "/quick")
        assert late.result().status == 408
        assert (almost.result().status, waiting.result().status) == (200, 200)


def test_time_in_the_queue_does_not_count(start: Start) -> None:
    processor = start("stuck", eventTimeout="2s")
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda number: processor.ask(f"/for{number}", body="1.1"), range(3)))
    assert [answer.status for answer in answers] == [200, 200, 200]


def test_one_timeout_after_the_other_is_answered_in_time(start: Start) -> None:
    processor = start("stuck", eventTimeout="300ms")
    for _ in range(4):
        assert processor.ask("/sleep").status == 408


def test_none_waits_without_a_free_worker_if_it_must_not(start: Start) -> None:
    trigger = {"kind": "http", "numWorkers": 2, "workerAvailabilityTimeoutMilliseconds": 0}
    processor = start("stuck", triggers={"web": trigger})
    assert all(processor.ask().status == 200 for _ in range(50))
    with ThreadPoolExecutor(2) as pool:
        busy = [pool.submit(processor.ask, f"/for{number}", body="2") for number in range(2)]
        for number in range(2):
            processor.wait_for_log(f"began /for{number}")
        answer = processor.ask("/late")
        assert (answer.status, answer.body) == (503, b"no worker of this function was free within 0.1 s")
        assert not any(one.done() for one in busy)
        assert [one.result().status for one in busy] == [200, 200]


def test_slow_requests_on_kept_connections_take_the_time_of_one(start: Start) -> None:
    processor = start("slow", triggers={"web": {"kind": "http", "numWorkers": 3}})
    kept = [processor.connect() for _ in range(3)]
    for client in kept:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    for client in kept:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n0.8")
    assert {client.recv(65536)[-1:] for client in kept} == {b"0", b"1", b"2"}
    for client in kept:
        client.close()


def test_processor_without_work_wakes_seldom(start: Start) -> None:
    processor = start("stuck", eventTimeout="100ms")
    assert processor.ask().status == 200
    before = read_cpu_seconds(processor.process.pid)
    time.sleep(2.0)
    assert read_cpu_seconds(processor.process.pid) - before < 0.1


def read_cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.fixture
def _stack_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_EVENT_TIMEOUT", "1.5")


@pytest.mark.usefixtures("_stack_timeout")
def test_the_stacks_timeout_is_answered_by_the_only_process(start: Start) -> None:
    processor = start("stuck", triggers={"web": {"kind": "http", "workerAvailabilityTimeoutMilliseconds": 300}})
    (before,) = processor.workers()
    with ThreadPoolExecutor(2) as pool:
        late = pool.submit(processor.ask, "/sleep")
        processor.wait_for_log("began /sleep")
        refused = processor.ask("/quick")
        assert refused.status == 503
        assert b"no worker of this function was free within 0.3 s: it has been at one event for" in refused.body
        assert b"is ended after 1.5 s (eventTimeout)" in refused.body
        assert (late.result().status, json.loads(late.result().body)) == (408, {"error": "handler timed out"})
    processor.wait_for_log("the handler timed out: it took longer than 1.5 s")
    wait_for(lambda: processor.health().status == 200 and processor.workers() not in ([], [before]))
    assert processor.ask("/quick").status == 200


@pytest.mark.usefixtures("_stack_timeout")
@pytest.mark.parametrize("own", ["0s", "4s"])
def test_the_functions_own_timeout_wins(start: Start, own: str) -> None:
    processor = start("stuck", eventTimeout=own)
    assert processor.ask("/for", body="2.7").status == 200


def test_busy_workers_and_failures_are_told(start: Start) -> None:
    processor = start("stuck", triggers={"web": {"kind": "http", "numWorkers": 2}})
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(processor.ask, "/for", body="1.2")
        wait_for(lambda: json.loads(processor.health("/status").body)["busy_seconds"] > 0.3)
        assert "nuclio_processor_busy_seconds{" in processor.metrics()
        late.result()
    told = json.loads(processor.health("/status").body)
    assert (told["busy_seconds"], told["stuck_workers"]) == (0.0, 0)
    for _ in range(3):
        processor.ask("/for", body="x")
    told = json.loads(processor.health("/status").body)
    assert (told["recent_events"], told["recent_failures"]) == (4, 3)
    labels = f'instance="{gethostname()}",namespace="nuclio",function="tested"'
    assert f"nuclio_processor_recent_failures{{{labels}}} 3.0" in processor.metrics()
