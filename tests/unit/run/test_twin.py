"""`invoke device twin`, with the service of devices on a port of this machine."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.errors import ConflictError, DeviceError
from stack.run.devices.presence import describe_presence
from stack.run.devices.twin import TwinCommand, handle_twin, read_changes
from tests.unit.devices.serving import Served, serve_devices


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("TIDEGATE_WORKSPACE", str(tmp_path))
    (tmp_path / "stack.yaml").write_text("project: none-of-these\n")
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "pump-7.yaml").write_text("{}\n")
    with serve_devices(tmp_path / "data") as served:
        monkeypatch.setattr("stack.run.devices.twin.find_device_service", lambda _: served.client)
        yield served


def show(capsys: pytest.CaptureFixture[str], command: TwinCommand, *, as_json: bool = False) -> str:
    handle_twin(command, as_json=as_json)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "patch"),
    [
        (["fan=on"], {"fan": "on"}),
        (["n=3", "b=true", "none=null", "text=a=b"], {"n": 3, "b": True, "none": None, "text": "a=b"}),
        (["light.level=3", "light.color=red"], {"light": {"level": 3, "color": "red"}}),
        (["a.b=1", "a=2"], {"a": 2}),
        (["a=2", "a.b=1"], {"a": {"b": 1}}),
        (['list=[1, "x"]'], {"list": [1, "x"]}),
    ],
)
def test_what_is_set_is_a_merge_patch(changes: list[str], patch: dict[str, object]) -> None:
    assert read_changes(changes) == patch


@pytest.mark.parametrize("text", ["", "fan", "=on", "a..b=1"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(DeviceError, match="NAME=VALUE"):
        read_changes([text])


def test_what_begins_as_json_is_json() -> None:
    with pytest.raises(DeviceError, match=r"--set: '\{\"a\":' begins as JSON, and is none"):
        read_changes(['x={"a":'])


@pytest.mark.usefixtures("served")
def test_a_twin_is_set_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    text = show(capsys, TwinCommand("pump-7"))
    assert "desired (version 0): {}" in text and "difference: none" in text
    show(capsys, TwinCommand("pump-7", ["fan=on"]))
    text = show(capsys, TwinCommand("pump-7", ["fan=off"], is_reported=True))
    assert "reported (version 1, " in text and "desired" not in text
    assert 'difference: {"fan": "on"}' in show(capsys, TwinCommand("pump-7"))
    assert json.loads(show(capsys, TwinCommand("pump-7"), as_json=True))["reported"] == {"fan": "off"}
    with pytest.raises(ConflictError):
        show(capsys, TwinCommand("pump-7", ["fan=off"], version="7"))
    lines = show(capsys, TwinCommand("pump-7", is_history=True)).splitlines()
    assert ["reported" in line for line in lines[-2:]] == [True, False]


@pytest.mark.usefixtures("served")
def test_what_is_wrong_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    for command, text in (
        (TwinCommand(""), "Name the device"),
        (TwinCommand("pump-8"), "There is no device pump-8"),
        (TwinCommand("pump-7", ["a=1"], version="x"), "--version should be"),
    ):
        with pytest.raises(DeviceError, match=text):
            show(capsys, command)


def test_presence_in_a_few_words() -> None:
    assert describe_presence(None) == "never"
    assert describe_presence({"since": 5.0, "connected": True, "reason": ""}).startswith("since 19")
    assert describe_presence({"since": 5.0, "connected": False, "reason": "lost"}).startswith("no, lost 19")
