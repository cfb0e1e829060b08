"""What `data forget` takes along of what alerts have written down."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from unittest.mock import Mock

import pytest

from stack.errors import DataError
from stack.run.readings import (
    ReadingsRequest,
    _draw,
    find_series,
    forget_last_seen,
    manage_data,
    print_readings,
    read_labels,
    settle_last_seen,
)
from stack.victoriametrics.client import Series

OVEN = {"sensor": "oven"}


def make(metric: str, labels: Mapping[str, str]) -> Series:
    return Series({"__name__": metric, **labels}, [0.0], [1.0])


class NotingStore:
    """Has notes of two alerts about one sensor."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    def query(self, _text: str) -> list[Series]:
        return [make("tidegate:last_seen", {**OVEN, "alert": alert}) for alert in ("hot", "wet")]

    def delete(self, match: str) -> None:
        self.deleted.append(match)


def test_only_alerts_about_what_is_gone_forget_it() -> None:
    store, gone = NotingStore(), [make("temperature", OVEN)]
    watched = {"hot": gone, "wet": [make("humidity", OVEN)]}
    forget_last_seen(store, gone, watched=watched)  # type: ignore[arg-type]
    assert store.deleted == ['{__name__=~"tidegate:.+", alert="hot", sensor="oven"}']


def test_metric_that_stays_is_still_expected() -> None:
    store, gone = NotingStore(), [make("temperature", OVEN)]
    watched = {name: [*gone, make("humidity", OVEN)] for name in ("hot", "wet")}
    forget_last_seen(store, gone, watched=watched)  # type: ignore[arg-type]
    assert store.deleted == []


def test_note_that_was_about_to_be_written_is_forgotten_too(monkeypatch: pytest.MonkeyPatch) -> None:
    store, gone, waits = NotingStore(), [make("temperature", OVEN)], list[float]()
    monkeypatch.setattr("time.sleep", waits.append)
    settle_last_seen(store, gone, watched={"hot": gone, "wet": []})  # type: ignore[arg-type]
    assert (len(waits), store.deleted) == (1, ['{__name__=~"tidegate:.+", alert="hot", sensor="oven"}'] * 2)
    settle_last_seen(store, gone, watched={})  # type: ignore[arg-type]
    assert len(waits) == 1


def test_what_is_calculated_cannot_be_deleted() -> None:
    with pytest.raises(DataError, match="should be a metric, or a selector"):
        manage_data("forget", "sum(temperature)", labels={}, yes=True)


def test_label_without_value_does_not_delete_all_that_lacks_it() -> None:
    with pytest.raises(DataError, match="--labels sensor=: needs a value"):
        manage_data("forget", "", labels={"sensor": ""}, yes=True)


@pytest.mark.parametrize("text", ["sensor", "=oven", "se-nsor=oven", "", "1st=a"])
def test_what_is_no_label_is_refused_before_the_store_is_asked(text: str) -> None:
    with pytest.raises(DataError, match="should be such as sensor=oven"):
        read_labels(["sensor=oven=hot", text])
    assert read_labels(["sensor=oven=hot", "a_1="]) == {"sensor": "oven=hot", "a_1": ""}


@pytest.mark.parametrize("metric", ['temperature{sensor=~".+"}', '{sensor="oven"}'])
def test_labels_beside_a_selector_are_not_passed_over(metric: str) -> None:
    with pytest.raises(DataError, match=r'write sensor="oven" into '):
        manage_data("forget", metric, labels=OVEN, yes=True)
    with pytest.raises(DataError, match=r'write sensor="oven" into '):
        print_readings(ReadingsRequest(metric, labels=OVEN), follow=False)


@pytest.mark.parametrize(("every", "count"), [("2h", 1), ("40m", 2), ("20m", 3), ("1m", 60)])
def test_means_are_of_the_whole_time_up_to_now(every: str, count: int) -> None:
    store = Mock()
    store.query_steps.return_value = []
    before = time.time()
    assert list(find_series(store, ReadingsRequest("t", "1h", every))) == []
    _, start, end, step = store.query_steps.call_args.args
    assert end >= before and round((end - start) / step) + 1 == count
    assert start - step <= end - 3600


@pytest.mark.parametrize(
    ("values", "chart"),
    [([1.0, 2.0, math.inf], "▁██"), ([-math.inf, 3.0], "▁▁"), ([-math.inf, math.inf], "▁█"), ([-1e308, 1e308], "▁█")],
)
def test_values_without_end_are_drawn(values: list[float], chart: str) -> None:
    assert _draw(values) == chart


class RestartedStore:
    """Answers with each of some exports in turn, and then as Ctrl-C does."""

    def __init__(self, *answers: Sequence[Series] | Exception) -> None:
        self._answers = iter(answers)

    def export(self, _match: str, _start: float, _end: float) -> Iterator[Series]:
        answer = next(self._answers, KeyboardInterrupt())
        if isinstance(answer, BaseException):
            raise answer
        yield from answer


def follow(*answers: Sequence[Series] | Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stack.run.readings.find_store", lambda _: RestartedStore(*answers))
    monkeypatch.setattr("stack.run.readings.open_stack", Mock())
    monkeypatch.setattr("stack.run.readings._FOLLOW_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        print_readings(ReadingsRequest("t"), follow=True)


def test_follow_waits_for_a_store_that_goes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now, away = time.time(), DataError("The store does not answer.")
    first, second = (Series({"__name__": "t"}, [now + at], [at]) for at in (1.0, 2.0))
    follow([], [first], away, away, [first, second], monkeypatch=monkeypatch)
    printed = capsys.readouterr()
    assert [line.split()[-1] for line in printed.out.splitlines()] == ["1", "2"]
    assert printed.err.count("The store does not answer.") == 1


def test_follow_shows_what_devices_with_other_clocks_send(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.time()
    old, slow, fast = (
        Series({"__name__": "t", "id": name}, [now + ahead], [ahead])
        for name, ahead in (("old", -60.0), ("slow", -600.0), ("fast", 600.0))
    )
    follow([old], [old, slow, fast], monkeypatch=monkeypatch)
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == ["-600", "600"]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (ReadingsRequest("avg(t)"), "is calculated and never stored"),
        (ReadingsRequest("t", format="csv", output="t.csv"), "leave out --output and --format"),
    ],
)
def test_follow_refuses_what_it_does_not_do(request_: ReadingsRequest, error: str) -> None:
    with pytest.raises(DataError, match=error):
        print_readings(request_, follow=True)
