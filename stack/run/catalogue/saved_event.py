"""Function events: a readable file each in functions/.events/FUNCTION/, so that git shows them."""

from pathlib import Path
from uuid import uuid4

from stack import console
from stack.config.compact import write_compact
from stack.config.document import parse_model
from stack.config.function import FUNCTION_LABEL
from stack.config.function_event import FunctionEvent
from stack.config.reading import read_mapping
from stack.config.source import FOLDER
from stack.errors import ConfigError, FunctionError
from stack.run.catalogue.record import SUFFIX, remove_record, write_record
from stack.run.workspace import Workspace

EVENTS = f"{FOLDER}/.events"


def list_events(workspace: Workspace, function: str = "") -> dict[str, FunctionEvent]:
    """Return saved events by their names: all, or those of one function.

    A file that cannot be read is left out, and warned of.
    """
    found = ((path.stem, _read(path)) for path in _files(workspace) if function in ("", path.parent.name))
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
    for other in _files(workspace):
        if other.stem == name and other != path:
            remove_record(other)
    return _identify(event, name, labels)


def remove_event(workspace: Workspace, name: str) -> None:
    """Remove an event's file.

    Raises:
        FunctionError: there is no such event.
        HostError: it cannot be removed.
    """
    found = [path for path in _files(workspace) if path.stem == name]
    if not found:
        raise FunctionError(f"There is no function event {name}; it may be gone since. Look at the list again.")
    for path in found:
        remove_record(path)


def forget_events(workspace: Workspace, function: str) -> None:
    """Remove every event of a function.

    Raises:
        HostError: one cannot be removed.
    """
    for path in _files(workspace):
        if path.parent.name == function:
            remove_record(path)


def _read(path: Path) -> FunctionEvent | None:
    function = path.parent.name
    title = f"{EVENTS}/{function}/{path.name}"
    try:
        event = parse_model(FunctionEvent, read_mapping(path, title), title)
    except ConfigError as error:
        console.warn(str(error))
        return None
    # Where the file is says which event of which function it is, also after it was copied.
    return _identify(event, path.stem, event.metadata.labels | {FUNCTION_LABEL: function})


def _identify(event: FunctionEvent, name: str, labels: dict[str, str]) -> FunctionEvent:
    return event.model_copy(update={"metadata": event.metadata.model_copy(update={"name": name, "labels": labels})})


def _files(workspace: Workspace) -> list[Path]:
    return sorted(path for path in (workspace.root / EVENTS).glob(f"*/*{SUFFIX}") if path.is_file())
