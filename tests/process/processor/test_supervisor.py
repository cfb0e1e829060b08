"""Processes: how they come up, are replaced, and end."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.process.processor.conftest import Start
from tests.process.processor.running import AT_ONCE, FUNCTIONS, ROOT, Processor, wait_for


def run_health_check(port: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stack.processor", "--health", "--health-port", str(port)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_ready_and_live_answer(start: Start) -> None:
    processor = start("echo")
    assert (processor.health("/ready").status, processor.health("/ready").body) == (200, b"{}")
    assert processor.health("/live?full=1").status == 200
    assert processor.health("/else").status == 404
    assert "Ready" in processor.wait_for_log("Ready")


def test_health_check_says_what_ready_says(start: Start) -> None:
    processor = start("echo")
    assert run_health_check(processor.health_port).returncode == 0
    processor.stop()
    assert run_health_check(processor.health_port).returncode == 1


def test_health_port_serves_while_clients_dawdle(start: Start) -> None:
    processor = start("echo")
    dawdlers = [socket.create_connection(("127.0.0.1", processor.health_port)) for _ in range(80)]
    assert processor.health().status == 200
    for dawdler in dawdlers:
        dawdler.close()


@pytest.mark.parametrize(
    ("case", "handler", "texts"),
    [
        ("missing_module", "main:handler", ["No module named 'module_that_nobody_has'", "main.py"]),
        ("no_handler", "main:handler", ["has no callable of that name", "callables there: first, second"]),
        ("no_handler", "other:first", ["there is no module 'other'", "modules there: main"]),
        ("no_handler", "main first", ["should be module:function"]),
    ],
)
def test_handler_that_cannot_be_loaded_ends_it_with_the_reason(
    start: Start, case: str, handler: str, texts: list[str]
) -> None:
    triggers = {"web": {"kind": "http", "numWorkers": 2}}
    processor = start(case, ready=False, handler=handler, triggers=triggers)
    assert processor.wait_for_end() == 1
    for text in texts:
        assert text in processor.log
    assert "importlib" not in processor.log


def test_handler_with_a_syntax_error_is_shown_its_line(start: Start, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("def handler(context, event)\n    return 1\n")
    processor = start(str(tmp_path), ready=False)
    assert processor.wait_for_end() == 1
    assert "SyntaxError" in processor.log
    assert 'main.py", line 1' in processor.log
    assert "importlib" not in processor.log


def test_kind_that_is_not_there_is_named_with_those_that_are(start: Start) -> None:
    processor = start("echo", ready=False, triggers={"clock": {"kind": "kinesis"}})
    assert processor.wait_for_end() == 1
    assert "clock.kind: kind 'kinesis' is not supported yet; supported: http, rabbit-mq, mqtt, cron" in processor.log
    assert "Traceback" not in processor.log


@pytest.mark.parametrize(
    "trigger",
    [
        {"kind": "rabbit-mq", "url": "http://h"},
        {"kind": "mqtt", "url": "gopher://h"},
        {"kind": "mqtt", "url": "h:1883", "attributes": {"protocolVersion": 9}},
        {"kind": "rabbit-mq", "url": "amqp://h", "attributes": {"prefetchCount": "many"}},
        {"kind": "rabbit-mq", "url": "amqp://h", "attributes": {"onError": "shout"}},
    ],
)
def test_setting_that_cannot_be_ends_it_with_its_path(start: Start, trigger: dict[str, object]) -> None:
    processor = start("echo", ready=False, triggers={"sensors": trigger})
    assert processor.wait_for_end() == 1
    assert "spec.triggers.sensors." in processor.log
    assert "Traceback" not in processor.log


def test_init_context_that_fails_is_not_ready_and_tried_again(start: Start) -> None:
    processor = start("init_fails", ready=False)
    wait_for(lambda: processor.log.count("init_context failed") >= 3)
    answer = processor.health()
    assert answer.status == 503
    assert b"init_context failed: ConnectionError: the database is away" in answer.body
    assert "functions/init_fails/main.py" in processor.log
    assert processor.process.poll() is None


def test_init_context_that_fails_at_first_comes_up_later(start: Start, tmp_path: Path) -> None:
    greeting = tmp_path / "greeting"
    env = [{"name": "GREETING_FILE", "value": str(greeting)}]
    processor = start("init_waits", ready=False, env=env)
    processor.wait_for_log("init_context failed")
    greeting.write_text("good morning")
    processor.wait_until_ready()
    assert processor.ask().body == b"good morning"


def test_init_context_that_waits_is_why_there_are_no_events_yet(start: Start, tmp_path: Path) -> None:
    greeting, folder = tmp_path / "greeting", tmp_path / "user"
    os.mkfifo(greeting)
    folder.mkdir()
    shutil.copy(FUNCTIONS / "init_waits" / "main.py", folder)
    processor = start(str(folder), ready=False, env=[{"name": "GREETING_FILE", "value": str(greeting)}])
    wait_for(lambda: b"worker 0: init_context has not returned" in processor.health().body)
    greeting.write_text("good morning")
    processor.wait_until_ready()
    assert processor.ask().body == b"good morning"


@pytest.mark.parametrize("path", ["/exit", "/kill"])
def test_worker_that_dies_is_replaced(start: Start, path: str) -> None:
    processor = start("dies")
    first = processor.ask().body
    with pytest.raises((ConnectionError, OSError)):
        processor.ask(path)
    wait_for(lambda: processor.health().status == 200)
    assert processor.ask().body != first
    assert "trigger default-http, worker 0: ended" in processor.log


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("limit", ["0s", "10s"])
def test_worker_whose_handler_closes_its_files_is_replaced(start: Start, workers: int, limit: str) -> None:
    processor = start("dies", triggers={"web": {"kind": "http", "numWorkers": workers}}, eventTimeout=limit)
    with suppress(OSError):
        assert processor.ask("/close").status == 500
    processor.wait_for_log("again_in_seconds")
    wait_for(lambda: processor.health().status == 200)
    assert all(processor.ask().status == 200 for _ in range(10))


@pytest.mark.parametrize("workers", [1, 2])
def test_handler_that_has_all_files_not_block_harms_no_other(start: Start, workers: int) -> None:
    processor = start("dies", triggers={"web": {"kind": "http", "numWorkers": workers}})
    with suppress(OSError):
        processor.ask("/unblock")
    for pid in processor.workers():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: processor.health().status == 200)
    assert all(processor.ask().status == 200 for _ in range(10))
    assert "BlockingIOError" not in processor.log


def test_others_go_on_while_one_worker_is_replaced(start: Start) -> None:
    processor = start("dies", triggers={"web": {"kind": "http", "numWorkers": 2}})
    assert processor.ask("/exit").status == 500
    assert all(processor.ask().status == 200 for _ in range(10))
    wait_for(lambda: len(processor.workers()) == 3)


def test_idle_worker_that_is_killed_costs_no_request(start: Start) -> None:
    processor = start("dies", triggers={"web": {"kind": "http", "numWorkers": 2}})
    worker = int(processor.ask().body)
    os.kill(worker, signal.SIGKILL)
    # What it is sent before it has ended is lost.
    wait_for(lambda: not is_running(worker))
    assert all(processor.ask().status == 200 for _ in range(10))


def test_front_that_is_killed_is_replaced_and_its_workers_stay(start: Start) -> None:
    processor = start("dies", triggers={"web": {"kind": "http", "numWorkers": 2}})
    workers = {processor.ask().body for _ in range(20)}
    dispatcher = next(pid for pid in processor.workers() if str(pid).encode() not in workers)
    os.kill(dispatcher, signal.SIGKILL)
    wait_for(lambda: dispatcher not in processor.workers() and processor.health().status == 200)
    assert {processor.ask().body for _ in range(20)} <= workers


def test_back_off_grows(start: Start) -> None:
    processor = start("init_fails", ready=False)
    wait_for(lambda: processor.log.count("init_context failed") >= 5)
    stamps = re.findall(r"^(\d\d\.\d\d\.\d\d \S+) .*init_context failed", processor.log, re.M)
    first, *_, last = (datetime.strptime(one, "%d.%m.%y %H:%M:%S.%f") for one in stamps[:5])
    # 0.1, 0.2, 0.4 and 0.8 s; each as long as the first would be 0.4 s and four starts.
    assert (last - first).total_seconds() > 1.4


def test_idle_processor_stops_at_once(start: Start) -> None:
    for workers in (1, 3):
        processor = start("termination", triggers={"web": {"kind": "http", "numWorkers": workers}})
        assert processor.stop() < AT_ONCE
        assert processor.log.count("terminated") == workers


def test_request_in_flight_is_finished_before_the_end(start: Start) -> None:
    for workers in (1, 2):
        processor = start("termination", triggers={"web": {"kind": "http", "numWorkers": workers}})
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(processor.ask, body="1.0")
            processor.wait_for_log("began")
            processor.stop()
            assert answer.result().body == b"done"
        assert processor.log.index("handled") < processor.log.index("terminated")


def test_stopping_processor_is_not_ready_and_takes_nothing_new(start: Start, tmp_path: Path) -> None:
    processor, end = start("termination"), tmp_path / "end"
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(processor.ask, "/until", str(end))
        processor.wait_for_log("began")
        processor.process.terminate()
        wait_for(lambda: b"stopping" in processor.health().body)
        wait_for(lambda: is_refused(processor))
        end.touch()
        assert answer.result().status == 200


def test_handler_that_does_not_end_is_killed_in_time(start: Start) -> None:
    trigger = {"kind": "http", "workerTerminationTimeout": "300ms"}
    processor = start("slow", triggers={"web": trigger})
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(processor.ask, body="30")
        processor.wait_for_log("began")
        assert processor.stop() < AT_ONCE
        assert answer.exception() is not None
    assert "worker 0: still busy, killed" in processor.log


def test_ctrl_c_reaches_all_and_still_finishes(start: Start) -> None:
    processor = start("termination")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(processor.ask, body="0.5")
        processor.wait_for_log("began")
        for pid in (*processor.workers(), processor.process.pid):
            os.kill(pid, signal.SIGINT)
        assert answer.result().body == b"done"
    assert processor.wait_for_end() == 0


def test_workers_end_when_the_supervisor_is_killed(start: Start) -> None:
    processor = start("echo", triggers={"web": {"kind": "http", "numWorkers": 2}})
    workers = processor.workers()
    processor.process.kill()
    processor.process.wait()
    wait_for(lambda: not any(is_running(worker) for worker in workers))


def test_children_left_by_others_are_reaped(start: Start, tmp_path: Path) -> None:
    processor = start("dies")
    worker = processor.workers()[0]
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: processor.workers() and worker not in processor.workers())
    assert not Path(f"/proc/{worker}").exists()


def test_function_without_http_listens_nowhere(start: Start) -> None:
    trigger = {"kind": "rabbit-mq", "url": f"amqp://127.0.0.1:{free_port()}"}
    processor = start("echo", ready=False, triggers={"sensors": trigger})
    processor.wait_for_log("no connection to the broker amqp://127.0.0.1:")
    with pytest.raises(ConnectionRefusedError):
        processor.connect()
    assert processor.health().status == 503
    assert b"trigger sensors, worker 0: no connection to the broker" in processor.health().body
    assert processor.stop() < AT_ONCE


def is_refused(processor: Processor) -> bool:
    try:
        processor.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
