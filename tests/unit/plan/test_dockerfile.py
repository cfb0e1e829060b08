"""Instructions of a function's author, in Nuclio's order."""

from typing import Any

import pytest

from stack.config.build import Build, Directive
from stack.plan.dockerfile import split_commands, write_instruction

DIRECTIVES = {"preCopy": [{"kind": "ENV", "value": "A=1"}], "postCopy": [{"kind": "RUN", "value": "b"}]}


@pytest.mark.parametrize(
    ("content", "before", "after"),
    [
        ({}, [], []),
        ({"commands": ["a", "b"]}, ["RUN a", "RUN b"], []),
        ({"commands": ["a", "@nuclio.postCopy", "b"]}, ["RUN a"], ["RUN b"]),
        ({"commands": [" @nuclio.postCopy ", "b"]}, [], ["RUN b"]),
        ({"commands": ["a \\", "b"]}, ["RUN a b"], []),
        ({"commands": ["a", "", "b \\"]}, ["RUN a", "RUN b"], []),
        ({"directives": DIRECTIVES}, ["ENV A=1"], ["RUN b"]),
        ({"directives": DIRECTIVES, "commands": ["c"]}, ["RUN c"], []),
    ],
)
def test_order(content: dict[str, Any], before: list[str], after: list[str]) -> None:
    found = split_commands(Build.model_validate(content))
    assert [[write_instruction(line, has_ca=False) for line in part] for part in found] == [before, after]


def test_commands_are_given_the_certificates() -> None:
    text = write_instruction(Directive(kind="run", value="pip install x && y"), has_ca=True)
    cache = "--mount=type=cache,target=/root/.cache/pip"
    assert text.startswith(f"RUN --mount=type=secret,id=ca,target=/run/secrets/ca.pem {cache} export PIP_CERT=")
    assert text.endswith("; pip install x && y")
    assert write_instruction(Directive(kind="ENV", value="A=1"), has_ca=True) == "ENV A=1"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("--network=none make", "--network=none export "),
        ('["pip", "install", "x"]', '["pip", "install", "x"]'),
        ("<<EOF\nmake\nEOF", "<<EOF\nmake\nEOF"),
    ],
)
def test_certificates_leave_a_command_as_it_is_meant(value: str, text: str) -> None:
    written = write_instruction(Directive(kind="RUN", value=value), has_ca=True)
    assert text in written
    assert ("export" in written) == ("export" in text)


def test_pip_keeps_its_downloads_out_of_the_image() -> None:
    assert "type=cache" in write_instruction(Directive(kind="RUN", value="pip install x"), has_ca=False)
    assert write_instruction(Directive(kind="RUN", value="make"), has_ca=False) == "RUN make"
