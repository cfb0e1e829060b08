"""Messages to people: short and calm, in colour on a terminal and plain in a pipe.

Results go to standard output; progress, notes and warnings go to standard error, so that `--json` output stays clean.
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from stack.errors import DeclinedError, HostError, name_command

_PIPE_WIDTH = 1000
# Characters that move the cursor, colour what follows or give the window a name, each with what is shown instead:
# messages are shown that anyone may have sent.
_SHOWN_AS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


@cache
def output() -> Console:
    """Return the console for results: standard output; in a pipe a row is one line, however long."""
    return Console(soft_wrap=True, highlight=False, emoji=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)


@cache
def progress() -> Console:
    """Return the console for everything that is not a result: standard error."""
    return Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)


def say(message: str) -> None:
    """Tell the user what is being done."""
    _tell(message)


def note(message: str) -> None:
    """Tell the user something that may be passed over."""
    _tell(message, "dim")


def warn(message: str) -> None:
    """Warn the user; the work goes on."""
    _tell(f"warning: {message}", "yellow")


def success(message: str) -> None:
    """Say that something is done."""
    _tell(message, "green")


def show(message: str) -> None:
    """Print one line of the result."""
    output().print(message.translate(_SHOWN_AS), markup=False)


def show_text(text: str) -> None:
    """Print a document as it is, and nothing else, on standard output."""
    print(text, end="")


def show_json(document: Any) -> None:
    """Print one JSON document, and nothing else, on standard output."""
    print(json.dumps(document, indent=2, default=str))


def show_json_line(document: Any) -> None:
    """Print a JSON document in one line on standard output, at once."""
    print(json.dumps(document, default=str), flush=True)


def show_table(columns: Iterable[str], rows: Iterable[Mapping[str, str]]) -> None:
    """Print rows as a table whose headings are the keys of each row."""
    output().print(make_table(columns, rows))


def make_table(columns: Iterable[str], rows: Iterable[Mapping[str, str]]) -> Table:
    """Make a table whose headings are the keys of each row."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    names = list(columns)
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(row[name].translate(_SHOWN_AS)) for name in names))
    return table


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone; `yes` answers at once.

    Raises:
        DeclinedError: the answer is no.
        HostError: no one can be asked, because standard input is not a terminal.
    """
    if not ask(question, yes=yes):
        raise DeclinedError("Nothing was changed.")


def ask(question: str, *, yes: bool) -> bool:
    """Return the answer to a question that cannot be taken back; `yes` answers at once, and Ctrl-D is a no.

    Raises:
        HostError: no one can be asked, because standard input is not a terminal.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise HostError(f"{question} No one can be asked here; add --yes to do it.")
    try:
        answer = progress().input(Text.assemble(question, " ", ("[y/N]", "dim"), " "))
    except EOFError:
        say("")
        return False
    return answer.strip().lower() in ("y", "yes")


class Work:
    """Something that takes a while: a line that moves on a terminal, a line at its end in a pipe."""

    def __init__(self, title: str, status: Status | None) -> None:
        self._title = title
        self._status = status

    def follow(self, lines: Iterable[str]) -> None:
        """Show each line as it comes."""
        for line in lines:
            if self._status and line.strip():
                self._status.update(Text.assemble(f"{self._title} … ", (line.strip()[:100], "dim")))


@contextmanager
def working(title: str) -> Iterator[Work]:
    """Show that `title` is being done, and at its end how long it took."""
    start = time.monotonic()
    if is_terminal():
        with progress().status(Text(f"{title} …")) as status:
            yield Work(title, status)
    else:
        yield Work(title, None)
    note(f"{title}: {time.monotonic() - start:.1f} s")


def is_terminal() -> bool:
    """Return whether progress is shown to a person, or to a program that wants what a person sees."""
    return bool(sys.stderr.isatty() or os.environ.get("FORCE_COLOR"))


def _tell(message: str, style: str = "") -> None:
    message = name_command(message).translate(_SHOWN_AS)
    if is_terminal():
        progress().print(message, style=style, markup=False)
    else:
        print(message, file=sys.stderr)
