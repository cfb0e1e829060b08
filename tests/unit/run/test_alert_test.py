"""What was recorded, as vmalert-tool reads it."""

import csv
from pathlib import Path

import pytest

from stack.config.alert import AlertTest
from stack.errors import AlertError, ConfigError
from stack.run.alert_test import load_recorded, run_alert_tests
from stack.state.workspace import VARIABLE

TEST = AlertTest.model_validate({"recorded": "night.csv", "every": "10s", "fires": {"1m": []}})
LABELS = r'{"sensor": "a\"b"}'
ROWS = (
    ("time", "metric", "labels", "value"),
    ("2026-11-29T00:00:01.500Z", "t", LABELS, "20.0"),
    ("2026-11-29T00:00:25.000Z", "t", LABELS, "21.5"),
    ("2026-11-29T00:00:31.000Z", "t", LABELS, "1e-07"),
    ("2026-11-29T00:00:00.000Z", "up", "{}", "-3.0"),
)


def test_readings_are_values_at_steps(tmp_path: Path) -> None:
    path = tmp_path / "night.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(ROWS)
    found = load_recorded(path, TEST)
    assert found == {r't{sensor="a\"b"}': "_ 20.0 _ 21.5 0.0000001", "up{}": "-3.0"}


def test_a_spreadsheet_may_have_written_it(tmp_path: Path) -> None:
    path = tmp_path / "night.csv"
    path.write_text("time,metric,labels,value\r\n2026-11-29T00:00:00Z,t,{},1\r\n", encoding="utf-8-sig")
    assert load_recorded(path, TEST) == {"t{}": "1"}


_HEAD = "time,metric,labels,value\n"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "a,b\n1,2\n",
        f"{_HEAD}now,t,{{}},1\n",
        f"{_HEAD}2026-11-29T00:00:00Z,t\n",
        f"{_HEAD}2026-11-29T00:00:00Z,t,[],1\n",
        f"{_HEAD}2026-11-29T00:00:00Z,t,{{}},{'1' * 140_000}\n",
    ],
)
def test_what_is_no_file_of_readings(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "night.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(AlertError, match=r"alerts/night.csv is no file of readings: .* `invoke readings METRIC"):
        load_recorded(path, TEST)


def test_alerts_that_have_no_readings_are_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    (tmp_path / "alerts").mkdir()
    tests = '[{readings: {temperature: "20x5"}, fires: {4m: []}}]'
    (tmp_path / "alerts/hot.yaml").write_text(f"when: temperature > 30\ntests: {tests}\n")
    with pytest.raises(ConfigError, match=r"alerts/hot.yaml: there are no readings to look at"):
        run_alert_tests()
