"""Functions that clients send become folders that people can read, and what people wrote there stays."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack.config.function import FunctionConfig
from stack.docker.stack import open_stack
from stack.errors import ConfigError
from stack.plan.function_export import NuclioFunction, describe_function
from stack.run.catalogue import Catalogue
from stack.run.import_export import save_function
from stack.run.job import Jobs
from stack.state.workspace import VARIABLE, Workspace

NEW = NuclioFunction("thermo", "nuclio", "default", FunctionConfig(), "", {})
SOURCE = "def run(context, event):\n    return 'one'\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    (tmp_path / "stack.yaml").write_text("project: tidegate-unit-saving\nimages: {source: debian}\n")
    return tmp_path / "functions" / "thermo"


def make_document(source: str = SOURCE, **spec: Any) -> dict[str, Any]:
    build = {"functionSourceCode": b64encode(source.encode()).decode()}
    return {"metadata": {"name": "thermo"}, "spec": {"handler": "app:run", "build": build, **spec}}


def tell(folder: Path) -> NuclioFunction:
    workspace = Workspace(folder.parents[1])
    return Catalogue(workspace, Jobs(workspace)).find("thermo")


def test_new_function_has_a_source_and_nothing_derived(folder: Path) -> None:
    notes = save_function(open_stack(), make_document(weird=1, eventTimeout="", resources={}), told=NEW)
    assert sorted(path.name for path in folder.iterdir()) == ["app.py", "function.yaml"]
    assert (folder / "app.py").read_text() == SOURCE
    assert yaml.safe_load((folder / "function.yaml").read_text()) == {
        "metadata": {"name": "thermo"},
        "spec": {"handler": "app:run"},
    }
    assert notes == ("spec.weird: left out, since Nuclio's model has no such key",)


def test_a_broker_elsewhere_stays_unless_the_client_says_otherwise(folder: Path) -> None:
    document = make_document("URL = 'amqp://10.0.0.1'\n")
    save_function(open_stack(), document, told=NEW)
    assert (folder / "app.py").read_text() == "URL = 'amqp://10.0.0.1'\n"
    save_function(open_stack(), document, told=tell(folder), to_broker=True)
    assert (folder / "app.py").read_text() == 'import os\nURL = os.environ["BROKER_URL"]\n'
    assert "secretKeyRef" in (folder / "function.yaml").read_text()


def test_nothing_is_written_of_what_is_wrong(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"body: spec\.runtime: 'golang' is not supported"):
        save_function(open_stack(), make_document(runtime="golang"), told=NEW)
    assert not folder.exists()


def test_what_its_author_wrote_stays_where_nothing_changes(folder: Path) -> None:
    folder.mkdir(parents=True)
    written = "# why it is so\nspec:\n  env:\n    - {name: A, value: b}\n"
    (folder / "function.yaml").write_text(written)
    (folder / "main.py").write_text("from words import hello\n\n\ndef handler(context, event):\n    return hello\n")
    (folder / "words.py").write_text("hello = 'hello'\n")
    told = tell(folder)
    document = describe_function(told)
    save_function(open_stack(), document, told=told)
    assert (folder / "function.yaml").read_text() == written
    document["spec"]["env"].append({"name": "C", "value": "d"})
    save_function(open_stack(), document, told=told)
    assert yaml.safe_load((folder / "function.yaml").read_text())["spec"] == {
        "env": [{"name": "A", "value": "b"}, {"name": "C", "value": "d"}]
    }
    assert sorted(path.name for path in folder.iterdir()) == ["function.yaml", "main.py", "words.py"]


def test_package_stays_a_package(folder: Path) -> None:
    (folder / "main").mkdir(parents=True)
    (folder / "function.yaml").write_text("spec: {handler: 'main:run'}")
    (folder / "main" / "__init__.py").write_text(SOURCE)
    told = tell(folder)
    document = describe_function(told)
    document["spec"]["build"]["functionSourceCode"] = b64encode(
        b"def run(context, event):\n    return 'two'\n"
    ).decode()
    save_function(open_stack(), document, told=told)
    assert "'two'" in (folder / "main" / "__init__.py").read_text()
    assert not (folder / "main.py").exists()


def test_inline_source_gives_way_to_a_file(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "function.yaml").write_text(yaml.safe_dump(make_document()))
    told = tell(folder)
    assert told.source == SOURCE
    save_function(open_stack(), make_document("def run(context, event):\n    return 'two'\n"), told=told)
    assert "build" not in yaml.safe_load((folder / "function.yaml").read_text())["spec"]
    assert "'two'" in tell(folder).source
