"""test-function: what runs the tests of functions, and what it comes to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stack.run.creation import new_function
from stack.state.workspace import VARIABLE
from tests.process.processor.running import ROOT


def run(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "test-function", *arguments]
    return subprocess.run(
        command, cwd=root, env={**kept, VARIABLE: str(root)}, capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not here; `invoke test` installs it")
def test_tests_of_both_runtimes_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    new_function("first", "http")
    new_function("second", "http", "nodejs")
    # As after a clone.
    shutil.rmtree(tmp_path / "functions/node_modules")
    passed = run(tmp_path)
    assert (passed.returncode, " passed" in passed.stdout, "pass 2" in passed.stdout) == (0, True, True), passed
    (tmp_path / "functions/second/test.js").write_text("require('node:assert').fail('as asked');\n")
    assert (run(tmp_path).returncode, run(tmp_path, "first").returncode) == (1, 0)
    (tmp_path / "functions/first/test_main.py").rename(tmp_path / "functions/first/conftest.py")
    told = run(tmp_path, "first")
    assert (told.returncode, "There are no tests." in told.stderr) == (1, True)
