"""The benchmark from end to end: every row measured, and shown."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stack import console
from stack.bench.environment import BenchEnv, OpenComparison, run_comparison
from stack.bench.events import open_amqp, open_forward, open_mqtt, open_round_trip, open_workers
from stack.bench.nodejs import open_nodejs_amqp, open_nodejs_http, open_nodejs_idle
from stack.bench.readings import open_readings
from stack.bench.requests import open_gateway, open_http, open_list, open_pages
from stack.bench.rows import (
    COLUMNS,
    FULL,
    QUICK,
    Result,
    Row,
    choose_rows,
    describe_spread,
    explain_broken,
    find_subjects,
    judge,
)
from stack.bench.scale import Load, print_scale
from stack.bench.sessions import MOST_SECONDS, MOST_SESSIONS, simulate
from stack.bench.start import open_memory, open_start
from stack.bench.tasks import open_deploy, show_growth
from stack.config.settings import load_settings
from stack.errors import StackError
from stack.run.interruption import interruptible
from stack.state.lock import lock
from stack.state.workspace import make_folder, open_workspace

_TAKEN_DOWN = "what ran to be measured is taken down."
_COMPARISONS: dict[str, OpenComparison] = {
    "amqp": open_amqp,
    "nodejs-amqp": open_nodejs_amqp,
    "nodejs-http": open_nodejs_http,
    "nodejs-idle": open_nodejs_idle,
    "workers": open_workers,
    "http": open_http,
    "gateway": open_gateway,
    "round-trip": open_round_trip,
    "forward": open_forward,
    "mqtt": open_mqtt,
    "readings": open_readings,
    "memory": open_memory,
    "start": open_start,
    "deploy": open_deploy,
    "list": open_list,
    "pages": open_pages,
}


def run_bench(*, quick: bool, as_json: bool, text: str) -> None:
    """Measure the rows whose name has the text, and show them.

    Raises:
        StackError: a bound does not hold, or a row could not be measured.
    """
    rows = choose_rows(text)
    with _making_env(quick=quick) as env:
        results = list(_measure(env, rows))
        _show(results, as_json=as_json)
    if broken := explain_broken(results):
        raise StackError(broken)


def run_growth(*, quick: bool, as_json: bool) -> None:
    """Measure how the stack grows with its functions, and show it.

    Raises:
        StackError: a task failed.
    """
    with _making_env(quick=quick) as env:
        show_growth(env, quick=quick, as_json=as_json)


def run_model(*, prints: bool, sessions: str, every: float, as_json: bool) -> None:
    """Print what the model says, or hold it against so many sessions.

    Raises:
        StackError: what was typed is wrong, the model is too far off, or the machine was too busy.
    """
    if prints and sessions:
        raise StackError("--scale prints the model, and --sessions holds it against a broker: leave out one of them.")
    if prints:
        print_scale(every=every, as_json=as_json)
    else:
        number = int(sessions) if sessions.isascii() and sessions.isdecimal() else 0
        run_simulation(sessions=number, every=every, as_json=as_json)


def run_simulation(*, sessions: int, every: float, as_json: bool) -> None:
    """Have so many devices at a broker of the benchmark's own, and compare what they cost with the model.

    Raises:
        StackError: the model is too far off, or the machine was too busy.
    """
    if not 1 <= sessions <= MOST_SESSIONS or not 0 < every <= MOST_SECONDS:
        wanted = f"--sessions should be 1 to {MOST_SESSIONS}, and --every more than 0 and at most {MOST_SECONDS:g}"
        raise StackError(f"{wanted} seconds.")
    with _making_env(quick=True) as env:
        simulate(env, Load(sessions, every, has_tls=False), as_json=as_json)


@contextmanager
def _making_env(*, quick: bool) -> Iterator[BenchEnv]:
    workspace = open_workspace()
    state = workspace.state / "bench"
    make_folder(state)
    with interruptible(_TAKEN_DOWN), lock(workspace, "bench"), ExitStack() as exits:
        # A container's user reads here too.
        make_folder(scratch := Path(exits.enter_context(tempfile.TemporaryDirectory(dir=state))))
        yield BenchEnv(QUICK if quick else FULL, state, load_settings(workspace.root), exits, scratch)


def _measure(env: BenchEnv, rows: Sequence[Row]) -> Iterator[Result]:
    for comparison, open_comparison in _COMPARISONS.items():
        own = [row for row in rows if row.comparison == comparison]
        if own:
            yield from _hold(env, open_comparison, rows=own)


def _hold(env: BenchEnv, open_comparison: OpenComparison, *, rows: Sequence[Row]) -> Iterator[Result]:
    """Yield the results of one comparison; those for which this machine lacks something say what."""
    reason = ""
    try:
        with console.working(f"Measuring {rows[0].name}"):
            rounds = run_comparison(open_comparison, env, names=find_subjects(rows, rows[0].comparison))
    except StackError as error:
        console.warn(f"{rows[0].name}: {error}")
        rounds, reason = {}, str(error)
    yield from (judge(row, rounds, reason) for row in rows)


def _show(results: Sequence[Result], *, as_json: bool) -> None:
    if as_json:
        console.show_json({"rows": [result.as_document() for result in results]})
    else:
        console.show_table(COLUMNS, [result.as_line() for result in results])
    if spread := describe_spread(results):
        console.note(spread)
