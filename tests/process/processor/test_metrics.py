"""The page of figures: Nuclio's names, summed over processes, and right whatever happens to them."""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from stack.processor.stats import Count, WorkerStats
from tests.ports import free_port
from tests.process.processor import running
from tests.process.processor.conftest import Start
from tests.process.processor.running import Processor, wait_for

TWO_WORKERS = {"web": {"kind": "http", "numWorkers": 2}}


def read(processor: Processor, name: str, **labels: str) -> float:
    """Return the sum of a metric's samples that have some labels."""
    lines = re.findall(rf"^nuclio_processor_{name}{{(.*)}} (\S+)$", processor.metrics(), re.M)
    pairs = [f'{label}="{value}"' for label, value in labels.items()]
    found = [float(value) for given, value in lines if all(pair in given for pair in pairs)]
    assert found, f"no {name} with {labels} in\n{processor.metrics()}"
    return sum(found)


def test_names_and_labels_are_nuclios(start: Start) -> None:
    processor = start("echo")
    processor.ask()
    # Of each container its own, so that replicas are not one series.
    labels = f'instance="{socket.gethostname()}",trigger_kind="http",trigger_id="default-http"'
    labels += ',namespace="nuclio",function="tested",project="default"'
    lines = processor.metrics().splitlines()
    for sample in (
        f'handled_events_total{{{labels},result="success"}} 1.0',
        f'handled_events_total{{{labels},result="failure"}} 0',
        f'handled_events_duration_milliseconds_count{{{labels},worker_index="0"}} 1.0',
        f'worker_allocation_total{{{labels},result="success_immediate"}} 1.0',
        f"worker_allocation_count{{{labels}}} 1.0",
        f"worker_allocation_workers_available_percentage{{{labels}}} 100.0",
        f'handled_events_duration_seconds_bucket{{{labels},le="+Inf"}} 1.0',
        f"handled_events_duration_seconds_count{{{labels}}} 1.0",
    ):
        assert any(line.startswith(f"nuclio_processor_{sample}") for line in lines), "\n".join(lines)
    assert "# TYPE nuclio_processor_handled_events_total counter" in lines
    assert "# TYPE nuclio_processor_handled_events_duration_seconds histogram" in lines


def test_page_has_its_content_type_and_is_all_that_its_port_has(start: Start) -> None:
    processor = start("echo")
    answer = processor.health("/metrics", processor.metrics_port)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert processor.health("/ready", processor.metrics_port).status == 404


def test_exceptions_and_answers_of_500_are_failures(start: Start) -> None:
    processor = start("answers")
    assert [processor.ask(path).status for path in ("/fail", "/text", "/fail")] == [500, 200, 500]
    assert read(processor, "handled_events_total", result="failure") == 2
    assert read(processor, "handled_events_total", result="success") == 1


def test_figures_are_summed_over_the_workers(start: Start) -> None:
    processor = start("slow", triggers=TWO_WORKERS)
    with ExitStack() as stack:
        # Sent by one thread: of several, a busy machine may hold two back until the others are answered.
        clients = [stack.enter_context(processor.connect()) for _ in range(4)]
        for client in clients:
            client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n0.6")
        assert all(client.recv(65536).startswith(b"HTTP/1.1 200 ") for client in clients)
    assert read(processor, "handled_events_total", result="success") == 4
    # Two of each, where nothing else keeps the machine from it.
    by_worker = [read(processor, "handled_events_duration_milliseconds_count", worker_index=one) for one in "01"]
    assert min(by_worker) >= 1 and sum(by_worker) == 4
    assert 2350 < read(processor, "handled_events_duration_milliseconds_sum") < 60_000
    assert read(processor, "handled_events_duration_seconds_bucket", le="0.25") == 0
    assert read(processor, "handled_events_duration_seconds_bucket", le="+Inf") == 4
    assert read(processor, "worker_allocation_count") == 4
    assert read(processor, "worker_allocation_total", result="success_after_wait") >= 1
    assert 100 < read(processor, "worker_allocation_wait_duration_milliseconds_sum") < 60_000


def test_event_in_progress_is_in_flight(start: Start, tmp_path: Path) -> None:
    processor, end = start("slow"), tmp_path / "end"
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(processor.ask, "/until", str(end))
        wait_for(lambda: read(processor, "events_in_flight") == 1)
        end.touch()
        assert answer.result().status == 200
    wait_for(lambda: read(processor, "events_in_flight") == 0)


def test_event_that_gets_no_worker_is_refused_and_failed(start: Start, tmp_path: Path) -> None:
    trigger = {"kind": "http", "workerAvailabilityTimeoutMilliseconds": 100}
    processor, end = start("slow", triggers={"web": trigger}), tmp_path / "end"
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(processor.ask, "/until", str(end))
        processor.wait_for_log("began")
        assert processor.ask(body="0").status == 503
        end.touch()
        assert first.result().status == 200
    assert read(processor, "worker_allocation_total", result="error_timeout") == 1
    assert read(processor, "handled_events_total", result="failure") == 1


@pytest.mark.parametrize("triggers", [TWO_WORKERS, {"web": {"kind": "http"}}])
def test_no_counter_goes_back_when_a_worker_dies(start: Start, triggers: dict[str, object]) -> None:
    processor = start("dies", triggers=triggers)
    for _ in range(5):
        processor.ask()
    with suppress(OSError):
        processor.ask("/exit")
    wait_for(lambda: read(processor, "worker_restarts_total") == 1)
    wait_for(lambda: processor.health().status == 200)
    processor.ask()
    assert read(processor, "handled_events_total", result="success") == 6
    assert read(processor, "handled_events_total", result="failure") == 1
    assert read(processor, "events_in_flight") == 0


def test_status_has_the_same_in_numbers_and_a_rate(start: Start) -> None:
    processor = start("answers")
    time.sleep(1.0)
    for path in ("/text", "/fail"):
        processor.ask(path)
    document = processor.health("/status").body.decode()
    stats = dict(re.findall(r'"(\w+)": ([0-9.]+)', document))
    assert (stats["events"], stats["failures"], stats["in_flight"]) == ("2", "1", "0")
    assert 0.1 < float(stats["rate"]) <= 2.0


def test_function_whose_metrics_port_is_taken_works_all_the_same(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("", 0)) as taken:
        ports = iter((free_port(), free_port(), taken.getsockname()[1]))
        monkeypatch.setattr(running, "free_port", lambda: next(ports))
        processor = start("echo")
        assert processor.ask().status == 200
        assert f"the port {processor.metrics_port} of /metrics cannot be listened on" in processor.log


def test_waiting_is_counted_while_the_worker_is_busy() -> None:
    stats = WorkerStats()
    sizes = iter((3, 0))
    stats.watch(lambda: next(sizes))
    stats.begin()
    stats.end(failed=False)
    stats.begin()
    stats.end(failed=True)
    assert (stats.read(Count.IMMEDIATE), stats.read(Count.WAITED), stats.read(Count.FAILED)) == (1, 1, 1)
    assert stats.wait_seconds > 0
