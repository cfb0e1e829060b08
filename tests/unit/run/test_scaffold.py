"""New functions pass their own test, and can be planned as they are."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stack.config.document import find_ignored
from stack.config.settings import Settings
from stack.config.source import find_folder, function_folders, load_function
from stack.errors import FunctionError
from stack.plan.function import plan_function
from stack.plan.scaffold import TRIGGERS
from stack.plan.secret import check_secrets
from stack.run.creation import new_function
from tests.unit.plan.samples import make_vault


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIDEGATE_WORKSPACE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


TESTERS = {"python": f"{sys.executable} -m pytest functions/begin", "nodejs": "node --test functions/begin/test.js"}


@pytest.mark.parametrize("runtime", TESTERS)
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_new_function_passes_its_own_test(
    trigger: str, runtime: str, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not shutil.which(TESTERS[runtime].split()[0]):
        pytest.skip("Node.js is not here; `invoke test` installs it")
    new_function("begin", trigger, runtime)
    told = capsys.readouterr().err
    assert TESTERS[runtime] in told
    assert "invoke deploy-function begin" in told
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment["PYTEST_ADDOPTS"] = "-q -W error"
    command = TESTERS[runtime].split()
    result = subprocess.run(command, cwd=workspace, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    assert [folder.name for folder in function_folders(workspace).values()] == ["begin"]


@pytest.mark.parametrize("runtime", TESTERS)
def test_a_test_finds_what_functions_share(runtime: str, workspace: Path) -> None:
    if not shutil.which(TESTERS[runtime].split()[0]):
        pytest.skip("Node.js is not here; `invoke test` installs it")
    shared = workspace / "functions" / ".shared" / "plant"
    shared.mkdir(parents=True)
    (shared / "__init__.py").write_text("LIMIT = 7\n")
    (shared / "index.js").write_text("exports.LIMIT = 7;\n")
    new_function("begin", "http", runtime)
    for file, line in {
        "main.py": "from plant import LIMIT\n",
        "main.js": "const { LIMIT } = require('plant');\n",
    }.items():
        if (path := workspace / "functions/begin" / file).is_file():
            path.write_text(line + path.read_text().replace("9", "(LIMIT + 2)").replace("18", "(2 * LIMIT + 4)"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    # What is shared requires a package of the function.
    (shared / "index.js").write_text("require('dep');\nexports.LIMIT = 7;\n")
    packages = workspace / "functions/begin/node_modules"
    packages.mkdir()
    (packages / "dep.js").touch()
    environment["NODE_PATH"] = str(packages.relative_to(workspace))
    command = TESTERS[runtime].split()
    result = subprocess.run(command, cwd=workspace, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", ["begin", "Thermo_2.b", "1.5", "true"])
@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize("runtime", TESTERS)
def test_a_new_function_can_be_planned(runtime: str, trigger: str, name: str, workspace: Path) -> None:
    new_function(name, trigger, runtime)
    function = load_function(find_folder(workspace, name))
    assert not list(find_ignored(function.config))
    plan = plan_function(function, Settings())
    check_secrets([plan], make_vault())
    kinds = {one.kind for one in plan.triggers.values()}
    assert kinds == {{"amqp": "rabbit-mq"}.get(trigger, trigger)}


@pytest.mark.parametrize(
    ("name", "trigger", "runtime", "message"),
    [
        ("begin", "kafka", "python", "--trigger kafka: should be one of http, amqp, mqtt, cron"),
        ("begin", "http", "go", "--runtime go: should be one of python, nodejs"),
        ("a/b", "http", "python", "A function's name should be at most 63"),
        ("..", "http", "python", "A function's name should be"),
        ("dashboard", "http", "python", "'dashboard' is reserved"),
        ("there", "http", "python", "is there already"),
    ],
)
def test_what_cannot_be_is_refused(name: str, trigger: str, runtime: str, message: str, workspace: Path) -> None:
    (workspace / "functions" / "there").mkdir(parents=True)
    with pytest.raises(FunctionError, match=message):
        new_function(name, trigger, runtime)
    assert [path.name for path in (workspace / "functions").iterdir()] == ["there"]
