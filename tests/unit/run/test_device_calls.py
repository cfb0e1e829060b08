"""`invoke device call` and `calls`: what is asked of the service, what is said, and the exit status."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.devices.api import build_app
from stack.devices.call_api import build_call_routes
from stack.devices.client import DeviceService
from stack.errors import ConfigError, ConflictError, DeviceError, NoAnswerError, StackError
from stack.run.devices import calls as run_calls
from stack.run.devices.calls import CallCommand, handle_call
from stack.state.devices import make_login
from stack.state.workspace import Workspace
from tests.unit.dashboard.serving import serving_app
from tests.unit.devices.fake_broker import FakeLink, answer, open_fake_calls


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: FakeLink) -> Iterator[Path]:
    """A workspace with three devices, of which pump-7 is there and pump-9 is locked out, and the service."""
    root = tmp_path / "workspace"
    (root / "devices").mkdir(parents=True)
    monkeypatch.setenv("TIDEGATE_WORKSPACE", str(root))
    (root / "stack.yaml").write_text("project: none-of-these\n")
    for name in ("pump-7", "pump-8", "pump-9"):
        (root / "devices" / f"{name}.yaml").write_text("{}\n")
    for name in ("pump-7", "pump-8"):
        make_login(Workspace(root), name)
    with open_fake_calls(link, tmp_path / "data") as calls, serving_app(build_app(build_call_routes(calls))) as client:
        monkeypatch.setattr(run_calls, "find_device_service", lambda _: DeviceService("127.0.0.1", client.port))
        yield root


def order(name: str, method: str = "open", *, as_json: bool = False, **options: object) -> None:
    handle_call(CallCommand("call", name, method, **options), as_json=as_json)  # type: ignore[arg-type]


def test_an_answer_is_printed(link: FakeLink, capsys: pytest.CaptureFixture[str]) -> None:
    answer(link, b'{"valve": 2}')
    order("pump-7", data='{"valve": 2}')
    assert capsys.readouterr().out == '{"valve": 2}\n'
    answer(link, b"is open")
    order("pump-7")
    assert capsys.readouterr().out == "is open\n"
    answer(link, b"\x1b[2Jis open\xc2\x9b")
    order("pump-7")
    assert capsys.readouterr().out == "\\x1b[2Jis open\\x9b\n"
    answer(link, b"is open")
    order("pump-7", as_json=True)
    assert json.loads(capsys.readouterr().out)["answer"] == "is open"


def test_a_refusal_is_an_error(link: FakeLink) -> None:
    answer(link, b'{"error": "no such valve"}')
    with pytest.raises(DeviceError, match="pump-7 refused open: no such valve") as error:
        order("pump-7")
    assert error.value.status == 1
    answer(link, b'{"error": ""}')
    with pytest.raises(DeviceError, match="pump-7 refused open, and does not say why"):
        order("pump-7")


@pytest.mark.parametrize(("name", "where"), [("pump-7", "pump-7 has it"), ("pump-8", "pump-8 is away")])
def test_no_answer_has_a_status_of_its_own(name: str, where: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NoAnswerError, match=f"not answered open within 0.1 s: {where}") as error:
        order(name, wait=0.1)
    assert error.value.status == 3
    order(name, wait=0)
    assert where in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "options", "kind", "text"),
    [
        ("none", {}, DeviceError, "There is no device none"),
        ("a/b", {}, ConfigError, "name of a device"),
        ("pump-9", {}, ConflictError, "pump-9 is locked out. `invoke device rotate pump-9`"),
        ("", {}, StackError, "Name the device"),
        ("pump-7", {"method": ""}, StackError, "Name what pump-7 is to do"),
        ("pump-7", {"data": "{"}, ConfigError, "The data should be JSON"),
        ("pump-7", {"data": "[" * 100_000}, ConfigError, "The data should be JSON"),
        ("pump-7", {"expires": "soon"}, ConfigError, "should be a duration"),
        ("pump-7", {"wait": 999.0}, ConfigError, "wait"),
    ],
)
def test_what_is_wrong_is_told(name: str, options: dict[str, object], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        order(name, **options)  # type: ignore[arg-type]


def test_calls_are_listed_with_who_made_them(link: FakeLink, capsys: pytest.CaptureFixture[str]) -> None:
    answer(link, b"2")
    order("pump-7", data='{"valve": 2}')
    handle_call(CallCommand("calls", "pump-7"), as_json=True)
    (call,) = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert (call["method"], call["data"], call["state"], call["answer"]) == ("open", {"valve": 2}, "answered", 2)
    assert call["by"].startswith("task ")
    handle_call(CallCommand("calls", "pump-7"), as_json=False)
    assert '{"valve": 2}' in capsys.readouterr().out
    handle_call(CallCommand("calls", "pump-8"), as_json=False)
    assert "pump-8 was not called" in capsys.readouterr().err


def test_a_long_answer_is_shortened_in_the_list(link: FakeLink, capsys: pytest.CaptureFixture[str]) -> None:
    answer(link, b"x" * 5000)
    order("pump-7")
    assert len(capsys.readouterr().out) == 5001
    handle_call(CallCommand("calls", "pump-7"), as_json=False)
    assert max(map(len, capsys.readouterr().out.splitlines())) < 300
    handle_call(CallCommand("calls", "pump-7"), as_json=True)
    assert json.loads(capsys.readouterr().out)[0]["answer"] == "x" * 5000
