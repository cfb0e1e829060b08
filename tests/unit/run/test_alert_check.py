"""What is written of alerts and channels, without Docker."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stack.plan.alert import RULES
from stack.plan.notify import CONFIG
from stack.plan.render import COMPOSE
from stack.run.alert_check import keep_checked
from stack.state.access import write_notify_secrets
from stack.state.workspace import Workspace


def test_only_what_was_checked_stays(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    stack: Any = SimpleNamespace(workspace=workspace)
    files = {RULES: b"new", CONFIG: b"new", COMPOSE: b"new"}
    # What `up` has not written would count as checked.
    assert keep_checked(stack, files) == {COMPOSE: b"new"}
    path = workspace.rendered / CONFIG
    path.parent.mkdir(parents=True)
    path.write_bytes(b"checked")
    assert keep_checked(stack, files) == {COMPOSE: b"new", CONFIG: b"checked"}
    assert keep_checked(stack, files, new=(RULES,)) == {**files, CONFIG: b"checked"}


def test_passwords_stay_as_long_as_the_configuration_that_names_them(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    folder = workspace.rendered / "secrets" / "notify"
    write_notify_secrets(workspace, {"notify.old": b"a"})
    write_notify_secrets(workspace, {"notify.new": b"b"}, keeps_others=True)
    assert {path.name for path in folder.iterdir()} == {"notify.old", "notify.new"}
    write_notify_secrets(workspace, {"notify.new": b"b"})
    assert {path.name for path in folder.iterdir()} == {"notify.new"}
