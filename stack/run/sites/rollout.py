"""A rollout: one function to many sites, a wave of them after the other, as long as all of each come up."""

import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from stack import console
from stack.config.settings import load_settings
from stack.config.source import find_folder
from stack.contract import parse_duration
from stack.errors import FunctionError, StackError
from stack.run.import_export import make_export
from stack.run.remote_function import RemoteFunction, deploy_at, roll_back_at
from stack.run.sites.choice import ChosenSite, SiteChoice, choose_sites, shorten, visit_sites
from stack.state.workspace import open_workspace

# Where nothing else is typed.
_PARALLEL, _TIMEOUT = 10, "30m"
_ALL = "all"
_SIZE = re.compile(r"([1-9]\d*)(%?)|all")
_FAILED = "failed"
# Of many sites, whose problems are told at the end as well.
_MOST_TOLD = 10
_COLUMNS = ("site", "wave", "state", "revision", "seconds", "address, or why not")


@dataclass(frozen=True)
class SiteRequest:
    """What is to be done at which sites: at so many at a time, each within a time such as 30m."""

    name: str = ""
    choice: SiteChoice = field(default_factory=SiteChoice)
    waves: str | None = None
    """How far each wave goes. An empty text is refused: of a script's variable that is not set all would begin."""
    parallel: int = 0
    timeout: str = ""
    as_json: bool = False

    @property
    def seconds(self) -> float:
        """Return how long one site may take.

        Raises:
            FunctionError: it is no time.
        """
        try:
            seconds = parse_duration(self.timeout or _TIMEOUT)
        except ValueError as error:
            raise FunctionError(f"--timeout {error}") from None
        if seconds < 1:
            raise FunctionError("--timeout should be at least 1s.")
        return seconds

    @property
    def side_by_side(self) -> int:
        """Return how many sites are at work at a time.

        Raises:
            FunctionError: it is no such number.
        """
        if self.parallel < 0:
            raise FunctionError("--parallel should be at least 1.")
        return self.parallel or _PARALLEL

    def refuse_here(self) -> None:
        """Refuse what means nothing where no site is named.

        Raises:
            FunctionError: it was typed.
        """
        given = {"--waves": self.waves, "--parallel": self.parallel, "--timeout": self.timeout}
        if typed := [name for name, value in given.items() if value]:
            raise FunctionError(f"{', '.join(typed)}: for sites elsewhere; name them by --via or --site.")


@dataclass(frozen=True)
class SiteResult:
    """What came of a site; `problem` says why it has not what it should have."""

    site: ChosenSite
    wave: int
    function: RemoteFunction
    problem: str = ""
    seconds: float = 0.0

    def describe(self) -> dict[str, Any]:
        """Return what --json prints."""
        return {
            "site": self.site.name,
            "via": self.site.dashboard.address,
            "labels": dict(self.site.labels),
            "wave": self.wave,
            "state": self.function.state,
            "revision": self.function.revision,
            "version": self.function.version,
            "addresses": list(self.function.addresses),
            "seconds": round(self.seconds, 1),
            "problem": self.problem,
        }

    def as_row(self) -> dict[str, str]:
        """Return its line of the table."""
        told = self.problem.partition("\n")[0] or ", ".join(f"http://{one}" for one in self.function.addresses)
        return {
            "site": self.site.name,
            "wave": str(self.wave),
            "state": self.function.state,
            "revision": str(self.function.revision or "-"),
            "seconds": f"{self.seconds:.1f}" if self.seconds else "-",
            "address, or why not": told or "-",
        }


def split_waves(text: str, sites: Sequence[ChosenSite]) -> list[tuple[ChosenSite, ...]]:
    """Return who is in which wave, by how many sites have had their turn when it ends: `1,10%,all`, or a part of it.

    A wave in which there would be no one is left out, and so are sites after the last.

    Raises:
        FunctionError: the text is none, or a later wave is smaller than one before.
    """
    ends = [_read_end(one.strip(), len(sites)) for one in text.split(",")]
    if ends != sorted(ends):
        raise FunctionError(f"--waves should grow, such as 1,10%,all: each says how far it goes; not {text!r}.")
    bounds = [0, *ends]
    return [tuple(sites[begin:end]) for begin, end in zip(bounds, ends, strict=False) if end > begin]


def _read_end(text: str, count: int) -> int:
    found = _SIZE.fullmatch(text)
    if not found or (found[2] and int(found[1]) > 100):
        raise FunctionError(f"--waves should be numbers, parts or all, such as 1,10%,all, not {text!r}.")
    if text == _ALL:
        return count
    wanted = math.ceil(count * int(found[1]) / 100) if found[2] else int(found[1])
    return min(wanted, count)


def deploy_to_sites(request: SiteRequest) -> None:
    """Deploy functions/NAME to sites, and show how it is at each; the next wave begins when all of one are ready.

    Raises:
        FunctionError: it did not come up at one or more sites; the others have it, and later waves were not begun.
        StackError: the function, the sites or the waves are wrong; nothing was deployed.
    """
    workspace = open_workspace()
    sites = choose_sites(workspace, request.choice)
    waves = split_waves(_ALL if request.waves is None else request.waves, sites)
    exported = make_export(find_folder(workspace.root, request.name), load_settings(workspace.root))
    for note in exported.notes:
        console.warn(f"{note}.")
    visit = partial(deploy_at, document=exported.document)
    results = list(_run_waves(request, waves, visit=lambda site, work: visit(site.dashboard, tell=work)))
    _show(request, sites, results=results, back="rollback-function")


def roll_back_at_sites(request: SiteRequest, number: int) -> None:
    """Go back to an older revision of a function at sites, and show how it is at each.

    Raises:
        FunctionError: one or more sites could not; the others have gone back.
        StackError: what was typed is wrong; nothing was done.
    """
    sites = choose_sites(open_workspace(), request.choice)
    if number and len(sites) > 1:
        raise FunctionError("Each site counts its revisions by itself: leave out --to, or name one site.")
    visit = partial(roll_back_at, name=request.name, number=number)
    _show(request, sites, results=list(_run_waves(request, [sites], visit=lambda site, _: visit(site.dashboard))))


_Visit = Callable[[ChosenSite, Callable[[Sequence[str]], None]], RemoteFunction]


def _run_waves(request: SiteRequest, waves: Sequence[Sequence[ChosenSite]], *, visit: _Visit) -> Iterator[SiteResult]:
    """Yield what came of each site; after a wave in which one failed, no other begins."""
    for number, wave in enumerate(waves, 1):
        title = f"{request.name}: wave {number} of {len(waves)}, {_count(len(wave))}"
        with console.working(title) as work:
            results = list(_run_wave(request, number, wave=wave, visit=lambda site: visit(site, work.follow)))
        order = {site.name: place for place, site in enumerate(wave)}
        yield from sorted(results, key=lambda one: order[one.site.name])
        if any(one.problem for one in results):
            return


def _run_wave(
    request: SiteRequest, number: int, *, wave: Sequence[ChosenSite], visit: Callable[[ChosenSite], RemoteFunction]
) -> Iterator[SiteResult]:
    seconds, began = request.seconds, dict[str, float]()

    def limited(site: ChosenSite) -> RemoteFunction:
        began[site.name] = time.monotonic()
        dashboard = replace(site.dashboard, deadline=time.monotonic() + seconds)
        return visit(replace(site, dashboard=dashboard))

    for site, found in visit_sites(wave, limited, parallel=request.side_by_side, seconds=seconds):
        took = time.monotonic() - began[site.name]
        if isinstance(found, StackError):
            result = SiteResult(site, number, RemoteFunction(_FAILED), str(found), took)
        else:
            result = SiteResult(site, number, found, found.problem, took)
        console.note(f"{site.name}: {result.problem.partition(chr(10))[0] or result.function.state} ({took:.1f} s)")
        yield result


def _show(request: SiteRequest, sites: Sequence[ChosenSite], *, results: Sequence[SiteResult], back: str = "") -> None:
    """Print what came of each site; `back` is the task that undoes it.

    Raises:
        FunctionError: a site has not what it should have.
    """
    left = sites[len(results) :]
    if request.as_json:
        documents = [one.describe() for one in results]
        console.show_json({"function": request.name, "sites": documents, "left": [one.name for one in left]})
    else:
        console.show_table(_COLUMNS, [one.as_row() for one in results])
    rest = f" {_count(len(left))} not begun: {shorten([one.name for one in left])}." if left else ""
    good = [one.site for one in results if not one.problem]
    if len(good) == len(results):
        console.success(f"{request.name} is so at {_count(len(good))}.{rest}")
        return
    problems = [f"{one.site.name}: {one.problem}" for one in results if one.problem]
    told = f"{request.name} failed at {_count(len(problems))} of {len(results)}.{rest}"
    if good and back:
        options = request.choice.name_options(good)
        told += f" The others keep it: `invoke {back} {request.name} {options}` goes back there."
    raise FunctionError("\n".join([*problems[:_MOST_TOLD], told]))


def _count(number: int) -> str:
    return f"{number} site{'' if number == 1 else 's'}"
