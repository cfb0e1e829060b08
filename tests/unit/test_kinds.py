"""Kinds of triggers and runtimes are found by a table on every floor; a new kind is a matter of its own modules."""

import subprocess
import sys
from importlib import import_module

import pytest

from stack.config.runtime import RUNTIMES as FILES
from stack.contract import ALIASES, KINDS, OUTPUTS, RUNTIMES
from stack.plan.runtime.registry import RUNTIMES as PLANNED
from stack.plan.scaffold import SCAFFOLDS
from stack.plan.template import TEMPLATES
from stack.state.workspace import PROGRAM

# What the kinds of a floor share.
SHARED = {"__init__", "base", "broker", "kind", "registry"}
# What kinds of outputs share, on whichever floor.
SHARED_OUTPUT = {
    "__init__",
    "base",
    "kind",
    "registry",
    "commit",
    "message",
    "outbox",
    "publisher",
    "retained",
    "sender",
    "target",
}


@pytest.mark.parametrize("floor", ["config", "plan", "processor"])
def test_each_kind_has_its_module_on_each_floor(floor: str) -> None:
    modules = {path.stem for path in (PROGRAM / "stack" / floor / "trigger").glob("*.py")}
    assert modules - SHARED == set(KINDS.values())


@pytest.mark.parametrize("floor", ["config", "plan", "processor"])
def test_each_kind_of_output_has_its_module_on_each_floor(floor: str) -> None:
    modules = {path.stem for path in (PROGRAM / "stack" / floor / "output").glob("*.py")}
    assert modules - SHARED_OUTPUT == set(OUTPUTS.values())


@pytest.mark.parametrize("module", sorted(KINDS.values()))
def test_the_sources_that_an_entry_names_are_there(module: str) -> None:
    kind = import_module(f"stack.processor.trigger.{module}").KIND
    for one in filter(None, (kind, kind.on_amqp)):
        assert callable(import_module(one.source).open_source)


def test_each_kind_has_a_template() -> None:
    assert {path.name for path in (TEMPLATES / "new-function").iterdir()} == {*SCAFFOLDS, "blank"}
    assert len(SCAFFOLDS) == len(KINDS)
    assert set(ALIASES.values()) <= set(KINDS)


def test_a_new_kind_goes_through_every_floor() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.unit.new_kind.walk"], cwd=PROGRAM, capture_output=True, text=True
    )
    assert (run.returncode, run.stdout) == (0, "done\n"), run.stderr


@pytest.mark.parametrize("floor", ["plan", "processor"])
def test_each_runtime_has_its_module_on_each_side(floor: str) -> None:
    modules = {path.stem for path in (PROGRAM / "stack" / floor / "runtime").glob("*.py")}
    assert modules - {"__init__", "head", "literal", "process", "python_literal", "registry", "runtime"} == set(
        RUNTIMES
    )
    assert list(FILES) == list(RUNTIMES)


def test_each_runtime_has_what_its_entry_names() -> None:
    for runtime in PLANNED.values():
        assert (TEMPLATES / runtime.recipe).is_file()
        assert runtime.source in runtime.scaffold and runtime.source.endswith(runtime.files.suffix)
