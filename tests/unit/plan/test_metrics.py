"""What a processor's /metrics tells."""

import pytest

from stack.plan.metrics import Counters, read_counters

_PAGE = """\
# HELP nuclio_processor_handled_events_total Events, by what became of them.
# TYPE nuclio_processor_handled_events_total counter
nuclio_processor_handled_events_total{trigger_id="a",function="f",result="success"} 7.0
nuclio_processor_handled_events_total{trigger_id="a",function="f",result="failure"} 2.0
nuclio_processor_handled_events_total{trigger_id="b",function="f",result="success"} 1.0
nuclio_processor_handled_events_duration_seconds_bucket{trigger_id="a",le="0.001"} 4.0
nuclio_processor_handled_events_duration_seconds_bucket{trigger_id="a",le="+Inf"} 9.0
nuclio_processor_handled_events_duration_seconds_bucket{trigger_id="b",le="0.001"} 1.0
nuclio_processor_handled_events_duration_seconds_bucket{trigger_id="b",le="+Inf"} 1.0
nuclio_processor_handled_events_duration_seconds_sum{trigger_id="a"} 2.5
nuclio_processor_handled_events_duration_seconds_sum{trigger_id="b"} 0.5
nuclio_processor_retried_events_total{trigger_id="a"} 5.0
nuclio_processor_dead_lettered_events_total{trigger_id="a"} 1.0
nuclio_processor_worker_allocation_total{trigger_id="a",result="success_immediate"} 99.0
"""


def test_triggers_are_summed() -> None:
    assert read_counters(_PAGE) == Counters(10, 2, 5, 1, ((0.001, 5), (float("inf"), 10)), 3.0)


def test_a_page_of_something_else_tells_nothing() -> None:
    assert read_counters("<html></html>") == Counters()


def test_a_difference_has_the_events_between_two_looks() -> None:
    before = Counters(10, 1, buckets=((0.1, 8), (float("inf"), 10)))
    after = Counters(14, 2, buckets=((0.1, 11), (float("inf"), 14)))
    assert after - before == Counters(4, 1, buckets=((0.1, 3), (float("inf"), 4)))


@pytest.mark.parametrize(("share", "seconds"), [(0.5, 0.02), (0.25, 0.01), (0.75, 0.03), (0.99, 0.1)])
def test_a_quantile_lies_within_its_bucket(share: float, seconds: float) -> None:
    buckets = ((0.01, 25.0), (0.03, 75.0), (0.1, 75.0), (float("inf"), 100.0))
    assert Counters(100, buckets=buckets).quantile(share) == pytest.approx(seconds)


def test_no_events_have_no_quantile() -> None:
    assert Counters().quantile(0.5) is None
    assert Counters(buckets=((0.1, 0.0), (float("inf"), 0.0))).quantile(0.99) is None


@pytest.mark.parametrize(
    ("buckets", "seconds", "share", "most"),
    [
        # Three calls of five seconds each, a little more than the bound of their bucket.
        (((1.0, 0.0), (5.0, 0.0), (10.0, 3.0), (float("inf"), 3.0)), 15.03, 0.99, 5.03),
        # One slow call beside many quick ones.
        (((0.01, 99.0), (5.0, 99.0), (10.0, 100.0), (float("inf"), 100.0)), 5.4, 0.999, 5.4),
        (((0.01, 99.0), (5.0, 99.0), (10.0, 100.0), (float("inf"), 100.0)), 5.4, 0.5, 0.0051),
    ],
)
def test_a_quantile_is_no_more_than_the_events_took_together(
    buckets: tuple[tuple[float, float], ...], seconds: float, share: float, most: float
) -> None:
    found = Counters(buckets[-1][1], buckets=buckets, seconds=seconds).quantile(share)
    assert found == pytest.approx(most, rel=0.01)
