"""Saved events are files that people can read, each in the folder of its function."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from stack.config.document import parse_model
from stack.config.project import FunctionEvent
from stack.errors import ConfigError, FunctionError
from stack.state.project import forget_events, list_events, remove_event, save_event
from stack.state.workspace import Workspace

LABEL = "nuclio.io/function-name"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def make(name: str = "", function: str = "reader", **spec: Any) -> FunctionEvent:
    metadata = {"name": name, "labels": {LABEL: function} if function else {}}
    return parse_model(FunctionEvent, {"metadata": metadata, "spec": spec}, name="event")


def test_saved_event_comes_back_as_it_was(workspace: Workspace) -> None:
    spec: dict[str, Any] = {
        "displayName": "Überhitzt",
        "triggerName": "web",
        "triggerKind": "http",
        "body": '{"value": 99}\n\x85\x00',
        "attributes": {"method": "PUT", "path": "/a", "headers": {"X": "1"}},
    }
    save_event(workspace, make("hot", **spec))
    assert list_events(workspace)["hot"].spec.model_dump(by_alias=True) == spec
    text = (workspace.root / "functions/.events/reader/hot.yaml").read_text()
    assert "displayName: Überhitzt" in text
    assert yaml.safe_load(text)["metadata"] == {"name": "hot", "labels": {LABEL: "reader"}}


def test_event_without_a_name_is_given_one(workspace: Workspace) -> None:
    first, second = save_event(workspace, make(body="1")), save_event(workspace, make(body="2"))
    assert {name: one.spec.body for name, one in list_events(workspace).items()} == {
        first.metadata.name: "1",
        second.metadata.name: "2",
    }


def test_events_of_one_function(workspace: Workspace) -> None:
    save_event(workspace, make("a", "reader"))
    save_event(workspace, make("b", "writer"))
    assert list(list_events(workspace, "writer")) == ["b"]
    forget_events(workspace, "writer")
    assert list(list_events(workspace)) == ["a"]


def test_event_moves_with_its_function(workspace: Workspace) -> None:
    save_event(workspace, make("a", "reader"))
    save_event(workspace, make("a", "writer"))
    assert {name: one.function for name, one in list_events(workspace).items()} == {"a": "writer"}


def test_removed_event_is_gone(workspace: Workspace) -> None:
    save_event(workspace, make("a"))
    remove_event(workspace, "a")
    assert list_events(workspace) == {}
    with pytest.raises(FunctionError, match="There is no function event a"):
        remove_event(workspace, "a")


def test_event_of_no_function_is_refused(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match=r"nuclio\.io/function-name: is required"):
        save_event(workspace, make("a", function=""))


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "a b", "x" * 64])
def test_names_that_would_leave_the_folder(name: str) -> None:
    with pytest.raises(ConfigError, match=r"metadata\.name"):
        make(name)
    with pytest.raises(ConfigError, match=r"metadata\.labels"):
        make("a", function=name)


def test_event_that_could_not_be_read_again_is_not_written(workspace: Workspace) -> None:
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"deeper": deep}
    with pytest.raises(ConfigError, match="nested deeper"):
        save_event(workspace, make("a", attributes=deep))
    assert list_events(workspace) == {}


def test_copied_file_is_an_event_of_its_folder_and_name(workspace: Workspace) -> None:
    save_event(workspace, make("a", "reader", body="x"))
    folder = workspace.root / "functions/.events"
    (folder / "writer").mkdir()
    (folder / "writer/b.yaml").write_bytes((folder / "reader/a.yaml").read_bytes())
    (folder / "writer/wrong.yaml").write_text("spec: 5")
    events = list_events(workspace, "writer")
    assert {name: (one.function, one.metadata.name, one.spec.body) for name, one in events.items()} == {
        "b": ("writer", "b", "x")
    }
