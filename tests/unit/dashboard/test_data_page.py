"""The page of readings; the store is the test's own."""

import csv
import re
import time
from collections.abc import Iterator
from io import StringIO
from typing import Any
from urllib.parse import quote, unquote

import pytest

from stack.dashboard.pages import data, metrics
from stack.errors import DataError
from stack.state.workspace import Workspace
from stack.victoriametrics.client import OWN, Series, Store
from tests.unit.dashboard.serving import Client
from tests.unit.dashboard.test_function_tabs import write

NOON = 1_795_867_200.0
OVEN = {"__name__": "temperature", "sensor": "o<ven"}


class FakeStore(Store):
    def __init__(self) -> None:
        self.problem = ""

    def query(self, text: str, *, at: float | None = None) -> list[Series]:
        self._fail()
        if OWN in text:
            return [Series({"__name__": "events", "job": "tidegate-functions"}, [NOON], [5.0])]
        if text.startswith("aggr"):
            kinds = {"last_over_time": 21.25, "avg_over_time": 2.5}
            return [Series({**OVEN, "rollup": kind}, [NOON], [value]) for kind, value in kinds.items()]
        return [Series(OVEN, [NOON], [NOON if text.startswith("tlast") else 21.25])]

    def query_range(self, text: str, start: float, end: float, step: float) -> list[Series]:
        self._fail()
        kinds = {"avg": 2.0, "min": 1.0, "max": 3.0}
        return [Series({**OVEN, "rollup": kind}, [NOON + 60], [value]) for kind, value in kinds.items()]

    def _fail(self) -> None:
        if self.problem:
            raise DataError(self.problem)


@pytest.fixture
def store(workspace: Workspace, client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeStore]:
    """A stack that keeps readings."""
    store, path = FakeStore(), workspace.root / "stack.yaml"
    before = path.read_text()
    monkeypatch.setattr(data, "find_store", lambda _: store)
    path.write_text(before + "data: {keep: [{topic: '#'}], retention: 90d}\n")
    yield store
    path.write_text(before)


def chart(client: Client, **fields: Any) -> Any:
    query = "&".join(f"{name.rstrip('_')}={quote(str(value))}" for name, value in fields.items())
    return client.send("GET", f"/data/chart?{query}", Accept="application/json")


def test_page_without_a_store_says_what_to_write(client: Client) -> None:
    page = client.send("GET", "/data").body.decode()
    assert "No readings are kept" in page and "stack.yaml" in page and "keep:" in page
    assert "data.js" not in page
    answer = client.send("GET", "/data/chart?q=a", Accept="application/json")
    assert answer.status == 400 and "names no readings" in answer.json["error"]


def test_page_tells_how_long_readings_are_kept(client: Client, store: FakeStore) -> None:
    page = client.send("GET", "/data").body.decode()
    assert "for 90d" in page and "data.js" in page


def test_page_leads_to_grafana_where_there_is_one(client: Client, store: FakeStore, workspace: Workspace) -> None:
    assert "Grafana" not in client.send("GET", "/data").body.decode()
    path = workspace.root / "stack.yaml"
    path.write_text(path.read_text().replace("retention: 90d", "grafana: true"))
    assert 'href="http://127.0.0.1:8300/"' in client.send("GET", "/data").body.decode()


def test_tree_has_each_series_with_its_last_value_and_time(client: Client, store: FakeStore) -> None:
    page = client.send("GET", "/data/series").body.decode()
    assert "21.25" in page and 'datetime="2026-11-28T12:00:00+00:00"' in page
    assert "sensor=o&lt;ven" in page and "<ven" not in page
    assert 'value="temperature"' in page
    assert "No series is called so" in client.send("GET", "/data/series?filter=humidity").body.decode()
    assert "21.25" in client.send("GET", "/data/series?filter=O%3CVEN").body.decode()


def test_labels_that_all_series_of_a_metric_have_stand_there_once() -> None:
    plant = {"__name__": "temperature", "plant": "north"}
    (branch,) = data._build_tree([Series({**plant, "sensor": name}, [NOON], [1.0]) for name in "ab"])
    assert branch["labels"] == {"plant": "north"}
    assert [one["labels"] for one in branch["series"]] == [{"sensor": "a"}, {"sensor": "b"}]
    assert branch["series"][0]["selector"] == '{__name__="temperature",plant="north",sensor="a"}'
    (alone,) = data._build_tree([Series(plant, [NOON], [1.0])])
    assert (alone["labels"], alone["series"][0]["labels"]) == ({}, {"plant": "north"})


def test_many_series_are_in_branches_by_the_label_that_makes_the_fewest() -> None:
    places = [("north", f"n{at}") for at in range(6)] + [("south", f"s{at}") for at in range(6)]
    found = [Series({"__name__": "t", "plant": plant, "sensor": sensor}, [NOON], [1.0]) for plant, sensor in places]
    (metric,) = data._build_tree(found)
    assert (metric["title"], metric["count"], metric["series"]) == ("t", 12, [])
    north, south = metric["branches"]
    assert (north["title"], north["selector"], north["count"]) == ("plant=north", '{__name__="t",plant="north"}', 6)
    assert south["series"][0]["labels"] == {"sensor": "s0"}
    assert south["series"][0]["selector"] == '{__name__="t",plant="south",sensor="s0"}'
    # A label of which each series has another value divides nothing.
    (flat,) = data._build_tree([Series({"__name__": "t", "sensor": f"s{at}"}, [NOON], [1.0]) for at in range(12)])
    assert not flat["branches"] and len(flat["series"]) == 12


def test_a_metric_tells_of_all_its_series_where_some_are_shown() -> None:
    found = [Series({"__name__": "t", "sensor": f"s{at:04}"}, [NOON], [1.0]) for at in range(1000)]
    (metric,) = data._build_tree(found)
    assert (metric["count"], len(metric["series"])) == (1000, data._SHOWN)


def test_branches_are_on_the_page(client: Client, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Series({"__name__": "t", "a": f"{at // 6}", "b": f"{at}"}, [NOON], [1.0]) for at in range(12)]
    monkeypatch.setattr(data, "_fetch_last", lambda services, selector: found)
    page = client.send("GET", "/data/series").body.decode()
    assert page.count("<details open>") == 1 and page.count("<details>") == 2
    assert 'aria-label="All series of a=1"' in page and page.count("<li ") == 12


def test_own_figures_are_apart_from_readings(client: Client, store: FakeStore) -> None:
    assert "tidegate-functions" not in client.send("GET", "/data/series").body.decode()
    own = client.send("GET", "/data/series?own=1").body.decode()
    assert "tidegate-functions" in own and "21.25" not in own


def test_store_that_is_away_is_told_in_the_place_of_the_tree(client: Client, store: FakeStore) -> None:
    store.problem = "The store of readings does not answer: `invoke up` starts it."
    answer = client.send("GET", "/data/series")
    assert answer.status == 200 and "does not answer" in answer.body.decode()


def test_chart_has_the_figures_of_each_line(client: Client, store: FakeStore) -> None:
    found = chart(client, q="temperature", from_=NOON, to=NOON + 180, points=3).json
    assert (found["start"], found["end"], found["step"], found["found"]) == (NOON, NOON + 180, 60, 1)
    assert found["times"] == [NOON + 30, NOON + 90, NOON + 150]
    (line,) = found["lines"]
    assert (line["title"], line["labels"]) == ('temperature{sensor="o<ven"}', {"sensor": "o<ven"})
    assert (line["mean"][0], line["low"][0], line["high"][0]) == (2, 1, 3)
    assert (line["last"], line["average"]) == (21.25, 2.5)


def test_chart_of_the_last_while_ends_now(client: Client, store: FakeStore) -> None:
    found = chart(client, q="temperature", since=900).json
    assert found["end"] - found["start"] == pytest.approx(900)
    assert found["end"] == pytest.approx(time.time(), abs=10)


@pytest.mark.parametrize("fields", [{"since": "x"}, {"from_": 5, "to": 4}, {"since": "nan"}, {"points": "many"}])
def test_time_that_is_none_is_refused_in_words(client: Client, store: FakeStore, fields: dict[str, Any]) -> None:
    answer = chart(client, q="temperature", **fields)
    assert answer.status == 422 and "should" in answer.json["error"]


def test_csv_has_what_is_seen(client: Client, store: FakeStore) -> None:
    answer = client.send("GET", f"/data/csv?q=temperature&from={NOON}&to={NOON + 180}&points=3")
    assert answer.headers["content-disposition"] == 'attachment; filename="readings.csv"'
    (row,) = csv.DictReader(StringIO(answer.body.decode()))
    assert row == {
        "time": "2026-11-28T12:00:30.000Z",
        "metric": "temperature",
        "labels": '{"sensor": "o<ven"}',
        "mean": "2.0",
        "min": "1.0",
        "max": "3.0",
    }


def test_demo_leads_to_what_is_kept_of_its_topic(client: Client, store: FakeStore, workspace: Workspace) -> None:
    page = client.send("GET", "/demo").body.decode()
    (link,) = re.findall(r'href="(/data\?[^"]*)"', page)
    assert unquote(link) == '/data?q={__name__="reading",topic="iot/sensors/temperature"}&amp;since=3600'
    path = workspace.root / "stack.yaml"
    path.write_text(path.read_text() + "wrong: true\n")
    assert "Readings of before" not in client.send("GET", "/demo").body.decode()


def test_figures_of_a_function_begin_with_the_past(
    client: Client, store: FakeStore, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "find_store", lambda _: store)
    write(workspace, client)
    assert 'data-past="/functions/thermo/metrics/past"' in client.send("GET", "/functions/thermo/metrics").body.decode()
    ready = metrics.build_queries("thermo", 15)["ready"]

    def answer(text: str, start: float, end: float, step: float) -> list[Series]:
        return [Series({}, [end - step, end], [2.0, 3.0])] if ready in text else []

    store.query_range = answer  # type: ignore[method-assign]
    entries = client.send("GET", "/functions/thermo/metrics/past").json["entries"]
    assert [one["ready"] for one in entries] == [2, 3]
    assert entries[1]["time"] - entries[0]["time"] == pytest.approx(15, abs=15)
    store.problem = "The store of readings does not answer."
    store.query_range = FakeStore.query_range.__get__(store)  # type: ignore[method-assign]
    assert client.send("GET", "/functions/thermo/metrics/past", Accept="application/json").status == 422
    assert client.send("GET", "/functions/none/metrics/past", Accept="application/json").status == 404
