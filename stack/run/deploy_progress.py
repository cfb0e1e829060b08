"""How far each function of a deploy is: a live table on a terminal, a line for each step in a pipe."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.live import Live
from rich.table import Table

from stack import console
from stack.errors import StackError
from stack.state.deploy_log import DeployLog, Result
from stack.state.deployment import load_deployment
from stack.state.workspace import Workspace

READY, FAILED = "ready", "failed"
# Times a second that the table is painted again.
_PAINTS = 8
_DETAIL_CHARACTERS = 60


@dataclass
class Progress:
    """How far one function is; `failure` is why it failed, as a whole."""

    state: str = "waiting"
    detail: str = ""
    failure: str = ""
    seconds: float | None = None


@dataclass
class DeployProgress:
    """The functions of a deploy; threads tell it what they do, and their logs keep it."""

    names: Sequence[str]
    logs: Mapping[str, DeployLog]
    _rows: dict[str, Progress] = field(init=False)
    _began: float = field(default_factory=time.monotonic)
    _live: Live | None = None

    def __post_init__(self) -> None:
        self._rows = {name: Progress() for name in self.names}

    @property
    def failures(self) -> Mapping[str, str]:
        """Return why functions failed, by name."""
        return {name: row.failure for name, row in self._rows.items() if row.failure}

    def tell(self, name: str, state: str) -> None:
        """Say what is being done with a function, or that it is ready."""
        row = self._rows[name]
        row.state, row.detail = state, ""
        if state in (READY, FAILED):
            row.seconds = self._seconds()
        self._keep(name, row)
        if not console.is_terminal():
            console.note(f"{name}: {state} ({self._seconds():.1f} s)")

    def follow(self, name: str, lines: Iterable[str]) -> None:
        """Show the lines of a log beside a function's name as they come."""
        for line in lines:
            self.logs[name].line(line)
            self._rows[name].detail = line.strip()[:_DETAIL_CHARACTERS] or self._rows[name].detail

    def fail(self, name: str, reason: str) -> None:
        """Say that a function failed, and what goes on; the whole reason is for the end."""
        workspace, kept = self.logs[name].workspace, ""
        if deployment := load_deployment(workspace, name):
            kept = f"\nRevision {deployment.revision} of {name} runs as before."
        self._rows[name].failure = f"{reason}{kept}"
        self.tell(name, FAILED)
        self._rows[name].detail = reason.partition("\n")[0][:_DETAIL_CHARACTERS]

    def show(self) -> None:
        """Show the table on a terminal from now on."""
        if console.is_terminal():
            # A new one each time: it would go on where it was, above what was printed since.
            self._live = Live(get_renderable=self._paint, console=console.progress(), refresh_per_second=_PAINTS)
            self._live.start()

    def hide(self) -> None:
        """Leave the table as it is: what is printed from now on stands below it."""
        if self._live:
            self._live.stop()

    def _keep(self, name: str, row: Progress) -> None:
        log, after = self.logs[name], f"after {self._seconds():.1f} s"
        if row.state == READY:
            log.end(Result.READY, f"{name} is ready {after}")
        elif row.state == FAILED:
            log.end(Result.ERROR, row.failure)
        else:
            log.step(f"{name}: {row.state}")

    def _paint(self) -> Table:
        return console.make_table(
            ("function", "state", "step", "seconds"),
            [
                {
                    "function": name,
                    "state": row.state,
                    "step": row.detail,
                    "seconds": f"{self._seconds() if row.seconds is None else row.seconds:.1f}",
                }
                for name, row in self._rows.items()
            ],
        )

    def _seconds(self) -> float:
        return time.monotonic() - self._began


@contextmanager
def keep_progress(workspace: Workspace, names: Sequence[str], *, reason: str) -> Iterator[DeployProgress]:
    """Yield the progress of a deploy whose logs are kept; whatever ends the block ends them too."""
    logs = {name: DeployLog(workspace, name) for name in names}
    for log in logs.values():
        log.begin(reason)
    why = "The deploy did not come to this function."
    progress = DeployProgress(names, logs)
    try:
        yield progress
    except StackError as error:
        why = str(error)
        raise
    except KeyboardInterrupt:
        why = "The deploy was interrupted; what ran before runs on."
        raise
    finally:
        progress.hide()
        for log in logs.values():
            log.end(Result.ERROR, why)
