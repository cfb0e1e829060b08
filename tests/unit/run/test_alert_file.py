"""Files of alerts/, and whether vmalert goes by them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stack.errors import ConfigError
from stack.plan.alert import RULES
from stack.plan.notify import CONFIG
from stack.plan.render import COMPOSE
from stack.run import alert_file as module
from stack.run.alert_file import apply_alerts, list_alert_files
from stack.state.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    folder = tmp_path / "alerts"
    folder.mkdir()
    (folder / "hot.yaml").write_text("when: temperature > 30\nfor: 2m\n")
    (folder / "quiet.yaml").write_text("silent: plant/oven\nafter: 15m\n")
    (folder / "ratio.yaml").write_text("expr: |\n  a\n  / b > 2\n")
    return Workspace(tmp_path)


def make_stack(workspace: Workspace, *, runs: bool) -> Any:
    services = [SimpleNamespace(service="vmalert", is_running=runs)]
    engine = SimpleNamespace(listed=lambda: services)
    stack = SimpleNamespace(workspace=workspace, engine=engine, inputs="inputs")
    stack.bare_inputs = SimpleNamespace(has_vmalert=True)
    stack.reread = lambda: stack
    return stack


def test_files_are_told_in_a_line(workspace: Workspace) -> None:
    found = {one.name: one.summary for one in list_alert_files(workspace.root)}
    assert found == {
        "hot": "temperature > 30 for 2m",
        "quiet": "nothing of plant/oven for 15m",
        "ratio": "a / b > 2",
    }


def test_what_runs_goes_by_what_is_written(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []
    files = {RULES: b"new", CONFIG: b"new", COMPOSE: b"new"}
    monkeypatch.setattr(module, "render", lambda _: files)
    monkeypatch.setattr(module, "check_rules", lambda *_: None)
    monkeypatch.setattr(module, "write_stack", lambda *_, files: written.append(files))
    config = workspace.rendered / CONFIG
    config.parent.mkdir(parents=True)
    config.write_bytes(b"checked")
    assert not apply_alerts(make_stack(workspace, runs=False))
    assert apply_alerts(make_stack(workspace, runs=True)) and written == [files | {CONFIG: b"checked"}]
    # What is wrong would be watched no more.
    (workspace.root / "alerts/bad.yaml").write_text("wen: 3\n")
    assert not apply_alerts(make_stack(workspace, runs=True)) and len(written) == 1
    (workspace.root / "alerts/bad.yaml").unlink()
    monkeypatch.setattr(module, "check_rules", _refuse)
    assert not apply_alerts(make_stack(workspace, runs=True)) and len(written) == 1


def _refuse(*_: Any) -> None:
    raise ConfigError(["no query"])
