"""The scaler's decisions: never out of bounds, up at once, down gently, and no back and forth."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.config.function import FunctionConfig
from stack.plan.scale import Limits, Load, Memory, Policy, Targets, ask_for, decide, read_targets

ANY = Policy(Targets(cool_down=10, inactivity=10), Limits(0, 5, is_automatic=True))
IDLE, BUSY = Load(), Load(messages=90)

loads = st.builds(Load, messages=st.integers(0, 10**6), rate=st.floats(0, 10**6), requests=st.integers(0, 10**4))
limits = st.tuples(st.integers(0, 8), st.integers(1, 8)).map(lambda two: Limits(min(two), max(two), is_automatic=True))


def run(policy: Policy, course: Sequence[tuple[float, Load]], current: int = 0) -> list[int]:
    """Decide again and again, each time so many seconds after the last; return how many containers there were."""
    now, memory, numbers = 0.0, Memory(since=0.0), []
    for seconds, load in course:
        now += seconds
        decision = decide(current, load, policy, now=now, memory=memory)
        current, memory = decision.replicas, decision.memory
        numbers.append(current)
    return numbers


@given(st.lists(st.tuples(st.floats(0, 100), loads)), limits, st.integers(0, 20))
def test_always_within_the_limits(course: list[tuple[float, Load]], bounds: Limits, current: int) -> None:
    for number in run(Policy(Targets(), bounds), course, current):
        assert bounds.least <= number <= bounds.most


@given(loads, st.integers(0, 5), st.lists(st.floats(0.1, 30), min_size=2))
def test_a_steady_load_is_decided_upon_once(load: Load, current: int, steps: list[float]) -> None:
    numbers = run(ANY, [(step, load) for step in steps], current)
    assert sum(one != two for one, two in pairwise(numbers)) <= 1


@given(st.lists(st.tuples(st.floats(0.1, 9), st.sampled_from([IDLE, BUSY])), min_size=1))
def test_no_container_goes_that_was_needed_within_the_cool_down(course: list[tuple[float, Load]]) -> None:
    now, busy = 0.0, -100.0
    for (seconds, load), number in zip(course, run(ANY, course), strict=True):
        now += seconds
        busy = now if load is BUSY else busy
        if now - busy < ANY.targets.cool_down:
            assert number == 5


def test_more_at_once_and_none_after_the_cool_down() -> None:
    course = [(1.0, IDLE), (1.0, Load(messages=1)), (1.0, Load(messages=45)), *[(1.0, IDLE)] * 10]
    assert run(ANY, course) == [0, 1, 3, *[3] * 9, 0]


def test_who_begins_to_look_removes_nothing_yet() -> None:
    assert run(ANY, [(1, IDLE)] * 11, current=4) == [*[4] * 9, 0, 0]


@pytest.mark.parametrize(
    ("load", "number"),
    [
        (Load(), 0),
        (Load(messages=20), 1),
        (Load(messages=21), 2),
        (Load(requests=1), 1),
        (Load(messages=5, requests=31), 4),
        (Load(rate=1000), 0),
        (Load(messages=10**9), 5),
    ],
)
def test_the_greatest_metric_counts(load: Load, number: int) -> None:
    assert ask_for(load, Targets(), limits=ANY.limits) == number


def test_rate_counts_where_it_has_a_target() -> None:
    assert ask_for(Load(rate=101), Targets(message_rate=50), limits=ANY.limits) == 3


def configure(annotations: dict[str, str], **spec: object) -> FunctionConfig:
    return FunctionConfig.model_validate({"metadata": {"annotations": annotations}, "spec": spec})


def test_targets_are_annotations() -> None:
    annotations = {"tidegate.io/queue-length": "5", "tidegate.io/cool-down": "2.5", "other": "x"}
    assert read_targets(configure(annotations)) == Targets(queue_length=5, cool_down=2.5, inactivity=2.5)


def test_targets_are_nuclios_metrics_too() -> None:
    metrics = [
        {"metricName": "QueueLength", "kind": "External", "threshold": 9},
        {"metricName": "nuclio_processor_stream_high_water_mark_processed_lag", "kind": "Pods", "threshold": 7},
        {"metricName": "nuclio_processor_handled_events_total", "sourceType": "Pods", "threshold": 50},
        {"metricName": "nuclio_processor_worker_pending_allocation_current", "kind": "Pods", "threshold": 3},
        {"metricName": "cpu", "kind": "Resource", "threshold": 75},
    ]
    windows = [{"metricName": "nuclio_processor_handled_events_total", "windowSize": "5m", "threshold": 0}]
    spec = {"autoScaleMetrics": metrics, "scaleToZero": {"scaleResources": windows}}
    targets = Targets(queue_length=7, message_rate=50, requests=3, inactivity=300)
    assert read_targets(configure({}, **spec)) == targets
    annotations = {"tidegate.io/queue-length": "40", "tidegate.io/cool-down": "5"}
    assert read_targets(configure(annotations, **spec)) == replace(targets, queue_length=40, cool_down=5)


@pytest.mark.parametrize("text", ["many", "0", "-1", "inf", "nan"])
def test_target_that_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match=r"tidegate\.io/requests should be a number above 0"):
        configure({"tidegate.io/requests": text})


@pytest.mark.parametrize(("inactivity", "end"), [(4, [*[3] * 3, 0, 0, 0]), (8, [*[3] * 4, *[1] * 3, 0])])
def test_last_container_goes_after_the_inactivity(inactivity: float, end: list[int]) -> None:
    policy = replace(ANY, targets=Targets(cool_down=5, inactivity=inactivity))
    course = [*[(5.0, IDLE)] * 2, (1.0, Load(messages=45)), *[(1.0, IDLE)] * len(end)]
    assert run(policy, course)[3:] == end
