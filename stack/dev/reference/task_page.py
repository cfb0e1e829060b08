"""The reference of the tasks: how each is typed, what it does, its options."""

from collections.abc import Mapping, Sequence
from typing import Any

from invoke import Collection, Task
from invoke.parser import Argument

from stack.cli import OptionalPositional
from stack.dev.reference.markdown import build_section, build_table, quote
from stack.task_list import DEVELOPERS, GROUPS

_COLUMNS = ("option", "meaning")


def build_task_page(namespace: Collection) -> str:
    """Return the groups of users' tasks, and then those of developers."""
    settings = namespace.configuration()
    groups: Mapping[str, Sequence[str]] = settings[GROUPS]
    prefix = settings[DEVELOPERS]
    developers = namespace.collections[prefix]
    users = [
        build_section(title, *(_describe(name, namespace[name]) for name in names)) for title, names in groups.items()
    ]
    tasks = [_describe(f"{prefix}.{name}", task) for name, task in sorted(developers.tasks.items())]
    return "".join(users) + build_section("For those who work on Tidegate", *tasks)


def _describe(name: str, task: Task[Any]) -> str:
    arguments = task.get_arguments()
    usage = " ".join(["invoke", name, *map(_show_usage, arguments)])
    rows = [(_show_names(argument), argument.help or "") for argument in arguments]
    table = build_table(_COLUMNS, rows) if rows else ""
    return build_section(name, task.__doc__ or "", f"```text\n{usage}\n```", table, level=3)


def _show_usage(argument: Argument) -> str:
    if argument.positional:
        word = argument.names[0].upper()
        return f"[{word}]" if isinstance(argument, OptionalPositional) else word
    return f"[{_show_option(argument)}]"


def _show_names(argument: Argument) -> str:
    if argument.positional:
        return quote(argument.names[0].upper())
    short = [f"-{name}" for name in argument.names if len(name) == 1]
    default = "" if argument.kind is bool or argument.default in (None, "") else f" ({argument.default})"
    return ", ".join(map(quote, [_show_option(argument), *short])) + default


def _show_option(argument: Argument) -> str:
    name = argument.names[0].replace("_", "-")
    return f"--{name}" if argument.kind is bool else f"--{name}={name.upper()}"
