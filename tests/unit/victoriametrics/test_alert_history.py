"""What has fired, from what vmalert has written; the store calculates as VictoriaMetrics does."""

import re
from collections.abc import Sequence

import pytest

from stack.victoriametrics.alert_history import Episode, fetch_episodes
from stack.victoriametrics.client import Series, Store

LABELS = {"alertname": "hot", "alertgroup": "hot", "sensor": "oven"}
OVEN = {"alertname": "hot", "sensor": "oven"}
NOW = 1_795_867_200.0


class FakeStore(Store):
    """Has a point each second of some firings, each [start, end]."""

    def __init__(self, *firings: tuple[float, float], has_begins: bool = True) -> None:
        self._firings, self._has_begins = firings, has_begins

    def query(self, text: str, *, at: float | None = None) -> list[Series]:
        assert text.startswith("sum(count_over_time((tfirst_over_time(ALERTS{")
        return []

    def query_range(self, text: str, start: float, end: float, step: float) -> list[Series]:
        assert 'escalation=""' in text and f"[{step}s]" in text
        (function,) = re.findall(r"^(\w+)\(", text)
        if function == "last_over_time" and not self._has_begins:
            return []
        points: dict[float, float] = {}
        for at in range(round(start), round(end) + 1, round(step)):
            if value := self._calculate(function, at - step, at):
                points[float(at)] = value
        name = "ALERTS" if "ALERTS{" in text else "ALERTS_FOR_STATE"
        state = {"alertstate": "firing"} if name == "ALERTS" else {}
        return [Series({"__name__": name, **LABELS, **state}, list(points), list(points.values()))]

    def _calculate(self, function: str, after: float, until: float) -> float | None:
        within = [(max(begin, after + 1), min(end, until), begin) for begin, end in self._firings]
        found = [one for one in within if one[0] <= one[1]]
        if not found:
            return None
        return {"tfirst_over_time": found[0][0], "tlast_over_time": found[-1][1]}.get(function, found[-1][2])


@pytest.fixture(autouse=True)
def _at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)


def find(store: FakeStore, firing: Sequence[dict[str, str]] | None = None) -> list[Episode]:
    return fetch_episodes(store, 86400, firing)


def test_each_firing_is_one() -> None:
    firings = [(NOW - 7200 + 300 * number, NOW - 7190 + 300 * number) for number in range(20)]
    found = find(FakeStore(*firings, (NOW - 1000, NOW - 100)))
    assert [(one.start, one.end) for one in reversed(found)] == [*firings, (NOW - 1000, NOW - 100)]
    assert (found[0].name, found[0].own_labels) == ("hot", {"sensor": "oven"})


def test_what_vmalert_has_not_written_for_a_moment_goes_on() -> None:
    store = FakeStore((NOW - 4000, NOW - 3800), (NOW - 3700, NOW - 3000), has_begins=False)
    assert [(one.start, one.end) for one in find(store)] == [(NOW - 4000, NOW - 3000)]


@pytest.mark.parametrize(("firing", "is_over"), [(None, False), ([OVEN | {"alertgroup": "hot"}], False), ([], True)])
def test_alertmanager_knows_whether_it_is_over(firing: list[dict[str, str]] | None, is_over: bool) -> None:
    (found,) = find(FakeStore((NOW - 500, NOW - 65)), firing)
    assert found.is_over is is_over


def test_what_is_long_over_does_not_fire() -> None:
    (found,) = find(FakeStore((NOW - 5000, NOW - 4000)), [OVEN])
    assert found.is_over
    assert find(FakeStore()) == []
