"""The project of a new workspace, which no other stack of this machine should have."""

from typing import Any

import pytest

from stack.errors import EngineError
from stack.run import new_workspace
from stack.run.new_workspace import choose_project


@pytest.mark.parametrize(
    ("folder", "project"),
    [("plant", "plant-3"), ("Oven", "oven"), ("tidegate", "tidegate-2"), ("Ω", "tidegate-2")],
)
def test_project_is_none_that_has_data_here(monkeypatch: pytest.MonkeyPatch, folder: str, project: str) -> None:
    there: Any = {"plant": ("a volume",), "plant-2": ("a volume",)}
    monkeypatch.setattr(new_workspace, "list_volumes", lambda name: there.get(name, ()))
    assert choose_project(folder) == project


def test_project_is_the_folders_without_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_project: str) -> Any:
        raise EngineError("Docker is not installed.")

    monkeypatch.setattr(new_workspace, "list_volumes", fail)
    assert choose_project("plant") == "plant"
