"""Readings as a file: CSV, JSON Lines or Parquet, a row for each."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from itertools import chain, islice
from math import isfinite
from pathlib import Path
from typing import IO, Any

from stack.errors import HostError
from stack.victoriametrics.client import Series

FORMATS = ("csv", "json", "parquet")


def write_series(found: Iterable[Series], kind: str, *, path: str) -> int:
    """Write readings to a file, or, without a path, to standard output; return how many.

    A file that is there is left as it is until the store has answered.

    Raises:
        HostError: the file cannot be written, or what writes Parquet is not installed.
    """
    rest = iter(found)
    found = chain([*islice(rest, 1)], rest)
    try:
        if kind == "parquet":
            return _write_parquet(found, Path(path))
        with _open_output(path) as output:
            return _write_json(found, output) if kind == "json" else _write_csv(found, output)
    except OSError as error:
        if not path:
            raise
        raise HostError(f"{path}: {error.strerror}.") from error


def write_time(moment: float) -> str:
    """Return a time, given in seconds since 1970, in ISO 8601."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_labels(series: Series) -> str:
    """Return the labels of a series as JSON."""
    return json.dumps(series.own_labels, ensure_ascii=False)


@contextmanager
def _open_output(path: str) -> Iterator[IO[str]]:
    if path:
        with Path(path).open("w", encoding="utf-8", newline="") as output:
            yield output
    else:
        yield sys.stdout


def _write_csv(found: Iterable[Series], output: IO[str]) -> int:
    count, rows = 0, csv.writer(output, lineterminator="\n")
    rows.writerow(("time", "metric", "labels", "value"))
    for series in found:
        labels = write_labels(series)
        for moment, value in zip(series.times, series.values, strict=True):
            rows.writerow((write_time(moment), series.metric, labels, value))
        count += len(series.times)
    return count


def _write_json(found: Iterable[Series], output: IO[str]) -> int:
    count = 0
    for series in found:
        for moment, value in zip(series.times, series.values, strict=True):
            # JSON has no word for what a query divides by zero.
            number = value if isfinite(value) else None
            line = {"time": write_time(moment), "metric": series.metric, "labels": series.own_labels, "value": number}
            output.write(json.dumps(line, ensure_ascii=False) + "\n")
        count += len(series.times)
    return count


def _write_parquet(found: Iterable[Series], path: Path) -> int:
    arrow, parquet = _import_arrow()
    labels = arrow.map_(arrow.string(), arrow.string())
    columns = {"time": arrow.timestamp("ms", tz="UTC"), "metric": arrow.string(), "labels": labels}
    schema, count = arrow.schema({**columns, "value": arrow.float64()}), 0
    with parquet.ParquetWriter(path, schema) as writer:
        for series in found:
            size = len(series.times)
            times = [round(moment * 1000) for moment in series.times]
            own = [list(series.own_labels.items())] * size
            # The store writes whole numbers as such, of which Arrow refuses those that a float does not hold exactly.
            values = [float(value) for value in series.values]
            writer.write_table(arrow.table([times, [series.metric] * size, own, values], schema=schema))
            count += size
    return count


def _import_arrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise HostError("Parquet needs the package pyarrow: `.venv/bin/python -m pip install pyarrow`.") from None
