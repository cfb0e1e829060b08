"""New functions, from templates and documents."""

from pathlib import Path

import pytest
import yaml

from stack.config.settings import Settings
from stack.config.source import find_folder, load_function
from stack.errors import ConfigError, ConflictError, FunctionError
from stack.plan.function import plan_function
from stack.run.creation import CreationRequest, create_function, create_functions, create_project, list_templates
from stack.state.project import list_projects
from stack.state.workspace import Workspace
from tests.unit.plan.test_exchange import EXPORT

# As the tutorial has it, its source left out.
_TUTORIAL = """\
apiVersion: "nuclio.io/v1"
kind: Function
metadata:
  name: amqpconsume
  namespace: nuclio
spec:
  handler: "main:handler"
  runtime: nodejs
  image: "nuclio/processor-amqpconsume:latest"
  build:
    functionSourceCode: dmFyIGFtcXA=
    codeEntryType: sourceCode
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.mark.parametrize("template", [one.name for one in list_templates()])
def test_every_template_makes_a_function_of_its_project(template: str, workspace: Workspace) -> None:
    create_function(workspace, CreationRequest("begin", "iot"), template=template)
    plan = plan_function(load_function(find_folder(workspace.root, "begin")), Settings())
    assert (plan.name, plan.project) == ("begin", "iot")
    assert set(list_projects(workspace)) == {"default", "iot"}


def test_templates_say_what_they_are() -> None:
    templates = {one.name: one for one in list_templates()}
    assert templates["mqtt"].triggers == ("mqtt",)
    assert templates["http"].description
    assert templates["temperaturealert"].is_example
    assert not templates["blank"].is_example


def test_comments_of_a_template_stay(workspace: Workspace) -> None:
    create_function(workspace, CreationRequest("begin", "iot"), template="http")
    assert "# How many requests" in (workspace.root / "functions/begin/function.yaml").read_text()


@pytest.mark.parametrize("name", ["", "..", "a/b", "dashboard", "x" * 64])
def test_a_name_that_cannot_be_is_refused(name: str, workspace: Workspace) -> None:
    with pytest.raises(FunctionError, match="A function's name"):
        create_function(workspace, CreationRequest(name), template="http")


def test_nothing_is_written_over(workspace: Workspace) -> None:
    create_function(workspace, CreationRequest("begin"), template="http")
    for create in (
        lambda: create_function(workspace, CreationRequest("begin"), template="cron"),
        lambda: create_functions(workspace, CreationRequest("begin"), text=EXPORT, to_broker=False),
    ):
        with pytest.raises(ConflictError, match="functions/begin is there already"):
            create()
    with pytest.raises(FunctionError, match="no template 'kafka'"):
        create_function(workspace, CreationRequest("other"), template="kafka")


def test_a_document_makes_a_folder(workspace: Workspace) -> None:
    (made,) = create_functions(workspace, CreationRequest(project="iot"), text=EXPORT, to_broker=True)
    document = yaml.safe_load((workspace.root / "functions/amqpconsume/function.yaml").read_text())
    assert document["metadata"]["labels"] == {"nuclio.io/project-name": "iot"}
    assert set(made.files) == {"function.yaml", "main.py"}


def test_the_tutorials_document_makes_a_folder(workspace: Workspace) -> None:
    (made,) = create_functions(workspace, CreationRequest(), text=_TUTORIAL, to_broker=False)
    assert set(made.files) == {"function.yaml", "main.js"}
    assert (workspace.root / "functions/amqpconsume/main.js").read_text() == "var amqp"


def test_a_document_for_another_runtime_is_refused_by_its_name(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match=r"spec\.runtime: 'golang' is not supported; Tidegate runs python"):
        create_functions(workspace, CreationRequest(), text=_TUTORIAL.replace("nodejs", "golang"), to_broker=False)
    assert not (workspace.root / "functions").exists()


def test_one_name_is_for_one_function(workspace: Workspace) -> None:
    document = yaml.safe_load(EXPORT)
    several = yaml.safe_dump({"a": document, "b": {**document, "metadata": {"name": "b"}}})
    with pytest.raises(ConfigError, match="holds 2 functions"):
        create_functions(workspace, CreationRequest("mine"), text=several, to_broker=False)


def test_two_functions_of_one_name_are_refused(workspace: Workspace) -> None:
    document = yaml.safe_load(EXPORT)
    with pytest.raises(ConfigError, match="YAML: holds several functions called amqpconsume; rename all but one"):
        create_functions(
            workspace, CreationRequest(), text=yaml.safe_dump({"a": document, "b": document}), to_broker=False
        )
    assert not (workspace.root / "functions").exists()


def test_a_project_is_made_once(workspace: Workspace) -> None:
    create_project(workspace, "iot", "What measures")
    assert list_projects(workspace)["iot"].spec.description == "What measures"
    for used in ((), ("other",)):
        with pytest.raises(ConflictError, match="already"):
            create_project(workspace, used[0] if used else "iot", used=used)
    with pytest.raises(ConfigError, match="lower-case letters"):
        create_project(workspace, "No good")


def test_examples_are_tidegates_own_as_they_are_now(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program"
    monkeypatch.setattr("stack.run.creation.PROGRAM", program)
    for name in ("mine", "amqpevent", "mqttevent"):
        folder = program / "functions" / name
        folder.mkdir(parents=True)
        (folder / "main.py").write_text("def handler(context, event): pass\n")
        (folder / "function.yaml").write_text("spec: {handler: 'main:handler'}\n")
    assert [one.name for one in list_templates() if one.is_example] == ["amqpevent", "mqttevent"]
    (program / "functions/amqpevent/function.yaml").write_text("spec: {colour: blue}\n")
    assert [one.name for one in list_templates() if one.is_example] == ["mqttevent"]
    create_function(workspace, CreationRequest("begin"), template="http")
    create_function(workspace, CreationRequest("other"), template="mqttevent")
