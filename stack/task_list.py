"""The list of tasks: what a user types first stands first, and what only developers need stands under `dev`."""

from collections.abc import Collection as Names
from collections.abc import Mapping, Sequence
from typing import Any

from invoke import Collection, Program, Task
from invoke.util import helpline

# What the collection's configuration keeps: the names of tasks by their group, and where those of developers are.
GROUPS = "groups"
DEVELOPERS = "developers"

_list_flat = Program.list_flat


def build_namespace(
    groups: Mapping[str, Sequence[Task[Any]]], developers: Collection, aliases: Names[str] = ()
) -> Collection:
    """Return the collection that Invoke reads: users' tasks by the title of their group, and those of developers.

    Tasks of developers named in `aliases` run without the name of their collection too; the list leaves that out.
    """
    namespace = Collection()
    for task in (task for tasks in groups.values() for task in tasks):
        namespace.add_task(task)
    for name in aliases:
        namespace.add_task(developers[name])
    namespace.add_collection(developers)
    titles = {title: [namespace.transform(task.name) for task in tasks] for title, tasks in groups.items()}
    namespace.configure({GROUPS: titles, DEVELOPERS: developers.name})
    Program.list_flat = _list_groups  # type: ignore[method-assign,assignment]
    return namespace


def _list_groups(program: Program) -> None:
    """Print the tasks by group; a part of them, and what has no groups, is printed as Invoke does."""
    collection = program.scoped_collection
    settings = collection.configuration()
    groups = settings.get(GROUPS)
    if not groups or program.list_root:
        _list_flat(program)
        return
    width = max(len(name) for names in groups.values() for name in names)
    for title, names in groups.items():
        print(f"{title}:\n")
        program.print_columns([(name.ljust(width), helpline(collection[name])) for name in names])
    print("`invoke --help TASK` says more about one.")
    print(f"Those who work on Tidegate have more tasks: `invoke --list {settings[DEVELOPERS]}`.")
