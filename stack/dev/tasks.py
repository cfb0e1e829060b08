"""The tasks of those who work on Tidegate: `invoke dev.test` and its like."""

import sys

from invoke import Collection, Context, Exit

from stack.cli import JSON_HELP, verb


@verb(
    help={
        "unit": "only the tests that start nothing: about a minute",
        "docker": "only the tests of the real stack",
        "slow": "the tests too that take long; without them some 20 minutes",
        "last-failed": "only the tests that failed last time; all if none did",
        "chaos": "only the proof that nothing is lost, whatever breaks",
        "engine": "the chaos kills this machine's Docker Engine too, and all that runs on it",
        "swarm": "only the tests on three machines, which are namespaces of this one; they need root",
        "fuzz": "only the proof that no odd message or answer stops anything",
        "minutes": "how long the chaos, or the fuzz, goes on",
        "seed": "repeat the chaos, or the fuzz, that told this number",
    }
)
def test(  # noqa: PLR0913 -- each is an option of the command line
    _: Context,
    unit: bool = False,
    docker: bool = False,
    slow: bool = False,
    last_failed: bool = False,
    chaos: bool = False,
    engine: bool = False,
    fuzz: bool = False,
    swarm: bool = False,
    minutes: float = 1.0,
    seed: int = 0,
) -> None:
    """Run Tidegate's own tests; pytest gets what stands behind ` -- `, such as `-- -k name`."""
    from stack.dev.check import Selection, run_chaos, run_fuzz, run_swarm, run_tests

    arguments = _find_remainder()
    if chaos:
        raise Exit(code=run_chaos(arguments, minutes=minutes, seed=seed, engine=engine))
    if fuzz:
        raise Exit(code=run_fuzz(arguments, minutes=minutes, seed=seed))
    if swarm:
        raise Exit(code=run_swarm(arguments, slow=slow))
    raise Exit(code=run_tests(Selection(unit, docker, slow, last_failed, arguments)))


@verb(help={"fix": "mend what can be mended without a person"})
def lint(_: Context, fix: bool = False) -> None:
    """Check Tidegate's own style, types and spelling."""
    from stack.dev.check import run_checks

    run_checks(fix=fix)


@verb(help={"build": "write the site to .site/ and stop; a warning is an error", "port": "where to serve it"})
def docs(_: Context, build: bool = False, port: int = 8000) -> None:
    """Serve the documentation on this machine, each page built again as its file is saved."""
    from stack.dev.check import build_docs, serve_docs

    raise Exit(code=build_docs() if build else serve_docs(port))


@verb(
    help={
        "quick": "fewer messages and rounds, and figures that are less sure",
        "row": "only the rows whose name has this text",
        "growth": "measure how tasks and memory grow from 1 to 100 functions instead",
        "scale": "print the machines and the money that 1,000 to 1,000,000 devices need instead, by a model",
        "sessions": "hold that model against so many sessions of MQTT instead",
        "every": "with --scale and --sessions: seconds between two messages of a device",
        **JSON_HELP,
    }
)
def bench(
    _: Context,
    quick: bool = False,
    json: bool = False,
    row: str = "",
    growth: bool = False,
    scale: bool = False,
    sessions: str = "",
    every: float = 10.0,
) -> None:
    """Measure how fast functions are, against what else there is on this machine."""
    from stack.bench.report import run_bench, run_growth, run_model

    if scale or sessions:
        run_model(prints=scale, sessions=sessions, every=every, as_json=json)
    elif growth:
        run_growth(quick=quick, as_json=json)
    else:
        run_bench(quick=quick, as_json=json, text=row)


@verb(help={"tested": "every test of this commit has passed already: do not run them again"})
def release(_: Context, tested: bool = False) -> None:
    """Check, test, build and tag the version that pyproject.toml names; wheel and sdist go to dist/."""
    from stack.dev.release import make_release
    from stack.state.workspace import PROGRAM

    make_release(PROGRAM, is_tested=tested)


def _find_remainder() -> list[str]:
    """Return the arguments behind ` -- `; Invoke joins them with spaces, and so forgets which had some."""
    return sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []


developers = Collection("dev", bench, docs, lint, release, test)
