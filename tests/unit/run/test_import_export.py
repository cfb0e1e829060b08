"""import-function and export-function: what is read, written, and refused."""

import io
import json
from pathlib import Path

import pytest
import yaml

from stack.errors import ConfigError, FunctionError
from stack.run.import_export import export_function, import_functions
from tests.unit.plan.test_exchange import EXPORT, SOURCE


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIDEGATE_WORKSPACE", str(tmp_path))
    (tmp_path / "export.yaml").write_text(EXPORT)
    return tmp_path


def take(root: Path, source: str = "", *, name: str = "", force: bool = False) -> None:
    import_functions(source or str(root / "export.yaml"), name=name, force=force, to_broker=False)


def test_a_file_that_is_not_there(root: Path) -> None:
    with pytest.raises(FunctionError, match=r"There is no file nothere\.yaml\. Name a function\.yaml, or - for"):
        take(root, "nothere.yaml")


def test_a_folder_is_written(root: Path) -> None:
    take(root)
    folder = root / "functions" / "amqpconsume"
    assert sorted(path.name for path in folder.iterdir()) == ["function.yaml", "main.py"]
    assert (folder / "main.py").read_text() == SOURCE


def test_standard_input_and_another_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(EXPORT))
    take(root, "-", name="mine")
    assert yaml.safe_load((root / "functions/mine/function.yaml").read_text())["metadata"]["name"] == "mine"


def test_a_folder_that_is_there_is_kept_without_force(root: Path) -> None:
    take(root)
    source = root / "functions/amqpconsume/main.py"
    source.write_text("mine")
    with pytest.raises(FunctionError, match="functions/amqpconsume: there already; --force overwrites"):
        take(root)
    assert source.read_text() == "mine"
    take(root, force=True)
    assert source.read_text() == SOURCE


def test_nothing_is_written_of_a_project_with_a_function_that_cannot_run(root: Path) -> None:
    good = yaml.safe_load(EXPORT)
    bad = good | {"metadata": {"name": "other"}, "spec": good["spec"] | {"runtime": "golang"}}
    (root / "export.yaml").write_text(yaml.safe_dump({"functions": {"good": good, "other": bad}}))
    with pytest.raises(ConfigError, match="'golang' is not supported"):
        take(root)
    assert not (root / "functions").exists()
    with pytest.raises(ConfigError, match="holds 2 functions; --name can name one only"):
        take(root, name="a")


def test_an_exported_function_is_one_document(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    take(root)
    capsys.readouterr()
    export_function("amqpconsume", as_json=False)
    document = yaml.safe_load(capsys.readouterr().out)
    assert (
        document["spec"]["build"]["functionSourceCode"] == yaml.safe_load(EXPORT)["spec"]["build"]["functionSourceCode"]
    )
    with pytest.raises(FunctionError, match=r"There is no functions/nobody"):
        export_function("nobody", as_json=False)


def write(root: Path, text: str) -> None:
    folder = root / "functions" / "away"
    folder.mkdir(parents=True)
    (folder / "function.yaml").write_text(text)


@pytest.mark.parametrize(
    "build",
    [
        {"codeEntryType": "git", "path": "https://git.example/a.git", "codeEntryAttributes": {"branch": "main"}},
        {"path": "https://files.example/a.zip"},
    ],
)
def test_code_that_nuclio_can_fetch_stays_where_it_is(
    root: Path, build: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    write(root, yaml.safe_dump({"spec": {"handler": "main:handler", "build": build}}))
    export_function("away", as_json=False)
    assert yaml.safe_load(capsys.readouterr().out)["spec"]["build"] == build


def test_an_image_is_exported_by_its_name(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(root, "spec: {image: 'a/b:1'}")
    export_function("away", as_json=True)
    assert json.loads(capsys.readouterr().out)["spec"] == {"image": "a/b:1", "runtime": "python"}


def test_code_elsewhere_on_this_machine_is_refused(root: Path) -> None:
    write(root, "spec: {handler: 'main:handler', build: {path: /srv/code}}")
    with pytest.raises(FunctionError, match=r"only this machine has /srv/code; copy it into functions/away"):
        export_function("away", as_json=False)


def test_links_that_lead_out_of_the_folder_are_left_out(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    take(root)
    folder = root / "functions" / "amqpconsume"
    (root / "private").write_text("a password")
    (folder / "out").symlink_to(root / "private")
    (folder / "etc").symlink_to("/etc")
    (folder / "same.py").symlink_to("main.py")
    capsys.readouterr()
    export_function("amqpconsume", as_json=True)
    printed = capsys.readouterr()
    for name in ("out", "etc"):
        assert f"{name}: left out, since it is a link" in printed.err
    assert "same.py: left out" not in printed.err
    take_again = root / "again.json"
    take_again.write_text(printed.out)
    take(root, str(take_again), name="again")
    assert sorted(path.name for path in (root / "functions/again").iterdir()) == ["function.yaml", "main.py", "same.py"]
