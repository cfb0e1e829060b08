"""Readings as a file, in each form, as another program reads it."""

import csv
import json
import math
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from stack.errors import DataError, HostError
from stack.run.readings_file import write_series
from stack.victoriametrics.client import Series

MOMENT = 1_795_921_200.25
FOUND = (
    Series({"__name__": "temperature", "sensor": "öven"}, [MOMENT, MOMENT + 1], [21.5, -3.0]),
    Series({"__name__": "humidity"}, [MOMENT], [50.0]),
)


def test_parquet_has_a_row_for_each_reading(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="`invoke test` installs it")
    path = tmp_path / "readings.parquet"
    assert write_series(iter(FOUND), "parquet", path=str(path)) == 3
    rows = parquet.read_table(path).to_pylist()
    assert [(row["metric"], dict(row["labels"]), row["value"]) for row in rows] == [
        ("temperature", {"sensor": "öven"}, 21.5),
        ("temperature", {"sensor": "öven"}, -3.0),
        ("humidity", {}, 50.0),
    ]
    assert rows[0]["time"] == datetime.fromtimestamp(MOMENT, UTC)


def test_parquet_takes_whole_numbers_of_any_size(tmp_path: Path) -> None:
    """The store exports 1e308 as an integer of 309 digits."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="`invoke test` installs it")
    path, values = tmp_path / "readings.parquet", [10**308, 2**53 + 1, 7]
    write_series([Series({"__name__": "a"}, [MOMENT] * 3, values)], "parquet", path=str(path))
    assert [row["value"] for row in parquet.read_table(path).to_pylist()] == [1e308, 2.0**53, 7.0]


def test_parquet_without_its_package_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(HostError, match=r"pip install pyarrow"):
        write_series(FOUND, "parquet", path=str(tmp_path / "readings.parquet"))
    assert list(tmp_path.iterdir()) == []


def test_csv_and_json_lines(tmp_path: Path) -> None:
    table, lines = tmp_path / "readings.csv", tmp_path / "readings.jsonl"
    assert (write_series(FOUND, "csv", path=str(table)), write_series(FOUND, "json", path=str(lines))) == (3, 3)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {
        "time": "2026-11-29T03:00:01.250Z",
        "metric": "temperature",
        "labels": '{"sensor": "öven"}',
        "value": "-3.0",
    }
    documents = [json.loads(line) for line in lines.read_text().splitlines()]
    assert documents[2] == {"time": "2026-11-29T03:00:00.250Z", "metric": "humidity", "labels": {}, "value": 50.0}


def test_json_has_nothing_for_what_is_divided_by_zero(tmp_path: Path) -> None:
    path = tmp_path / "readings.jsonl"
    write_series([Series({}, [MOMENT] * 3, [math.inf, math.nan, 10**308])], "json", path=str(path))
    read = partial(json.loads, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert [read(line)["value"] for line in path.read_text().splitlines()] == [None, None, 10**308]


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_file_stays_as_it_is_where_the_store_does_not_answer(tmp_path: Path, kind: str) -> None:
    def refuse() -> Iterator[Series]:
        raise DataError("The store does not answer.")
        yield

    (path := tmp_path / "readings").write_text("of last month")
    with pytest.raises(DataError):
        write_series(refuse(), kind, path=str(path))
    assert path.read_text() == "of last month"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_file_that_cannot_be_written_is_a_message(tmp_path: Path, kind: str) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="`invoke test` installs it")
    with pytest.raises(HostError, match="No such file or directory"):
        write_series(FOUND, kind, path=str(tmp_path / "none" / "readings"))
