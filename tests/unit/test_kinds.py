"""Kinds of triggers are found by one table, on every floor, and a new one is a matter of its own modules."""

import subprocess
import sys

import pytest

from stack.contract import ALIASES, KINDS
from stack.plan.scaffold import SCAFFOLDS
from stack.plan.template import TEMPLATES
from stack.state.workspace import PROGRAM

# What the kinds of a floor share.
SHARED = {"__init__", "base", "broker", "kind", "registry"}


@pytest.mark.parametrize("floor", ["config", "plan", "processor"])
def test_each_kind_has_its_module_on_each_floor(floor: str) -> None:
    modules = {path.stem for path in (PROGRAM / "stack" / floor / "trigger").glob("*.py")}
    assert modules - SHARED == set(KINDS.values())


def test_each_kind_has_a_template() -> None:
    assert {path.name for path in (TEMPLATES / "new-function").iterdir()} == {*SCAFFOLDS, "blank"}
    assert len(SCAFFOLDS) == len(KINDS)
    assert set(ALIASES.values()) <= set(KINDS)


def test_a_new_kind_goes_through_every_floor() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.unit.new_kind.walk"], cwd=PROGRAM, capture_output=True, text=True
    )
    assert (run.returncode, run.stdout) == (0, "done\n"), run.stderr
