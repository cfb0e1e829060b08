"""Projects: a readable file each in functions/.projects/, so that git shows them; others exist through functions."""

from collections.abc import Iterable
from pathlib import Path

from stack import console
from stack.config.compact import write_compact
from stack.config.document import parse_model
from stack.config.function import DEFAULT_PROJECT
from stack.config.project import Project, ProjectMetadata
from stack.config.reading import read_mapping
from stack.config.source import FOLDER
from stack.errors import ConfigError
from stack.run.catalogue.record import SUFFIX, remove_record, write_record
from stack.run.workspace import Workspace

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
        project = parse_model(Project, read_mapping(path, title), title)
    except ConfigError as error:
        console.warn(str(error))
        return bare
    return project if project.metadata.name == name else bare


def _files(workspace: Workspace) -> dict[str, Path]:
    """Return the files of projects by the projects' names."""
    return {path.stem: path for path in (workspace.root / PROJECTS).glob(f"*{SUFFIX}") if path.is_file()}
