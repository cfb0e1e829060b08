"""The sums over a function's replicas."""

from typing import Any

from stack.dashboard.pages.metrics import Total, sum_replicas


def make_replica(**given: float | None) -> dict[str, Any]:
    keys = ("events", "failures", "retried", "dead", "in_flight", "reconnects", "restarts", "memory")
    return dict.fromkeys(keys) | given


def test_replicas_are_summed_and_what_is_worth_a_look_is_marked() -> None:
    replicas = [make_replica(events=1200, failures=2, memory=4e6), make_replica(events=34, failures=0, retried=0)]
    totals = {one.key: one for one in sum_replicas(replicas)}
    assert totals["events"] == Total("events", "Events", "1\u2009234")
    assert totals["failures"] == Total("failures", "Failures", "2", "error")
    assert totals["retried"] == Total("retried", "Retries", "0")
    assert totals["dead"].text == "\u2013"
    assert totals["memory"].text == "4.0 MB"
