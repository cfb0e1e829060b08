"""Hints at keys, as a deploy of several functions asks for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.docker.stack import open_stack
from stack.plan.key_hint import Publisher
from stack.run import function
from stack.run.function_snapshot import load_publishers
from stack.state.workspace import VARIABLE, Workspace
from tests.unit.plan.samples import make_plan


def test_sources_are_read_once_for_a_deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    (tmp_path / "stack.yaml").write_text("project: tidegate-unit-hints\nimages: {source: debian}\n")
    folder = tmp_path / "functions" / "sender"
    folder.mkdir(parents=True)
    (folder / "function.yaml").write_text("spec: {handler: 'main:handler'}\n")
    (folder / "main.py").write_text("publish('e', 'temperature')\n")
    asked: list[Workspace] = []

    def load(workspace: Workspace) -> Iterator[Publisher]:
        asked.append(workspace)
        return load_publishers(workspace)

    monkeypatch.setattr(function, "load_publishers", load)
    attributes = {"exchangeName": "e", "queueName": "q", "topics": ["temeprature"]}
    plans = [make_plan(name, triggers={"in": {"kind": "rabbit-mq", "attributes": attributes}}) for name in ("a", "b")]
    hints = function.find_hints(open_stack(), plans)
    assert [len(asked), *map(len, hints.values())] == [1, 1, 1]
    assert "e gets temperature from sender" in hints["b"][0]
