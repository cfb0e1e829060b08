"""README.md and docs/: the commands, files and links that they show are those that there are."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from invoke import Collection, Config, ParseError
from invoke.parser import Parser

import tasks
from stack.config.alert import AlertConfig
from stack.config.device import DeviceType
from stack.config.document import find_ignored, parse_model
from stack.config.inline import find_block
from stack.config.settings import Settings
from stack.config.sites import Sites
from stack.config.source import load_function
from stack.config.yaml_loader import parse_mapping
from stack.plan.function import plan_function

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
PROGRAMS = ("invoke", "./bootstrap", ".venv/bin/invoke")
ENDS = re.compile(r"[|&;<>()]+")
FUNCTION = re.compile(r"# functions/([a-z]+)/function\.yaml\n")
ALERT = re.compile(r"# (alerts/[a-z-]+\.yaml)\n")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def find_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", text, re.S | re.M)


def find_commands(text: str) -> Iterator[list[str]]:
    """Yield the words after the program's name of each call of Invoke, in blocks and within lines."""
    lines = [line for block in find_blocks(text, "sh") for line in block.splitlines()]
    prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.S | re.M)
    # A command with brackets or dots says what may follow, and is no command to type.
    lines += [code for code in re.findall(r"`([^`\n]+)`", prose) if not re.search(r"[\[…]", code)]
    for line in lines:
        yield from find_calls(line)


def find_calls(line: str) -> Iterator[list[str]]:
    reader = shlex.shlex(line, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    try:
        words = list(reader)
    except ValueError:
        return
    ends = [number for number, word in enumerate(words) if ENDS.fullmatch(word)]
    for start, end in zip([0, *(end + 1 for end in ends)], [*ends, len(words)], strict=True):
        call = words[start:end]
        if call and call[0] in PROGRAMS and call[1:] and not call[1].startswith("-"):
            yield call[1:]


def parse_call(words: list[str]) -> None:
    config = Config()
    collection = Collection.from_module(tasks, config=config.tasks)
    if len(words) == 1 and words[0] in collection.task_names:
        return  # a sentence names the task
    # What follows -- is for another program.
    Parser(contexts=collection.to_contexts()).parse_argv(words[: words.index("--")] if "--" in words else words)


@each_page
def test_tasks_and_their_options_are_there(page: Path) -> None:
    wrong = []
    for words in find_commands(page.read_text()):
        try:
            parse_call(words)
        except ParseError as error:
            wrong.append(f"{shlex.join(words)}: {error}")
    assert not wrong


@each_page
def test_files_in_yaml_are_valid(page: Path, tmp_path: Path) -> None:
    for number, block in enumerate(find_blocks(page.read_text(), "yaml")):
        if found := FUNCTION.match(block):
            check_function(tmp_path / str(number) / "functions" / found[1], block)
        elif found := ALERT.match(block):
            parse_model(AlertConfig, parse_mapping(block, found[1]), name=found[1])
        elif block.startswith("# device-types/"):
            parse_model(DeviceType, parse_mapping(block, "device-types"), name="device-types")
        elif block.startswith("# sites.yaml\n"):
            parse_model(Sites, parse_mapping(block, "sites.yaml"), name="sites.yaml")
        elif block.startswith("# stack.yaml\n"):
            parse_model(Settings, parse_mapping(block, "stack.yaml"), name="stack.yaml")
        else:
            assert yaml.safe_load(block) is None, f"begin with the name of the file, such as # stack.yaml:\n{block}"


@each_page
def test_python_is_python(page: Path, tmp_path: Path) -> None:
    for number, block in enumerate(find_blocks(page.read_text(), "python")):
        compile(block, page.name, "exec")
        if find_block(block):
            check_function(tmp_path / str(number) / "functions" / "lone", "", block)


def check_function(folder: Path, text: str, source: str = "def handler(context, event): ...\n") -> None:
    folder.mkdir(parents=True)
    (folder / "main.py").write_text(source)
    if "runtime: nodejs" in text:
        (folder / "main.js").write_text("exports.handler = (context) => context.callback(1);\n")
    if text:
        (folder / "function.yaml").write_text(text)
    function = load_function(folder)
    assert not list(find_ignored(function.config))
    plan_function(function, Settings())


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_links_lead_to_files(name: str) -> None:
    """Those of docs/ are checked when the site is built."""
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / name).read_text())
    assert not [link for link in links if ":" not in link and not (ROOT / link).is_file()]


def find_named_tests(text: str) -> list[tuple[str, str]]:
    """Return the files of tests and, where one is named, the function in it, of code that begins in a table's cell."""
    found, file = [], ""
    for code in re.findall(r"`([^`\n]+)`", text):
        part, _, function = code.partition("::")
        if code.startswith("test_") and not code.endswith(".py") and not function:
            part, function = file, code
        if not part.endswith(".py") and part != "…":
            continue
        file = file if part == "…" else part
        found.append((file, function))
    return found


def test_the_tests_that_reliability_names_are_there() -> None:
    named = find_named_tests((ROOT / "docs" / "reliability.md").read_text())
    assert len(named) > 60
    files = [*(ROOT / "tests").rglob("test_*.py")]
    wrong = [
        f"{file}::{function}"
        for file, function in named
        if not any(path.as_posix().endswith(f"/{file}") and f"def {function}" in path.read_text() for path in files)
    ]
    assert not wrong


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("invoke up", [["up"]]),
        ("echo '{}' | invoke run-function a --event -", [["run-function", "a", "--event", "-"]]),
        ("./bootstrap provision demo      # it's a comment", [["provision", "demo"]]),
        ("cd a && .venv/bin/invoke up; invoke down > file", [["up"], ["down"]]),
        ("invoke --list", []),
        ("docker compose up", []),
    ],
)
def test_calls_are_found_in_a_line(line: str, expected: list[list[str]]) -> None:
    assert list(find_calls(line)) == expected


@pytest.mark.parametrize("words", [["fly"], ["up", "--quickly"]])
def test_a_wrong_call_is_noticed(words: list[str]) -> None:
    with pytest.raises(ParseError):
        parse_call(words)
