"""The helper of tests in Node.js, which is found by its name in every function's folder."""

import shutil
import subprocess
from pathlib import Path

import pytest

from stack.run.node_modules import write_node_modules
from stack.state.workspace import Workspace

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not here; `invoke test` installs it")


def test_helper_of_tests(tmp_path: Path) -> None:
    folder = tmp_path / "functions" / "tested"
    shutil.copytree(Path(__file__).with_name("node_tests"), folder)
    write_node_modules(Workspace(tmp_path))
    command = ["node", "--test", "functions/tested/helper.test.mjs"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
