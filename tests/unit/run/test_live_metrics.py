"""The points of a function's charts."""

from dataclasses import replace

from stack.docker.container import Container
from stack.live.docker import Instance, Usage
from stack.live.metrics import CounterHistory, Look, describe_point
from stack.plan.metrics import Condition, Counters, read_condition

_CONTAINER = Container(
    id="1", name="p-function-f-1", image="", state="running", status="Up (healthy)", ports="", service="function-f",
    definition="", files="", secrets="", function="f",
)  # fmt: skip
_PAGE = """\
nuclio_processor_events_in_flight{trigger_id="a"} 2
nuclio_processor_events_in_flight{trigger_id="b"} 1.0
nuclio_processor_reconnects_total{trigger_id="a"} 4
"""


def look(time: float, events: float, failures: float = 0.0) -> Look:
    return Look(time, Counters(events, failures, buckets=((0.01, events), (float("inf"), events))), Condition(1, 2, 3))


def make_history(*looks: Look) -> CounterHistory:
    history = CounterHistory(10.0)
    for one in looks:
        history.note(one)
    return history


def test_a_processor_tells_its_condition() -> None:
    assert read_condition(_PAGE) == Condition(in_flight=3, reconnects=4, restarts=0)


def test_rates_are_of_the_last_seconds() -> None:
    history = make_history(*(look(time, time * 5) for time in range(0, 42, 2)))
    assert (history.recent.events, history.seconds) == (50, 10)


def test_a_container_that_starts_again_is_measured_again() -> None:
    history = make_history(look(0, 100), look(2, 110), look(4, 3))
    assert not history.is_measured
    assert history.latest.counters.events == 3


def test_a_point_sums_containers_and_tells_of_each() -> None:
    instances = [Instance(_CONTAINER, 5.0), Instance(replace(_CONTAINER, id="2", name="two"), 0.0)]
    histories = {"1": make_history(look(0, 0), look(2, 10, 4))}
    point = describe_point(instances, histories, usages={"1": Usage(1000, 0.5), "2": Usage(500, None)})
    assert (point["rate"], point["failure_rate"], point["in_flight"]) == (5.0, 2.0, 1)
    assert (point["memory"], point["cpu"]) == (1500, 0.5)
    assert 0 < point["p50"] <= point["p99"] <= 10
    first, second = point["replicas"]
    assert (first["container"], first["events"], first["failures"], first["restarts"]) == (_CONTAINER.name, 10, 4, 3)
    assert (second["container"], second["events"], second["since"]) == ("two", None, None)


def test_without_a_container_nothing_is_known() -> None:
    point = describe_point([], {}, usages={})
    assert (point["rate"], point["p50"], point["memory"], point["replicas"]) == (None, None, None, [])
