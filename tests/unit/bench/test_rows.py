"""What the benchmark makes of its figures."""

import pytest

from stack.bench.rows import (
    COLUMNS,
    OWN,
    ROWS,
    Result,
    Row,
    choose_rows,
    describe_spread,
    explain_broken,
    find_subjects,
    judge,
    order_rounds,
)
from stack.errors import StackError

LEAST = Row("events, against pika", "events/s", "amqp", "rate", "pika", 0.9)
MOST = Row("time, against docker", "s", "deploy", "time", "docker", 1.4, is_limit=True)


def test_round_whose_ratio_is_the_middle_one_counts() -> None:
    """The machine is twice as fast in the last round, and something else ran during the first."""
    own, others = (1.0, 90.0, 200.0), (50.0, 45.0, 90.0)
    rounds = {OWN: [{"rate": rate} for rate in own], "pika": [{"rate": rate} for rate in others]}
    result = judge(LEAST, rounds)
    assert (result.value, result.reference, result.ratio) == (90.0, 45.0, 2.0)


@pytest.mark.parametrize(("row", "ratio"), [(LEAST, 2.0), (MOST, 5.0)])
def test_of_two_rounds_the_worse_counts(row: Row, ratio: float) -> None:
    rounds = {OWN: [{row.figure: 90.0}, {row.figure: 500.0}], row.reference: [{row.figure: 45.0}, {row.figure: 100.0}]}
    assert judge(row, rounds).ratio == ratio


def test_round_that_only_one_has_does_not_count() -> None:
    result = judge(LEAST, {OWN: [{"rate": 90.0}, {"rate": 500.0}], "pika": [{"rate": 45.0}]})
    assert (result.value, result.reference) == (90.0, 45.0)


@pytest.mark.parametrize(
    ("row", "value", "holds"),
    [(LEAST, 89, False), (LEAST, 90, True), (LEAST, 500, True), (MOST, 140, True), (MOST, 142, False), (MOST, 1, True)],
)
def test_bound_is_a_least_or_a_most(row: Row, value: float, holds: bool) -> None:
    assert Result(row, value, 100.0).holds is holds


@pytest.mark.parametrize("rounds", [{}, {OWN: [{"rate": 1.0}]}, {"pika": [{"rate": 1.0}]}, {OWN: [], "pika": []}])
def test_row_that_was_not_measured_does_not_hold(rounds: dict[str, list[dict[str, float]]]) -> None:
    result = judge(LEAST, rounds)
    assert (result.ratio, result.holds, result.as_line()["holds"]) == (None, False, "not measured")


def test_document_has_what_is_promised() -> None:
    assert Result(LEAST, 12345.678, 10000.0).as_document() == {
        "row": "events, against pika",
        "value": 12350.0,
        "unit": "events/s",
        "reference": 10000.0,
        "ratio": 1.235,
        "bound": 0.9,
        "holds": True,
        "spread": None,
        "reason": "",
    }


def test_row_that_was_not_measured_says_why() -> None:
    document = judge(LEAST, {}, "wrk is missing").as_document()
    assert (document["ratio"], document["holds"], document["reason"]) == (None, False, "wrk is missing")
    assert judge(LEAST, {}).as_document()["reason"] == "it failed; see the warnings above"


@pytest.mark.parametrize(
    ("rates", "spread", "shown"),
    [((90.0, 100.0, 120.0), 0.3, "30%"), ((90.0,), None, "-"), ((1.0, 1.0), None, "-"), ((), None, "-")],
)
def test_spread_is_how_far_the_rounds_of_the_reference_are_apart(
    rates: tuple[float, ...], spread: float | None, shown: str
) -> None:
    """One that was measured once, or is a fixed number, says nothing of the machine."""
    own = [{"rate": 100.0} for _ in rates]
    result = judge(LEAST, {OWN: own, "pika": [{"rate": rate} for rate in rates]})
    assert result.as_document()["spread"] == spread
    assert result.as_line()["wavered"] == shown


def test_spreads_are_told_in_a_sentence() -> None:
    results = [Result(LEAST, 1.0, 1.0, spread) for spread in (0.3, 0.04, 0.1)]
    assert describe_spread(results).startswith("The references wavered by 4% to 30% between rounds, 10% in the middle:")
    assert describe_spread(results[:1]).startswith("The references wavered by 30% between rounds")
    assert describe_spread([Result(LEAST)]) == ""


def test_line_says_which_way_a_bound_goes() -> None:
    line = Result(MOST, 1.5, 1.0).as_line()
    assert set(line) == set(COLUMNS)
    assert (line["value"], line["ratio"], line["bound"], line["holds"]) == ("1.5 s", "1.50", "≤ 1.4", "no")
    assert Result(LEAST, 12345.6, 1.0).as_line()["value"] == "12,346 events/s"


def test_rounds_alternate_and_turn() -> None:
    assert list(order_rounds(["a", "b", "c"], 3)) == ["a", "b", "c", "c", "b", "a", "a", "b", "c"]


def test_subjects_come_once_each() -> None:
    rows = choose_rows("rabbit-mq")
    assert find_subjects(rows, "amqp") == (OWN, "pika", "faststream")
    assert find_subjects(rows, "http") == ()


def test_rows_are_chosen_by_a_part_of_their_name() -> None:
    assert [row.comparison for row in choose_rows("mqtt qos")] == ["mqtt", "mqtt"]
    assert choose_rows("") == ROWS
    with pytest.raises(StackError, match="no row has this in its name; the rows are:\n  rabbit-mq"):
        choose_rows("nothing of the kind")


def test_names_of_rows_differ() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_broken_bounds_are_named_and_so_is_what_was_not_measured() -> None:
    good, bad = Result(LEAST, 1.0, 1.0), Result(MOST, 2.0, 1.0)
    assert explain_broken([good]) == ""
    assert explain_broken([good, bad, Result(LEAST, reason="wrk is missing.\nType this.")]) == (
        "1 of 3 bounds do not hold:\n  time, against docker\n"
        "1 of 3 rows were not measured:\n  events, against pika: wrk is missing."
    )
