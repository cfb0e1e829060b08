"""Invoke's tasks, with what they lack: names that may be left out, errors as messages, and a list in groups."""

import errno
import logging
import os
import select
import sys
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Collection as Names
from difflib import get_close_matches
from functools import partial, wraps
from typing import Any, TypeVar

from invoke import Collection, Context, Exit, ParseError, Program, Task
from invoke.parser import Argument
from invoke.parser.parser import ParseMachine
from invoke.util import helpline

from stack.errors import StackError, name_command

# What a shell says of a program that Ctrl-C ended.
_INTERRUPTED = 130

Body = TypeVar("Body", bound=Callable[..., Any])

# A full disk, a device that fails, a file that grew as long as it may.
_OUTPUT_ERRORS = frozenset({errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG})

_complete_context = ParseMachine.complete_context
_see_positional = ParseMachine.see_positional_arg
_refuse = ParseMachine.error

# The help of an option that many tasks have.
JSON_HELP = {"json": "print one JSON document and nothing else"}

# How alike a word and the name of a task are to be.
_LIKENESS = 0.5


class OptionalPositional(Argument):
    """A positional argument that may be left out.

    Invoke gives a word to a positional argument only while its value is None, and refuses a task that ends with one;
    so this one is None until the task's arguments end, and then takes its default.
    """

    def settle(self) -> None:
        """Take the default, if no word was given."""
        if self.raw_value is None:
            self.set_value("", cast=False)


class NumberArgument(Argument):
    """An argument that takes a number, and says so; Invoke's own ends in a traceback."""

    def set_value(self, value: Any, cast: bool = True) -> None:
        """Take a value.

        Raises:
            ParseError: it is no number.
        """
        try:
            super().set_value(value, cast)
        except ValueError:
            wanted = "a whole number" if self.kind is int else "a number"
            raise ParseError(f"--{self.name} takes {wanted}, not {value!r}") from None


class UserTask(Task[Any]):
    """A task whose positional arguments with an empty default may be left out."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Return the task's arguments for Invoke's parser."""
        return [_loosen(argument) for argument in super().get_arguments(ignore_unknown_help)]


def verb(*positional: str, **options: Any) -> Callable[[Body], UserTask]:
    """Make a task of a function; the named arguments are positional, and optional where their default is empty."""

    def decorate(body: Body) -> UserTask:
        machine: Any = ParseMachine
        machine.complete_context, machine.see_positional_arg = _settle_context, _take_positional
        machine.error = _refuse_word
        return UserTask(_explain_errors(body), positional=positional, **options)

    return decorate


def _loosen(argument: Argument) -> Argument:
    given = {"names": argument.names, "kind": argument.kind, "help": argument.help}
    if argument.kind in (int, float):
        return NumberArgument(**given, default=argument.default)
    if argument.positional and argument.default == "":
        return OptionalPositional(**given, positional=True)
    return argument


def _settle_context(machine: Any) -> None:
    for argument in machine.context.positional_args if machine.context else ():
        if isinstance(argument, OptionalPositional):
            argument.settle()
    _complete_context(machine)


def _take_positional(machine: Any, word: str) -> None:
    """Take a word for a positional argument, unless it asks for help, as it does anywhere else."""
    flag = machine.initial.flags.get(word) if machine.initial else None
    if flag is None or flag.name != "help":
        _see_positional(machine, word)
        return
    flag.value = machine.context.name
    for argument in machine.context.missing_positional_args:
        argument.set_value("", cast=False)


def _refuse_word(machine: Any, message: str) -> None:
    """Raise Invoke's error, of a word that is no task with the names of those that are like it."""
    word = message.removeprefix(_UNKNOWN_WORD).removesuffix(" is!").strip("'")
    if message.startswith(_UNKNOWN_WORD) and not word.startswith("-"):
        near = [name for name in machine.contexts if name.startswith(f"{word}-")]
        near = near or get_close_matches(word, list(machine.contexts), n=1, cutoff=_LIKENESS)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        advice = _count_words(machine.context) or f"{hint} `invoke --list` shows all."
        message = name_command(f"There is no task {word!r}.{advice}")
    _refuse(machine, message)


def _count_words(context: Any) -> str:
    """Return how many words the task takes that stands before one too many."""
    taken = [argument.name.upper() for argument in context.positional_args] if context and context.name else []
    return f" {context.name} takes {' '.join(taken)} only; `invoke {context.name} --help` shows more." if taken else ""


_UNKNOWN_WORD = "No idea what "


def _explain_errors(body: Callable[..., Any]) -> Callable[..., Any]:
    """Turn an error into a message and an exit status; `invoke --debug` shows the traceback too."""

    @wraps(body)
    def run(context: Context, *args: Any, **kwargs: Any) -> Any:
        try:
            result = body(context, *args, **kwargs)
            sys.stdout.flush()
            return result
        except StackError as error:
            if _is_debugging():
                raise
            raise Exit(_paint(str(error)), code=error.status) from None
        except KeyboardInterrupt:
            raise Exit("Interrupted.", code=_INTERRUPTED) from None
        except Exit:
            raise
        except Exception as error:
            if _is_debugging():
                raise
            raise _explain_surprise(error) from None

    return run


def _explain_surprise(error: Exception) -> Exit:
    """Say what no one saw coming: an output that cannot be written, or a defect; nothing where no one reads on."""
    if isinstance(error, BrokenPipeError) and _is_unread():
        _give_up_output(error)
        return Exit(code=1)
    if _is_of_output(error):
        return Exit(_paint(f"The output cannot be written: {_give_up_output(error)}."), code=1)
    message = f"This is a defect of Tidegate: {type(error).__name__}: {error}\n`invoke --debug …` shows where."
    return Exit(_paint(message), code=70)


def _is_of_output(error: Exception) -> bool:
    """Return whether standard output cannot be written to; errors of files are explained where they are met."""
    return isinstance(error, OSError) and error.errno in _OUTPUT_ERRORS and error.filename is None


def _is_unread() -> bool:
    """Return whether the reader of standard output has ended, as `head` does; a server may hang up too."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return any(events & select.POLLERR for _, events in output.poll(0))


def _give_up_output(error: Exception) -> str:
    """Return the reason; what could not be written would else be an error once more at Python's own end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return str(getattr(error, "strerror", error))


def _is_debugging() -> bool:
    return logging.getLogger("invoke").isEnabledFor(logging.DEBUG)


def _paint(message: str) -> str:
    """Return an error in red, where it is shown in colours; rich knows as much, and takes time to import."""
    message = name_command(message)
    is_terminal = sys.stderr.isatty() or bool(os.environ.get("FORCE_COLOR"))
    is_colored = not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in ("dumb", "unknown")
    return f"\x1b[31m{message}\x1b[0m" if is_terminal and is_colored else message


# What the collection's configuration keeps: the names of tasks by their group, and where those of developers are.
GROUPS = "groups"
DEVELOPERS = "developers"

_list_flat, _print_task_help = Program.list_flat, Program.print_task_help


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
    Program.print_task_help = _print_help  # type: ignore[method-assign,assignment]
    return namespace


def _list_groups(program: Program) -> None:
    """Print the tasks by group."""
    _print_while_read(partial(_print_groups, program))


def _print_help(program: Program, name: str) -> None:
    """Print what Invoke says of a task."""
    _print_while_read(partial(_print_task_help, program, name))


def _print_while_read(print_all: Callable[[], object]) -> None:
    """Print; nothing more once no one reads on, as `head` does."""
    try:
        print_all()
        sys.stdout.flush()
    except BrokenPipeError as error:
        _give_up_output(error)


def _print_groups(program: Program) -> None:
    """Print a part of the tasks, and what has no groups, as Invoke does."""
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
    print(name_command("`invoke --help TASK` says more about one."))
    print(name_command(f"Those who work on Tidegate have more tasks: `invoke --list {settings[DEVELOPERS]}`."))
