"""What is said of handlers that fail or are stuck."""

import pytest

from stack.plan.trouble import Handling, find_handling_troubles, read_handling


@pytest.mark.parametrize(
    ("events", "failures", "is_told"), [(50, 35, True), (50, 10, True), (50, 9, False), (3, 3, True), (2, 2, False)]
)
def test_a_share_of_failures_is_told(events: int, failures: int, is_told: bool) -> None:
    handling = Handling(recent_events=events, recent_failures=failures)
    told = [one.what for one in find_handling_troubles("a", handling)]
    assert told == ([f"{failures} of its last {events} events failed."] if is_told else [])


def test_containers_are_told_of_together() -> None:
    handling = Handling(70.0, 1, 50, 0) + read_handling({"busy_seconds": 90, "stuck_workers": 1, "recent_events": 4})
    assert handling == Handling(90.0, 2, 54, 0)
    (trouble,) = find_handling_troubles("a", handling)
    assert trouble.what == "2 workers have been at one event for 90 s."
    assert read_handling({}) == Handling()


def test_a_queue_that_the_broker_refuses_is_told_with_what_to_do() -> None:
    told = {"refusal": "the broker refuses the queue q.dead: ACCESS_REFUSED"}
    handling = Handling() + read_handling(told) + Handling()
    (trouble,) = find_handling_troubles("a", handling)
    assert trouble.what == "cannot keep what it fails at: the broker refuses the queue q.dead: ACCESS_REFUSED."
    assert trouble.advice.startswith("None is lost: these messages stay unacknowledged.")
