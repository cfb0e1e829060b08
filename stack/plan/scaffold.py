"""New functions: files that deploy and pass their own test as they are, one set for each kind of trigger."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from stack.config.yaml_loader import parse_mapping
from stack.contract import PYTHON
from stack.errors import ConfigError
from stack.plan.runtime.registry import RUNTIMES
from stack.plan.template import fill
from stack.plan.trigger.registry import KINDS

# By the name of its template, what a function begins with that has a trigger of each kind.
SCAFFOLDS = {kind.scaffold.template: kind.scaffold for kind in KINDS.values()}
TRIGGERS = tuple(SCAFFOLDS)


def plan_scaffold(name: str, trigger: str, *, runtime: str = PYTHON) -> dict[str, bytes]:
    """Return the files of a new function, by their names."""
    files = ("function.yaml", *RUNTIMES[runtime].scaffold)
    return {file: fill(f"new-function/{trigger}/{file}", {"name": name, "runtime": runtime}) for file in files}


def next_steps(name: str, trigger: str, *, test: str) -> tuple[tuple[str, str], ...]:
    """Return what to type after a function was made: each a command, and what it does; `test` runs its test."""
    event = SCAFFOLDS[trigger].event.format(name=name)
    return (
        (test, "runs its test, without Docker"),
        (f"invoke deploy-function {name}", "builds and starts it"),
        *(((event, "sends it something"),) if event else ()),
        (f"invoke logs {name} --follow", "shows what it does"),
    )


_ACTION = re.compile(r"\{\{([^{}]*)\}\}")
_NAME = re.compile(r"(?:\.[A-Za-z_]\w*)+")


def render_template(template: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Put values into a template; return the document that its YAML describes.

    Raises:
        ConfigError: the template asks for a value that is not given, or for more than a value, or is no YAML then.
    """
    pieces = _ACTION.split(template)
    texts, actions = pieces[::2], pieces[1::2]
    problems = [*_evaluate_all(actions, values), *("an action has no end" for text in texts if "{{" in text)]
    if problems:
        raise ConfigError([f"template: {problem}" for problem in dict.fromkeys(problems)])
    return parse_mapping("".join(_join(texts, actions, values=values)), "template")


def _evaluate_all(actions: list[str], values: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with actions."""
    for action in actions:
        try:
            _evaluate(action, values)
        except LookupError as error:
            yield f"{{{{{action}}}}}: {error.args[0]}"


def _join(texts: list[str], actions: list[str], *, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield texts and values in turn; a hyphen at an end of an action takes the white space there, as in Go."""
    is_trimmed = False
    for text, action in zip(texts, [*actions, ""], strict=True):
        text = text.lstrip() if is_trimmed else text
        yield text.rstrip() if action.startswith("- ") else text
        is_trimmed = action.endswith(" -")
        yield _evaluate(action, values) if action else ""


def _evaluate(action: str, values: Mapping[str, Any]) -> str:
    """Return what an action stands for.

    Raises:
        LookupError: there is no such value.
    """
    name = action.removeprefix("- ").removesuffix(" -").strip()
    if name.startswith("/*") and name.endswith("*/"):
        return ""
    if not _NAME.fullmatch(name):
        raise LookupError("only the name of a value is understood here, such as {{ .name }}")
    value: Any = values
    for key in name.split(".")[1:]:
        if not isinstance(value, Mapping) or key not in value:
            raise LookupError(f"there is no value {key!r}")
        value = value[key]
    return value if isinstance(value, str) else json.dumps(value)
