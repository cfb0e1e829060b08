"""What the text of a handler's file tells before anything is built."""

import sys
from pathlib import Path

import pytest

from stack.docker.stack import open_stack
from stack.errors import ConfigError
from stack.plan.function_check import find_source
from stack.plan.image import RuntimeVersion
from stack.run.function import plan_folder
from stack.state.workspace import Workspace
from tests.unit.plan.samples import make_plan

OWN = ".".join(map(str, sys.version_info[:2]))


def check(source: str, *, handler: str = "main:handler", version: str = OWN) -> tuple[str, ...]:
    plan, text = make_plan(handler=handler), source.encode()
    version_had = RuntimeVersion("", version, "")
    return plan.runtime.check_handler(plan.function, plan.handler, path="main.py", source=text, version=version_had)


@pytest.mark.parametrize(
    ("source", "handler", "problem"),
    [
        ("def handler(c, e): pass", "main:hanlder", "main.py has no 'hanlder'; did you mean 'handler'?"),
        (
            "async def run(c, e): pass\ndef b(): pass",
            "main:handler",
            "main.py has no 'handler'; functions there: run, b",
        ),
        ("import json", "main:handler", "main.py has no 'handler'; functions there: none"),
    ],
)
def test_handler_that_is_not_there(source: str, handler: str, problem: str) -> None:
    assert check(source, handler=handler) == (f"functions/thermo/function.yaml: spec.handler: {problem}",)


@pytest.mark.parametrize(
    "source",
    [
        "def handler(c, e): return '\\d'",
        "async def handler(c, e): pass",
        "class handler: pass",
        "if True:\n    def handler(c, e): pass",
        "handler = lambda c, e: None",
        "a, (handler, b) = x",
        "handler: int = x",
        "(handler := x)",
        "for handler in x: pass",
        "with x as handler: pass",
        "match x:\n    case [*handler]: pass",
        "match x:\n    case {**handler}: pass",
        "match x:\n    case int() as handler: pass",
        "from lib import handler",
        "from lib import run as handler",
        "import handler.deep",
        "from lib import *",
        "def make():\n    global handler\n    handler = 1",
        "globals()['hand' + 'ler'] = 1",
        "def __getattr__(name): return print",
        "import sys\nsetattr(sys.modules[__name__], 'hand' + 'ler', 1)",
        "try: pass\nexcept ValueError as handler: pass",
    ],
)
def test_handler_that_is_or_may_be_there(source: str) -> None:
    assert check(source) == ()


@pytest.mark.parametrize("parameters", ["", "context", "context, event, more", "context, *, event"])
def test_handler_with_other_than_two_parameters(parameters: str) -> None:
    told = "functions/thermo/main.py, line 2: handler is called with two arguments: write def handler(context, event):"
    assert check(f"x = 1\ndef handler({parameters}): pass") == (told,)


@pytest.mark.parametrize(
    "source",
    [
        "def handler(c, e, more=1, *, key=2): pass",
        "def handler(*args): pass",
        "def handler(c, *args): pass",
        "@wrap\ndef handler(): pass",
        "def handler(): pass\nhandler = wrap(handler)",
        "class A:\n    def handler(self): pass\nglobals()['hand' + 'ler'] = 1",
    ],
)
def test_handler_that_may_take_two_parameters(source: str) -> None:
    assert check(source) == ()


@pytest.mark.parametrize(("version", "is_told"), [(OWN, True), ("3.9", True), ("3.99", False), ("", False)])
def test_syntax_is_judged_only_where_this_python_can(version: str, is_told: bool) -> None:
    found = check("x = 1\ndef handler(:\n", version=version)
    assert found == (("functions/thermo/main.py, line 2: SyntaxError: invalid syntax",) if is_told else ())


@pytest.mark.parametrize("source", ["\0", "(" * 10_000])
def test_what_cannot_be_read_is_left_to_python(source: str) -> None:
    assert all("SyntaxError" in one for one in check(source))


def test_file_that_counts() -> None:
    assert find_source(make_plan()) == "main.py"
    assert find_source(make_plan(files=("main.py", "main/__init__.py"))) == "main/__init__.py"
    assert find_source(make_plan(build={"commands": ["a"]})) == "main.py"
    assert find_source(make_plan(build={"commands": ["@nuclio.postCopy", "make main.py"]})) == ""
    assert find_source(make_plan(files=(), image="acme/reader:1")) == ""


@pytest.mark.parametrize(
    "config",
    [
        "{}",
        "spec: {build: {functionSourceCode: ZGVmIHJ1bihjLCBlKTogcGFzcwo=}}",
    ],
)
def test_plan_of_a_folder_without_its_handler_is_refused(tmp_path: Path, config: str) -> None:
    folder = tmp_path / "functions/thermo"
    folder.mkdir(parents=True)
    (tmp_path / "stack.yaml").write_text("images: {source: debian}\n")
    (folder / "function.yaml").write_text(config)
    (folder / "main.py").write_text("def run(context, event):\n    pass\n")
    with pytest.raises(ConfigError, match=r"main\.py has no 'handler'; functions there: run"):
        plan_folder(open_stack(Workspace(tmp_path)), "thermo")


def test_broker_in_the_container_itself_is_refused_where_it_is_to_run(tmp_path: Path) -> None:
    folder = tmp_path / "functions/thermo"
    folder.mkdir(parents=True)
    (tmp_path / "stack.yaml").write_text("images: {source: debian}\n")
    (folder / "function.yaml").write_text("spec: {triggers: {in: {kind: rabbit-mq, url: 'amqp://localhost:5672'}}}\n")
    (folder / "main.py").write_text("def handler(context, event):\n    pass\n")
    stack = open_stack(Workspace(tmp_path))
    assert plan_folder(stack, "thermo").name == "thermo"
    with pytest.raises(ConfigError, match=r"spec\.triggers\.in\.url: localhost is the function's own container"):
        plan_folder(stack, "thermo", is_to_run=True)
