"""`# @nuclio.configure`: configuration in the source."""

from pathlib import Path
from textwrap import dedent

import pytest

from stack.config.inline import find_block
from stack.config.source import Function, function_folders, load_function
from stack.errors import ConfigError

BLOCK = """\
#  @nuclio.configure
#
# function.yaml:
#   spec:
#     description: in the source
#     env: [{name: A, value: source}, {name: B, value: source}]
#     triggers:
#       t: {kind: rabbit-mq, url: amqp://a, attributes: {queueName: q}}
"""
CODE = "\ndef handler(context, event):\n    return 1\n"


def load(root: Path, **files: str) -> Function:
    folder = root / "functions" / "a"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return load_function(folder)


def test_a_block_ends_with_the_first_line_that_is_no_comment() -> None:
    block = find_block("import os\n# @nuclio.configure\n#\n# a: 1\n#b: 2\n\n# c: 3\n")
    assert [line.rstrip() for line in block.splitlines()] == ["", "", "", "  a: 1", "  : 2"]


def test_a_block_may_end_with_the_file() -> None:
    assert find_block("# @nuclio.configure\n# a: 1").strip() == "a: 1"


@pytest.mark.parametrize(
    "source", ["", "# nuclio.configure\n# a: 1", "# @nuclio.other\n# a: 1", "x # @nuclio.configure"]
)
def test_no_block(source: str) -> None:
    assert find_block(source) == ""


def test_a_lone_source_is_a_function(tmp_path: Path) -> None:
    function = load(tmp_path, thermo__py=BLOCK + CODE, test_thermo__py="", notes__txt="")
    assert list(function_folders(tmp_path)) == ["a"]
    assert (function.config.spec.handler, function.config.spec.description) == ("thermo:handler", "in the source")
    assert function.document == "functions/a/thermo.py"


def test_one_of_several_sources_has_a_block(tmp_path: Path) -> None:
    assert load(tmp_path, one__py=BLOCK + CODE, two__py=CODE).config.spec.handler == "one:handler"
    assert list(function_folders(tmp_path)) == ["a"]


def test_several_sources_without_a_block_are_no_function(tmp_path: Path) -> None:
    load(tmp_path, one__py=CODE, two__py=CODE)
    assert list(function_folders(tmp_path)) == []


def test_a_hidden_folder_is_no_function(tmp_path: Path) -> None:
    (tmp_path / "functions" / ".checkpoints").mkdir(parents=True)
    (tmp_path / "functions" / ".checkpoints" / "main.py").write_text(CODE)
    assert list(function_folders(tmp_path)) == []


def test_function_yaml_wins_and_the_block_fills(tmp_path: Path) -> None:
    document = """
        metadata: {labels: {Team: x}}
        Spec:
          Description: ""
          handler: main:handler
          disable: false
          env: [{name: B, value: file}]
          triggers: {t: {url: amqp://b, attributes: {topics: [x], exchangeName: e}}}
        """
    block = BLOCK.replace("#     env", "#     disable: true\n#     env")
    spec = load(tmp_path, main__py=block + CODE, function__yaml=dedent(document)).config.spec
    assert spec.description == "in the source"
    assert not spec.disable
    assert [(one.name, one.value) for one in spec.env] == [("B", "file"), ("A", "source")]
    assert spec.triggers["t"].url == "amqp://b"
    assert spec.triggers["t"].attributes.model_dump(by_alias=True, exclude_unset=True) == {
        "exchangeName": "e",
        "queueName": "q",
        "topics": ["x"],
    }


def test_only_the_handlers_own_source_counts(tmp_path: Path) -> None:
    function = load(tmp_path, one__py=BLOCK + CODE, two__py=CODE, function__yaml="spec: {handler: 'two:handler'}")
    assert (function.config.spec.description, function.inline) == ("", "")


def test_of_two_http_triggers_the_default_one_goes(tmp_path: Path) -> None:
    block = "# @nuclio.configure\n# function.yaml: {spec: {triggers: {web: {kind: http, numWorkers: 2}}}}\n"
    document = "spec: {triggers: {default-http: {kind: http}}}"
    triggers = load(tmp_path, main__py=block + CODE, function__yaml=document).config.spec.triggers
    assert list(triggers) == ["web"]


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        (
            "# a: ]",
            "functions/a/main.py: line 2, column 6: no value is here; one that begins with # needs quotes",
        ),
        ("# spec: {}", "functions/a/main.py: # @nuclio.configure should be a mapping with the one key 'function.yaml'"),
        ("# function.yaml: {spec: {handlr: x}}", "functions/a/main.py: spec.handlr: is not a known key; did you mean"),
    ],
)
def test_a_wrong_block_is_refused(tmp_path: Path, block: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, main__py=f"# @nuclio.configure\n{block}\n")
    assert str(caught.value).startswith(problem)


def test_main_comes_before_the_source_of_the_functions_name(tmp_path: Path) -> None:
    function = load(tmp_path, a__py=BLOCK + CODE, main__py=BLOCK.replace("in the source", "in main") + CODE)
    assert (function.inline, function.config.spec.handler) == ("main.py", "main:handler")
    assert function.config.spec.description == "in main"


def test_a_handler_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.py").write_text(BLOCK)
    with pytest.raises(ConfigError, match=r"spec\.handler: should be module:function"):
        load(tmp_path, function__yaml=f"spec: {{handler: '{tmp_path}/out:handler'}}")
