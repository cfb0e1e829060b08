"""New functions: from a template, or from a document of Nuclio's; each is a new folder in functions/."""

import sys
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from stack import console
from stack.config.document import parse_model
from stack.config.function import DEFAULT_PROJECT, PROJECT_LABEL, check_name
from stack.config.project import Project
from stack.config.settings import Settings
from stack.config.shared import SHARED
from stack.config.source import FILE, FOLDER, function_folders
from stack.config.yaml_edit import set_value
from stack.config.yaml_loader import parse_mapping
from stack.contract import NODEJS, PYTHON
from stack.errors import ConfigError, ConflictError, FunctionError, StackError, name_command
from stack.plan.demo import ALERT, CONSUMERS, EVENTS
from stack.plan.function_import import File, Imported, plan_imports, split_export
from stack.plan.runtime.registry import RUNTIMES
from stack.plan.scaffold import SCAFFOLDS, TRIGGERS, next_steps, plan_scaffold
from stack.run.import_export import make_export
from stack.run.node_modules import write_node_modules
from stack.state.deployment import check_namesakes
from stack.state.project import list_projects, save_project
from stack.state.workspace import PROGRAM, Workspace, open_workspace, write_file

_EXAMPLES = (*CONSUMERS.values(), *EVENTS.values(), ALERT)
_VALUES = {
    "name": {
        "displayName": "Name",
        "description": "What the function is called",
        "kind": "string",
        "required": True,
        "order": 0,
        "attributes": {"defaultValue": "my-function"},
    }
}


@dataclass(frozen=True)
class Pattern:
    """Something to begin from: a template with the values that it asks for, or a function that is complete."""

    name: str
    template: str = ""
    function: dict[str, Any] | None = None

    def describe(self) -> dict[str, Any]:
        """Return Nuclio's object."""
        if self.function is not None:
            return {"rendered": {key: self.function[key] for key in ("metadata", "spec")}}
        return {"metadata": {"name": self.name}, "template": self.template, "values": _VALUES}

    def contains(self, text: str) -> bool:
        """Return whether a text is in its name or in what it is."""
        return text in self.name or text in yaml.safe_dump(self.describe(), allow_unicode=True)


def list_patterns() -> tuple[Pattern, ...]:
    """Return a template for each kind of trigger and each runtime, and the functions of Tidegate's own example."""
    examples = (Pattern(name, function=document) for name, document in find_examples().items())
    return (*_list_templates(), *examples)


def find_examples() -> dict[str, dict[str, Any]]:
    """Return the functions of Tidegate's own example, by name, as they are now.

    They lie where a user may change them and add others: the others are left out, and so is what is wrong or gone.
    """
    folders = function_folders(PROGRAM)
    found = ((name, _export(folders[name])) for name in _EXAMPLES if name in folders)
    return {name: document for name, document in found if document}


def _export(folder: Path) -> dict[str, Any] | None:
    try:
        return make_export(folder, Settings()).document
    except (StackError, OSError):
        return None


@cache
def _list_templates() -> tuple[Pattern, ...]:
    return tuple(
        Pattern(trigger if runtime == PYTHON else f"{trigger}-{runtime}", template=_write_template(trigger, runtime))
        for runtime in RUNTIMES
        for trigger in TRIGGERS
    )


def _write_template(trigger: str, runtime: str) -> str:
    files = plan_scaffold("{{ .name }}", trigger, runtime=runtime)
    document = parse_mapping(files[FILE].decode(), FILE)
    build = document["spec"].setdefault("build", {})
    build["functionSourceCode"] = b64encode(files[RUNTIMES[runtime].source]).decode()
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


BLANK = "blank"
_DOCUMENT = "YAML"


@dataclass(frozen=True)
class Template:
    """What a new function can begin from; an example is one of the functions of Tidegate's own example."""

    name: str
    title: str
    description: str
    triggers: tuple[str, ...]
    is_example: bool


@dataclass(frozen=True)
class CreationRequest:
    """What a new function is to be called, where it belongs, and what it is written for.

    A document says so itself where these are left out.
    """

    name: str = ""
    project: str = ""
    runtime: str = ""


def list_templates() -> tuple[Template, ...]:
    """Return what there is to begin from: the kinds of triggers, nothing much, and the examples."""
    examples = (_describe(name, document, is_example=True) for name, document in find_examples().items())
    return (*_list_scaffolds(), *examples)


def create_function(workspace: Workspace, request: CreationRequest, *, template: str) -> None:
    """Make the folder of a function that begins from a template.

    Raises:
        FunctionError: the name or the runtime cannot be, or there is no such template.
        ConflictError: there is a folder of that name.
    """
    _require_free(workspace, [request.name])
    if template in (*TRIGGERS, BLANK):
        written = plan_scaffold(request.name, template, runtime=_check_runtime(request.runtime or PYTHON))
        files = {path: File(content) for path, content in written.items()}
        _write(workspace, Imported(request.name, files, ()), project=request.project)
    elif example := find_examples().get(template):
        (imported,) = plan_imports([example], template, name=request.name)
        _write(workspace, imported, project=request.project)
    else:
        known = ", ".join(one.name for one in list_templates())
        raise FunctionError(f"There is no template {template!r}. Templates: {known}.")


def create_functions(
    workspace: Workspace, request: CreationRequest, *, text: str, to_broker: bool
) -> tuple[Imported, ...]:
    """Make the folders of the functions that a document of Nuclio's holds; return what was made.

    `to_broker` lets their broker addresses name the stack's own broker.

    Raises:
        ConfigError: one of them cannot run here; nothing is written then.
        ConflictError: there is a folder of that name.
    """
    functions = split_export(parse_mapping(text, _DOCUMENT), _DOCUMENT)
    if request.name and len(functions) > 1:
        raise ConfigError(
            [f"{_DOCUMENT}: holds {len(functions)} functions; leave the name empty, and each keeps its own"]
        )
    imports = plan_imports(functions, _DOCUMENT, name=request.name, to_broker=to_broker)
    _require_free(workspace, [one.name for one in imports])
    for one in imports:
        _write(workspace, one, project=request.project)
    return tuple(imports)


def create_project(workspace: Workspace, name: str, description: str = "", *, used: Iterable[str] = ()) -> None:
    """Make a project; `used` are those that functions name.

    Raises:
        ConfigError: the name cannot be.
        ConflictError: there is a project of that name.
    """
    document = {"metadata": {"name": name}, "spec": {"description": description}}
    project = parse_model(Project, document, name="project")
    if name in list_projects(workspace, used):
        raise ConflictError(f"There is a project {name} already.")
    save_project(workspace, project)


@cache
def _list_scaffolds() -> tuple[Template, ...]:
    scaffolds = {name: parse_mapping(plan_scaffold(name, name)[FILE].decode(), FILE) for name in (*TRIGGERS, BLANK)}
    return tuple(_describe(name, document, is_example=False) for name, document in scaffolds.items())


def _describe(name: str, document: Mapping[str, Any], *, is_example: bool) -> Template:
    spec = document["spec"]
    kinds = dict.fromkeys(str(one["kind"]) for one in spec.get("triggers", {}).values())
    title = name if is_example else SCAFFOLDS[name].title if name in SCAFFOLDS else BLANK.capitalize()
    return Template(name, title, str(spec.get("description", "")), tuple(kinds) or ("http",), is_example)


def _require_free(workspace: Workspace, names: Sequence[str]) -> None:
    for name in names:
        try:
            check_name(name)
        except ValueError as error:
            raise FunctionError(f"A function's name {error}.") from error
        folder = workspace.root / FOLDER / name
        if folder.exists() or folder.is_symlink():
            raise ConflictError(f"{FOLDER}/{name} is there already; choose another name.")
    check_namesakes(workspace, *names)


def _write(workspace: Workspace, function: Imported, *, project: str) -> None:
    files = dict(function.files)
    if project:
        text = set_value(files[FILE].content.decode(), ("metadata", "labels", PROJECT_LABEL), project)
        files[FILE] = File(text.encode())
        if project not in list_projects(workspace) and project != DEFAULT_PROJECT:
            create_project(workspace, project)
    for path, file in files.items():
        mode = 0o755 if file.is_executable else 0o644
        write_file(workspace.root / FOLDER / function.name / path, file.content, mode)


def _check_runtime(runtime: str) -> str:
    if runtime not in RUNTIMES:
        raise FunctionError(f"--runtime {runtime}: should be one of {', '.join(RUNTIMES)}.")
    return runtime


def new_function(name: str, trigger: str, runtime: str = PYTHON) -> None:
    """Write functions/NAME/ with a handler, its configuration and its test, and say what to type next.

    Raises:
        FunctionError: the name, the trigger or the runtime is none, or the folder exists.
        ConflictError: another function has the name but for capital letters.
    """
    _check_runtime(runtime)
    if trigger not in TRIGGERS:
        raise FunctionError(f"--trigger {trigger}: should be one of {', '.join(TRIGGERS)}.")
    try:
        check_name(name)
    except ValueError as error:
        raise FunctionError(f"A function's name {error}.") from error
    folder = open_workspace().root / FOLDER / name
    if folder.exists() or folder.is_symlink():
        raise FunctionError(f"{folder} is there already; choose another name, or edit what is in it.")
    check_namesakes(open_workspace(), name)
    files = plan_scaffold(name, trigger, runtime=runtime)
    for file, content in files.items():
        write_file(folder / file, content)
    if runtime == NODEJS:
        write_node_modules(open_workspace())
    console.success(f"{FOLDER}/{name}: {', '.join(files)}")
    words = " ".join(RUNTIMES[runtime].tester).format(python=_shorten(Path(sys.executable)))
    test = f"{words} {_shorten(folder) / RUNTIMES[runtime].scaffold[-1]}"
    _tell(next_steps(name, trigger, test=test))
    console.note(f"What several functions import belongs into {FOLDER}/{SHARED}: docs/guides/function.md says how.")


def _tell(steps: Sequence[tuple[str, str]]) -> None:
    named = [(name_command(command), meaning) for command, meaning in steps]
    width = max(len(command) for command, _ in named)
    console.say("Next:")
    for command, meaning in named:
        console.say(f"  {command:<{width}}  {meaning}")


def _shorten(path: Path) -> Path:
    """Return a path as it can be typed here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
