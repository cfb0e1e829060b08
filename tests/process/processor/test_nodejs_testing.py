"""The helper of tests in Node.js, which is found by its name in every function's folder."""

import shutil
import subprocess
from pathlib import Path

import pytest

from stack.run.node_modules import write_node_modules
from stack.state.workspace import Workspace
from tests.process.processor.running import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not here; `invoke test` installs it")
TESTS = Path(__file__).with_name("node_tests")


@pytest.mark.parametrize(
    ("test", "main"),
    [
        ("helper.test.mjs", TESTS / "main.mjs"),
        ("temperaturealert.test.cjs", ROOT / "functions/temperaturealert/main.js"),
    ],
)
def test_helper_of_tests(tmp_path: Path, test: str, main: Path) -> None:
    folder = tmp_path / "functions" / "tested"
    folder.mkdir(parents=True)
    for path in (TESTS / test, main, main.with_name("function.yaml")):
        shutil.copy(path, folder)
    write_node_modules(Workspace(tmp_path))
    command = ["node", "--test", f"functions/tested/{test}"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
