"""Who runs which revision: the functions of many sites, side by side."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from stack import console
from stack.errors import StackError
from stack.run.remote_function import RemoteFunction, read_function
from stack.run.sites.choice import ChosenSite, choose_sites, shorten, visit_sites
from stack.run.sites.rollout import SiteRequest
from stack.state.workspace import open_workspace

_COLUMNS = ("site", "reachable", "function", "state", "revision", "version")
_NONE = "-"
# Of a version, as many digits as tell it from others.
_DIGITS = 12


@dataclass(frozen=True)
class SiteStatus:
    """What a site says of its functions, by name; `problem` says why it says nothing."""

    site: ChosenSite
    functions: Mapping[str, RemoteFunction]
    problem: str = ""

    def describe(self, usual: Mapping[str, str]) -> dict[str, Any]:
        """Return what --json prints."""
        functions = {
            name: {
                "state": one.state,
                "revision": one.revision,
                "version": one.version,
                "differs": one.version != usual[name],
                "message": one.message,
            }
            for name, one in self.functions.items()
        }
        told = {"site": self.site.name, "via": self.site.dashboard.address, "labels": dict(self.site.labels)}
        return {**told, "reachable": not self.problem, "problem": self.problem, "functions": functions}

    def list_rows(self, usual: Mapping[str, str]) -> list[dict[str, str]]:
        """Return its lines of the table, one for each function; what differs is marked."""
        head = {"site": self.site.name, "reachable": "no" if self.problem else "yes"}
        if not self.functions:
            return [{**head, "function": _NONE, "state": _NONE, "revision": _NONE, "version": _NONE}]
        return [
            {
                **head,
                "function": name,
                "state": one.state,
                "revision": str(one.revision or _NONE),
                "version": f"{one.version[:_DIGITS] or _NONE}{'' if one.version == usual[name] else ' *'}",
            }
            for name, one in self.functions.items()
        ]


def print_sites(request: SiteRequest) -> None:
    """Show how sites are, and which revision of each function they run; of one function, if it is named.

    Raises:
        StackError: the sites are not those of sites.yaml, or it is wrong.
    """
    sites = choose_sites(open_workspace(), request.choice)
    statuses = _fetch(request, sites)
    usual = find_usual(statuses)
    if request.as_json:
        console.show_json([one.describe(usual) for one in statuses])
        return
    console.show_table(_COLUMNS, [row for one in statuses for row in one.list_rows(usual)])
    for one in statuses:
        if one.problem:
            console.warn(f"{one.site.name}: {one.problem}")
    for name, version in usual.items():
        other = [one.site.name for one in statuses if name in one.functions and one.functions[name].version != version]
        lacking = [one.site.name for one in statuses if not one.problem and name not in one.functions]
        if other:
            console.note(f"* {name} is another than at most sites: {shorten(other)}.")
        if lacking:
            console.note(f"{name} is not at {shorten(lacking)}.")


def find_usual(statuses: Sequence[SiteStatus]) -> dict[str, str]:
    """Return the version of each function that most sites have, by its name; of two, that of the first site."""
    counts = defaultdict[str, Counter[str]](Counter)
    for one in statuses:
        for name, function in one.functions.items():
            counts[name][function.version] += 1
    return {name: counts[name].most_common(1)[0][0] for name in sorted(counts)}


def _fetch(request: SiteRequest, sites: Sequence[ChosenSite]) -> list[SiteStatus]:
    seconds, found = request.seconds, dict[str, SiteStatus]()

    def fetch(site: ChosenSite) -> Mapping[str, RemoteFunction]:
        dashboard = replace(site.dashboard, deadline=monotonic() + seconds)
        known = dashboard.fetch_mapping("functions")
        names = [name for name in sorted(known) if request.name in ("", name)]
        return {name: read_function(known[name]) for name in names}

    with console.working("Asking 1 site" if len(sites) == 1 else f"Asking {len(sites)} sites"):
        for site, functions in visit_sites(sites, fetch, parallel=request.side_by_side, seconds=seconds):
            if isinstance(functions, StackError):
                found[site.name] = SiteStatus(site, {}, str(functions))
            else:
                found[site.name] = SiteStatus(site, functions)
    return [found[site.name] for site in sites]
