"""Back-off and readiness of one post, by a clock of the test's own."""

import pytest

from stack.processor.attributes import Attributes
from stack.processor.configuration import Trigger
from stack.processor.place import Place
from stack.processor.post import Post, Role
from stack.processor.status import State, Status


@pytest.fixture
def place() -> Place:
    trigger = Trigger("sensors", "rabbit-mq", 1, "", "", "", Attributes("a", {}), 10.0, 10.0)
    return Place(Post(trigger, Role.WORKER))


def test_delays_double_up_to_ten_seconds(place: Place) -> None:
    delays = [place.vacate("ended", float(now)) for now in range(9)]
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0])
    assert place.start_at == pytest.approx(18.0)


def test_delay_is_forgotten_after_a_while_of_being_well(place: Place) -> None:
    for now in range(5):
        place.vacate("ended", float(now))
    place.note(Status(State.READY, ""), 10.0)
    assert place.vacate("ended", 15.0) > 1.0
    place.note(Status(State.READY, ""), 20.0)
    assert place.vacate("ended", 31.0) == pytest.approx(0.1)


def test_delay_does_not_grow_while_messages_are_to_blame(place: Place) -> None:
    assert [place.vacate("ended", float(now), is_blamed=True) for now in range(5)] == pytest.approx([0.1] * 5)
    assert place.vacate("ended", 6.0) == pytest.approx(0.2)


def test_lost_broker_is_no_trouble_for_half_a_minute(place: Place) -> None:
    place.note(Status(State.WAITING, "no broker"), 0.0)
    assert place.find_trouble(1.0) == "trigger sensors, worker 0: no broker"
    place.note(Status(State.READY, ""), 2.0)
    assert place.find_trouble(3.0) == ""
    place.note(Status(State.WAITING, "no broker"), 10.0)
    place.note(Status(State.WAITING, "still no broker"), 20.0)
    assert place.find_trouble(39.0) == ""
    assert place.find_trouble(41.0) == "trigger sensors, worker 0: still no broker"


def test_dead_worker_is_trouble_at_once(place: Place) -> None:
    place.note(Status(State.READY, ""), 0.0)
    place.vacate("ended by SIGKILL", 1.0)
    assert place.find_trouble(1.0) == "trigger sensors, worker 0: ended by SIGKILL"


def test_reason_of_a_failure_outlives_the_process(place: Place) -> None:
    place.note(Status(State.FAILED, "init_context failed: no"), 0.0)
    place.vacate("ended with exit status 1", 0.1)
    assert "init_context failed" in place.find_trouble(1.0)


def test_place_that_never_came_up_is_failing_until_it_does(place: Place) -> None:
    assert place.failing_seconds(1.0) == 0.0
    for now in (1.0, 2.0):
        place.note(Status(State.FAILED, "init_context failed"), now)
        place.vacate("ended", now)
    assert place.failing_seconds(4.0) == pytest.approx(3.0)
    place.note(Status(State.READY, ""), 5.0)
    place.vacate("ended", 6.0)
    assert place.failing_seconds(9.0) == 0.0


def test_place_that_waits_for_its_broker_is_not_failing(place: Place) -> None:
    place.vacate("ended", 1.0)
    place.note(Status(State.WAITING, "no broker"), 2.0)
    assert place.failing_seconds(60.0) == 0.0


def test_renewed_place_starts_at_once(place: Place) -> None:
    for now in range(5):
        place.vacate("ended", float(now))
    place.renew(leaves_by=10.0)
    assert place.start_at == 0.0
    assert not place.renewed()
    assert place.vacate("ended", 5.0) == pytest.approx(0.1)
