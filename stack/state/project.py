"""Records: small YAML files that Tidegate writes and people read, and may edit."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from stack import console
from stack.config.document import parse_model, write_compact
from stack.config.function import DEFAULT_PROJECT, FUNCTION_LABEL
from stack.config.project import FunctionEvent, Project, ProjectMetadata
from stack.config.source import FOLDER
from stack.config.yaml_loader import parse_mapping, read_mapping
from stack.errors import ConfigError, FunctionError, HostError
from stack.state.workspace import Workspace, advise, write_file

SUFFIX = ".yaml"


def write_record(path: Path, content: dict[str, Any]) -> None:
    """Write a record, in the place of what is there.

    Raises:
        ConfigError: it could not be read again, since it is too large or too deep.
        HostError: it cannot be written.
    """
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    parse_mapping(text, path.name)
    write_file(path, text.encode())


def remove_record(path: Path) -> None:
    """Remove a record, and its folder if nothing else is in it.

    Raises:
        HostError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
        if not any(path.parent.iterdir()):
            path.parent.rmdir()
    except OSError as error:
        raise HostError(f"{path} cannot be removed: {error.strerror}. {advise(error, path)}") from error


PROJECTS = f"{FOLDER}/.projects"


def list_projects(workspace: Workspace, used: Iterable[str] = ()) -> dict[str, Project]:
    """Return every project by its name: those with a file, those that functions use, and the default one.

    A file that cannot be read stands for a project of its name, and is warned of.
    """
    names = {*_files(workspace), *used, DEFAULT_PROJECT}
    return {name: _read(workspace, name) for name in sorted(names)}


def save_project(workspace: Workspace, project: Project) -> None:
    """Write a project's file, in the place of what is there.

    Raises:
        ConfigError: it is too large.
        HostError: it cannot be written.
    """
    name = project.metadata.name
    content = {key: value for key, value in write_compact(project).items() if key in ("metadata", "spec")}
    write_record(workspace.root / PROJECTS / f"{name}{SUFFIX}", content)


def remove_project(workspace: Workspace, name: str) -> None:
    """Remove a project's file, if it has one.

    Raises:
        HostError: it cannot be removed.
    """
    if path := _files(workspace).get(name):
        remove_record(path)


def _read(workspace: Workspace, name: str) -> Project:
    # A project that only functions use may have a name that is none; so it is not checked.
    bare = Project.model_construct(metadata=ProjectMetadata.model_construct(name=name))
    path = _files(workspace).get(name)
    if path is None:
        return bare
    title = f"{PROJECTS}/{path.name}"
    try:
        project = parse_model(Project, read_mapping(path, title), name=title)
    except ConfigError as error:
        console.warn(str(error))
        return bare
    return project if project.metadata.name == name else bare


def _files(workspace: Workspace) -> dict[str, Path]:
    """Return the files of projects by the projects' names."""
    return {path.stem: path for path in (workspace.root / PROJECTS).glob(f"*{SUFFIX}") if path.is_file()}


EVENTS = f"{FOLDER}/.events"


def list_events(workspace: Workspace, function: str = "") -> dict[str, FunctionEvent]:
    """Return saved events by their names: all, or those of one function.

    A file that cannot be read is left out, and warned of.
    """
    found = (
        (path.stem, _read_saved_event(path))
        for path in _files_saved_event(workspace)
        if function in ("", path.parent.name)
    )
    return {name: event for name, event in found if event}


def save_event(workspace: Workspace, event: FunctionEvent) -> FunctionEvent:
    """Write an event's file, in the place of what has its name; without a name it is given one. Return it so.

    Raises:
        ConfigError: it does not say which function it is for, or is too large.
        HostError: it cannot be written.
    """
    if not event.function:
        raise ConfigError([f"metadata.labels.{FUNCTION_LABEL}: is required: the function that the event is for"])
    name, labels = event.metadata.name or str(uuid4()), event.metadata.labels
    content = {"metadata": {"name": name, "labels": labels}, "spec": write_compact(event.spec)}
    path = workspace.root / EVENTS / event.function / f"{name}{SUFFIX}"
    write_record(path, content)
    for other in _files_saved_event(workspace):
        if other.stem == name and other != path:
            remove_record(other)
    return _identify(event, name, labels=labels)


def remove_event(workspace: Workspace, name: str) -> None:
    """Remove an event's file.

    Raises:
        FunctionError: there is no such event.
        HostError: it cannot be removed.
    """
    found = [path for path in _files_saved_event(workspace) if path.stem == name]
    if not found:
        raise FunctionError(f"There is no function event {name}; it may be gone since. Look at the list again.")
    for path in found:
        remove_record(path)


def forget_events(workspace: Workspace, function: str) -> None:
    """Remove every event of a function.

    Raises:
        HostError: one cannot be removed.
    """
    for path in _files_saved_event(workspace):
        if path.parent.name == function:
            remove_record(path)


def _read_saved_event(path: Path) -> FunctionEvent | None:
    function = path.parent.name
    title = f"{EVENTS}/{function}/{path.name}"
    try:
        event = parse_model(FunctionEvent, read_mapping(path, title), name=title)
    except ConfigError as error:
        console.warn(str(error))
        return None
    # Where the file is says which event of which function it is, also after it was copied.
    return _identify(event, path.stem, labels=event.metadata.labels | {FUNCTION_LABEL: function})


def _identify(event: FunctionEvent, name: str, *, labels: dict[str, str]) -> FunctionEvent:
    return event.model_copy(update={"metadata": event.metadata.model_copy(update={"name": name, "labels": labels})})


def _files_saved_event(workspace: Workspace) -> list[Path]:
    return sorted(path for path in (workspace.root / EVENTS).glob(f"*/*{SUFFIX}") if path.is_file())
