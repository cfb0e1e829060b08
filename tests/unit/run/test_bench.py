"""The benchmark's command line and its report, and the counting that the others share."""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NoReturn

import pytest

from stack.bench import program as count
from stack.bench import report
from stack.bench.program import Program, run_program
from stack.bench.rows import OWN
from stack.errors import HostError, StackError

ROOT = Path(__file__).parents[3]


def bench(folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "bench", "--quick", *options]
    environment = os.environ | {"TIDEGATE_WORKSPACE": str(folder)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=200)


def test_json_is_one_document_with_what_is_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    values = iter((4.0, 1.0, 2.0, 5.0))
    monkeypatch.setenv("TIDEGATE_WORKSPACE", str(tmp_path))
    measure = lambda: {"time": next(values)}  # noqa: E731
    monkeypatch.setattr(report, "_COMPARISONS", {"deploy": lambda env, stack: {OWN: measure, "docker": measure}})
    with pytest.raises(StackError, match="1 of 1 bounds do not hold"):
        report.run_bench(quick=True, as_json=True, text="change of a line")
    told = capsys.readouterr()
    (row,) = json.loads(told.out)["rows"]
    assert set(row) == {"row", "value", "unit", "reference", "ratio", "bound", "holds", "spread", "reason"}
    # Of two rounds, 4 of 1 and 5 of 2, the worse.
    assert (row["value"], row["reference"], row["ratio"], row["bound"], row["holds"]) == (4.0, 1.0, 4.0, 2.5, False)
    assert "The references wavered by 67% between rounds" in told.err


def test_rows_for_which_the_machine_lacks_something_stay_and_say_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def open_comparison(env: object, stack: object) -> NoReturn:
        raise HostError("wrk, which makes the load of HTTP, could not be installed.")

    monkeypatch.setenv("TIDEGATE_WORKSPACE", str(tmp_path))
    monkeypatch.setattr(report, "_COMPARISONS", {"http": open_comparison, "gateway": open_comparison})
    with pytest.raises(
        StackError, match=r"3 of 3 rows were not measured:\n  HTTP requests/s, one worker.*: wrk, which"
    ):
        report.run_bench(quick=True, as_json=True, text="HTTP requests/s")
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["value"] for row in rows] == [None] * 3
    assert {row["reason"] for row in rows} == {"wrk, which makes the load of HTTP, could not be installed."}


def test_row_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    result = bench(tmp_path, "--row", "steam")
    assert (result.returncode, result.stdout) == (1, "")
    assert "--row steam: no row has this in its name" in result.stderr


def test_events_are_counted_from_the_first_to_the_last(tmp_path: Path) -> None:
    counted = count.Count(tmp_path / "count")
    with run_sleeper(tmp_path, **counted.environment) as program:
        threading.Thread(target=count_events, args=(counted.environment["BENCH_COUNTER"],)).start()
        assert 10 < counted.measure_rate(51, program) < 101


def test_events_that_do_not_come_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count, "_PATIENCE", 0.2)
    with (
        run_sleeper(tmp_path) as program,
        pytest.raises(StackError, match=r"only 0 of 1 events were handled. sleeper printed:\nasleep"),
    ):
        program.wait_for_line("asleep")
        count.Count(tmp_path / "count").measure_rate(10, program)


def test_memory_of_all_processes_counts(tmp_path: Path) -> None:
    with run_sleeper(tmp_path) as program:
        program.wait_for_line("asleep")
        assert len(program.find_processes()) == 2
        assert program.measure_memory() > 3


def run_sleeper(folder: Path, **environment: str) -> AbstractContextManager[Program]:
    code = "import os, time; os.fork(); print('asleep', flush=True); time.sleep(60)"
    return run_program([sys.executable, "-c", code], folder / "sleeper.log", **environment)


def count_events(path: str) -> None:
    """Count once, and fifty times more within half a second, as another process would."""
    for number in range(1, 52):
        with Path(path).open("r+b") as file:
            file.write(number.to_bytes(8, sys.byteorder))
        time.sleep(0.01)
