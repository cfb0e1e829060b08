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
    assert LIMIT <= seconds < 25
    assert "the handler timed out: it took longer than 1 s" in processor.wait_for_log("timed out")
    wait_for(lambda: processor.health().status == 200)
    # A worker is ready a little before its dispatcher has it.
    wait_for(lambda: processor.ask().body not in before)
    assert all(processor.ask().status == 200 for _ in range(5))


def test_others_are_untouched(start: Start) -> None:
    processor = start("stuck", eventTimeout="6s", triggers={"web": {"kind": "http", "numWorkers": 2}})
    with ThreadPoolExecutor(3) as pool:
        late = pool.submit(processor.ask, "/sleep")
        processor.wait_for_log("began /sleep")
        time.sleep(4)
        # It is under way when the other is ended.
        almost = pool.submit(processor.ask, "/for", body="3")
        processor.wait_for_log("began /for")
        waiting = pool.submit(processor.ask, "/quick")
        assert late.result().status == 408
        assert (almost.result().status, waiting.result().status) == (200, 200)


def test_time_in_the_queue_does_not_count(start: Start) -> None:
    processor = start("stuck", eventTimeout="4s")
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda number: processor.ask(f"/for{number}", body="1.5"), range(3)))
    assert [answer.status for answer in answers] == [200, 200, 200]


def test_one_timeout_after_the_other_is_answered_in_time(start: Start) -> None:
    processor = start("stuck", eventTimeout="300ms")
    for _ in range(4):
        assert processor.ask("/sleep").status == 408


def test_none_waits_without_a_free_worker_if_it_must_not(start: Start, tmp_path: Path) -> None:
    trigger = {"kind": "http", "numWorkers": 2, "workerAvailabilityTimeoutMilliseconds": 0}
    processor, end = start("stuck", triggers={"web": trigger}), tmp_path / "end"
    # A busy machine may keep a free worker from taking a single one in time.
    assert sum(processor.ask().status == 200 for _ in range(50)) > 40
    with ThreadPoolExecutor(2) as pool:
        busy = [pool.submit(processor.ask, f"/until{number}", body=str(end)) for number in range(2)]
        for number in range(2):
            processor.wait_for_log(f"began /until{number}")
        answer = processor.ask("/late")
        assert (answer.status, answer.body) == (503, b"no worker of this function was free within 0.1 s")
        assert not any(one.done() for one in busy)
        end.touch()
        assert [one.result().status for one in busy] == [200, 200]


def test_requests_on_kept_connections_are_handled_at_a_time_by_all_workers(start: Start, tmp_path: Path) -> None:
    processor, folder = start("meets", triggers={"web": {"kind": "http", "numWorkers": 3}}), tmp_path / "met"
    folder.mkdir()
    request = f"HTTP/1.1\r\nHost: h\r\nContent-Length: {len(str(folder))}\r\n\r\n{folder}"
    kept = [processor.connect() for _ in range(3)]
    for client in kept:
        client.sendall(f"POST /0 {request}".encode())
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    for client in kept:
        client.sendall(f"POST /6 {request}".encode())
    assert {client.recv(65536)[-1:] for client in kept} == {b"0", b"1", b"2"}
    for client in kept:
        client.close()


def test_processor_without_work_wakes_seldom(start: Start) -> None:
    processor = start("stuck", eventTimeout="100ms")
    assert processor.ask().status == 200
    assert min(count_used(processor.process.pid) for _ in range(3)) < 0.1


def count_used(pid: int) -> float:
    """Return the processor's seconds that a process has used in two of the clock."""
    before = read_cpu_seconds(pid)
    time.sleep(2.0)
    return read_cpu_seconds(pid) - before


def read_cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.fixture
def _stack_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_EVENT_TIMEOUT", "5")


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
        assert b"is ended after 5 s (eventTimeout)" in refused.body
        assert (late.result().status, json.loads(late.result().body)) == (408, {"error": "handler timed out"})
    processor.wait_for_log("the handler timed out: it took longer than 5 s")
    wait_for(lambda: processor.health().status == 200 and processor.workers() not in ([], [before]))
    assert processor.ask("/quick").status == 200


@pytest.mark.usefixtures("_stack_timeout")
@pytest.mark.parametrize("own", ["0s", "60s"])
def test_the_functions_own_timeout_wins(start: Start, own: str) -> None:
    processor = start("stuck", eventTimeout=own)
    assert processor.ask("/for", body="5.5").status == 200


def test_busy_workers_and_failures_are_told(start: Start, tmp_path: Path) -> None:
    processor, end = start("stuck", triggers={"web": {"kind": "http", "numWorkers": 2}}), tmp_path / "end"

    def read(*names: str) -> list[float]:
        told = json.loads(processor.health("/status").body)
        return [told[name] for name in names]

    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(processor.ask, "/until", str(end))
        wait_for(lambda: read("busy_seconds") > [0.3])
        assert "nuclio_processor_busy_seconds{" in processor.metrics()
        end.touch()
        late.result()
    wait_for(lambda: read("busy_seconds", "stuck_workers") == [0.0, 0])
    for _ in range(3):
        processor.ask("/for", body="x")
    wait_for(lambda: read("recent_events", "recent_failures") == [4, 3])
    labels = f'instance="{gethostname()}",namespace="nuclio",function="tested"'
    assert f"nuclio_processor_recent_failures{{{labels}}} 3.0" in processor.metrics()
