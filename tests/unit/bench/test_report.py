"""What a benchmark leaves behind."""

import os
import signal
from pathlib import Path

import pytest

from stack.bench import report
from stack.bench.environment import BenchEnv
from stack.errors import InterruptionError


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_takes_down_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    done: list[str] = []

    def measure(env: BenchEnv, *, quick: bool, as_json: bool) -> None:
        env.exits.callback(lambda: done.append("down" if env.scratch.is_dir() else "too late"))
        os.kill(os.getpid(), number)

    monkeypatch.setenv("TIDEGATE_WORKSPACE", str(tmp_path))
    monkeypatch.setattr(report, "show_growth", measure)
    with pytest.raises(InterruptionError, match="what ran to be measured is taken down"):
        report.run_growth(quick=True, as_json=False)
    assert done == ["down"]
    assert not list((tmp_path / ".stack/bench").glob("tmp*"))
