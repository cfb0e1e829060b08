"""Back-off and readiness of one worker, by a clock of the test's own."""

import os

import pytest

from stack.processor.attributes import Attributes
from stack.processor.configuration import Trigger
from stack.processor.process import Process
from stack.processor.status import State, Status, StatusReader
from stack.processor.worker_spec import Role, WorkerSpec
from stack.processor.worker_state import WorkerState


@pytest.fixture
def worker() -> WorkerState:
    trigger = Trigger("sensors", "rabbit-mq", 1, "", "", "", Attributes("a", {}), 10.0, 10.0)
    return WorkerState(WorkerSpec(trigger, Role.WORKER))


def start(worker: WorkerState, now: float) -> None:
    read, write = os.pipe()
    os.close(write)
    worker.on_start(Process(os.getpid(), StatusReader(read), -1), now)


def test_delays_double_up_to_ten_seconds(worker: WorkerState) -> None:
    delays = [worker.on_exit("ended", float(now)) for now in range(9)]
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0])
    assert worker.start_at == pytest.approx(18.0)


def test_delay_is_forgotten_after_a_while_of_being_well(worker: WorkerState) -> None:
    for now in range(5):
        worker.on_exit("ended", float(now))
    worker.note(Status(State.READY, ""), 10.0)
    assert worker.on_exit("ended", 15.0) > 1.0
    worker.note(Status(State.READY, ""), 20.0)
    assert worker.on_exit("ended", 31.0) == pytest.approx(0.1)


def test_delay_does_not_grow_while_messages_are_to_blame(worker: WorkerState) -> None:
    assert [worker.on_exit("ended", float(now), is_attributed=True) for now in range(5)] == pytest.approx([0.1] * 5)
    assert worker.on_exit("ended", 6.0) == pytest.approx(0.2)


def test_lost_broker_is_no_trouble_for_half_a_minute(worker: WorkerState) -> None:
    worker.note(Status(State.WAITING, "no broker"), 0.0)
    assert worker.find_trouble(1.0) == "trigger sensors, worker 0: no broker"
    worker.note(Status(State.READY, ""), 2.0)
    assert worker.find_trouble(3.0) == ""
    worker.note(Status(State.WAITING, "no broker"), 10.0)
    worker.note(Status(State.WAITING, "still no broker"), 20.0)
    assert worker.find_trouble(39.0) == ""
    assert worker.find_trouble(41.0) == "trigger sensors, worker 0: still no broker"


def test_what_a_start_waits_for_does_not_hide_what_the_last_one_failed_of(worker: WorkerState) -> None:
    worker.note(Status(State.STARTING, "init_context has not returned"), 0.0)
    assert worker.find_trouble(1.0) == "trigger sensors, worker 0: init_context has not returned"
    worker.note(Status(State.FAILED, "no database"), 2.0)
    worker.on_exit("ended", 2.0)
    start(worker, 3.0)
    worker.note(Status(State.STARTING, "init_context has not returned"), 4.0)
    assert worker.find_trouble(5.0) == "trigger sensors, worker 0: no database"


def test_dead_worker_is_trouble_at_once(worker: WorkerState) -> None:
    worker.note(Status(State.READY, ""), 0.0)
    worker.on_exit("ended by SIGKILL", 1.0)
    assert worker.find_trouble(1.0) == "trigger sensors, worker 0: ended by SIGKILL"


def test_reason_of_a_failure_outlives_the_process(worker: WorkerState) -> None:
    worker.note(Status(State.FAILED, "init_context failed: no"), 0.0)
    worker.on_exit("ended with exit status 1", 0.1)
    assert "init_context failed" in worker.find_trouble(1.0)


def test_reason_of_a_failure_is_told_until_the_next_process_has_said_how_it_is(worker: WorkerState) -> None:
    start(worker, 0.0)
    assert worker.find_trouble(0.0) == "trigger sensors, worker 0: starting"
    worker.note(Status(State.FAILED, "init_context failed: no"), 0.1)
    worker.on_exit("ended with exit status 1", 0.2)
    start(worker, 0.3)
    assert "init_context failed" in worker.find_trouble(0.3)
    worker.note(Status(State.READY, ""), 0.4)
    assert worker.find_trouble(0.4) == ""
    worker.on_exit("ended", 0.5)


def test_place_that_never_came_up_is_failing_until_it_does(worker: WorkerState) -> None:
    assert worker.failing_seconds(1.0) == 0.0
    for now in (1.0, 2.0):
        worker.note(Status(State.FAILED, "init_context failed"), now)
        worker.on_exit("ended", now)
    assert worker.failing_seconds(4.0) == pytest.approx(3.0)
    worker.note(Status(State.READY, ""), 5.0)
    worker.on_exit("ended", 6.0)
    assert worker.failing_seconds(9.0) == 0.0


def test_place_that_waits_for_its_broker_is_not_failing(worker: WorkerState) -> None:
    worker.on_exit("ended", 1.0)
    worker.note(Status(State.WAITING, "no broker"), 2.0)
    assert worker.failing_seconds(60.0) == 0.0


def test_place_whose_broker_refuses_it_is_failing_until_it_was_ready(worker: WorkerState) -> None:
    for now in (1.0, 3.0):
        worker.note(Status(State.REFUSED, "another exchange"), now)
    assert worker.failing_seconds(4.0) == pytest.approx(3.0)
    worker.note(Status(State.WAITING, "no broker"), 5.0)
    assert worker.failing_seconds(6.0) == 0.0
    worker.note(Status(State.READY, ""), 7.0)
    worker.note(Status(State.REFUSED, "another exchange"), 8.0)
    assert worker.failing_seconds(60.0) == 0.0
    assert worker.find_trouble(9.0) == ""


def test_renewed_place_starts_at_once(worker: WorkerState) -> None:
    for now in range(5):
        worker.on_exit("ended", float(now))
    worker.renew(leaves_by=10.0)
    assert worker.start_at == 0.0
    assert not worker.renewed()
    assert worker.on_exit("ended", 5.0) == pytest.approx(0.1)
