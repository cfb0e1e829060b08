"""Files of alerts/, and whether vmalert goes by them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from stack.config.alert import load_alerts
from stack.config.document import parse_model
from stack.config.settings import Settings
from stack.errors import ConfigError
from stack.plan.alert import RULES
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


def make_stack(workspace: Workspace, *, runs: bool = True) -> Any:
    """Return a stack that reads alerts/ each time."""
    services = [SimpleNamespace(service="vmalert", is_running=runs)]
    settings = parse_model(Settings, {"data": {"keep": [{"topic": "#"}]}}, name="stack.yaml")

    def read() -> Any:
        alerts = load_alerts(workspace.root, is_lenient=True)
        return SimpleNamespace(
            workspace=workspace,
            engine=SimpleNamespace(listed=lambda: services),
            settings=settings,
            alerts=alerts,
            reread=read,
        )

    return read()


def list_groups(workspace: Workspace) -> list[str]:
    return [one["name"] for one in yaml.safe_load((workspace.rendered / RULES).read_text())["groups"]]


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What vmalert was asked to check."""
    found: list[bytes] = []
    monkeypatch.setattr(module, "check_rules", lambda _, files: found.append(files[RULES]))
    return found


def test_files_are_told_in_a_line(workspace: Workspace) -> None:
    (workspace.root / "alerts/night.yml").write_text("when: a > 1\n")
    assert [one.is_editable for one in list_alert_files(workspace.root) if one.name == "night.yml"] == [False]
    (workspace.root / "alerts/night.yml").unlink()
    found = {one.name: one.summary for one in list_alert_files(workspace.root)}
    assert found == {
        "hot": "temperature > 30 for 2m",
        "quiet": "nothing of plant/oven for 15m",
        "ratio": "a / b > 2",
    }


def test_what_runs_goes_by_what_is_written(workspace: Workspace, checked: list[bytes]) -> None:
    assert not apply_alerts(make_stack(workspace, runs=False)) and not (workspace.rendered / RULES).exists()
    assert apply_alerts(make_stack(workspace))
    assert list_groups(workspace) == ["hot", "quiet:seen", "quiet", "ratio"]
    assert checked == [(workspace.rendered / RULES).read_bytes()]


@pytest.mark.usefixtures("checked")
def test_a_file_that_is_wrong_is_watched_as_before(workspace: Workspace) -> None:
    apply_alerts(make_stack(workspace))
    (workspace.root / "alerts/quiet.yaml").write_text("silnt: plant/oven\n")
    (workspace.root / "alerts/hot.yaml").unlink()
    assert apply_alerts(make_stack(workspace))
    assert list_groups(workspace) == ["quiet:seen", "quiet", "ratio"]


def test_without_a_file_nothing_is_watched(workspace: Workspace, checked: list[bytes]) -> None:
    apply_alerts(make_stack(workspace))
    for path in (workspace.root / "alerts").iterdir():
        path.unlink()
    assert apply_alerts(make_stack(workspace))
    assert list_groups(workspace) == [] and len(checked) == 1


def test_what_others_save_meanwhile_is_checked_too(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[bytes] = []

    def check(_: Any, files: Any) -> None:
        if not checked:
            (workspace.root / "alerts/other.yaml").write_text("when: b > 2\n")
        checked.append(files[RULES])

    monkeypatch.setattr(module, "check_rules", check)
    assert apply_alerts(make_stack(workspace))
    assert "other" in list_groups(workspace) and len(checked) == 2
    assert (workspace.rendered / RULES).read_bytes() == checked[-1]


def test_what_vmalert_refuses_is_not_written(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise ConfigError(["no query"])

    monkeypatch.setattr(module, "check_rules", refuse)
    with pytest.raises(ConfigError, match="no query"):
        apply_alerts(make_stack(workspace))
    assert not (workspace.rendered / RULES).exists()
