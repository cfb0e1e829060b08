"""Which sites are meant: addresses that were typed, or those of sites.yaml by name and label; and a visit to each."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

from stack.config.environment import SecretRef
from stack.config.sites import EXAMPLE, FILE, Site, load_sites
from stack.errors import ConfigError, FunctionError, HostError, StackError
from stack.run.remote import RemoteDashboard, open_dashboard
from stack.state.vault import load_secret
from stack.state.workspace import Workspace

Found = TypeVar("Found")

_SUFFIXES = (".yaml", ".yml")
_SHOWN = 10


@dataclass(frozen=True)
class SiteChoice:
    """What was typed: addresses or one file after --via, and names and labels after --site."""

    via: Sequence[str] = ()
    terms: Sequence[str] = ()

    @property
    def file(self) -> str:
        """Return the file that has the sites; nothing where addresses were typed."""
        named = next((one for one in self.via if _is_file(one)), "")
        return named or ("" if self.via else FILE)

    @property
    def is_one_address(self) -> bool:
        """Return whether it is one dashboard, by its address."""
        return len(self.via) == 1 and not self.file and not self.terms

    @property
    def is_elsewhere(self) -> bool:
        """Return whether sites were asked for at all."""
        return bool(self.via or self.terms)

    def name_options(self, sites: "Sequence[ChosenSite]") -> str:
        """Return what to type to mean these sites among those that are meant."""
        if not self.file:
            return " ".join(f"--via {one.dashboard.address}" for one in sites)
        return " ".join([*(f"--via {one}" for one in self.via), *(f"--site {one.name}" for one in sites)])


@dataclass(frozen=True)
class ChosenSite:
    """A site, and its dashboard."""

    name: str
    dashboard: RemoteDashboard
    labels: Mapping[str, str] = field(default_factory=dict)


def choose_sites(workspace: Workspace, choice: SiteChoice) -> tuple[ChosenSite, ...]:
    """Return the sites that are meant, in their order.

    Raises:
        ConfigError: sites.yaml is wrong.
        FunctionError: what was typed fits no site, or does not go together.
        HostError: an address is none, or a secret is not there.
    """
    if choice.file:
        if len(choice.via) > 1:
            raise FunctionError("--via takes several addresses, or one file of sites; leave out one of them.")
        return tuple(_open(workspace, one) for one in _select(_load(workspace, choice.file), choice.terms))
    if choice.terms:
        raise FunctionError(f"--site chooses among those of {FILE}; an address after --via is a site by itself.")
    found = [open_dashboard(url) for url in dict.fromkeys(choice.via)]
    if len({one.address for one in found}) < len(found):
        raise FunctionError("--via has an address twice; leave out one of them.")
    return tuple(ChosenSite(one.address, one) for one in found)


def _is_file(text: str) -> bool:
    return "://" not in text and text.endswith(_SUFFIXES)


def _load(workspace: Workspace, file: str) -> tuple[Site, ...]:
    typed, own = Path(file).expanduser(), workspace.root / file
    path = typed if typed.is_file() else own
    if not path.is_file():
        raise ConfigError([f"There is no {own}; write one, such as `{EXAMPLE}`."])
    return load_sites(path)


def _select(sites: Sequence[Site], terms: Sequence[str]) -> list[Site]:
    """Return the sites of these names, or all if none is named, as far as they have each of the labels."""
    labels = [(name, value) for name, sign, value in (one.partition("=") for one in terms) if sign]
    names = [one for one in terms if "=" not in one]
    known = [one.name for one in sites]
    if unknown := [name for name in names if name not in known]:
        raise FunctionError(f"There is no site {', '.join(unknown)} in {FILE}. Sites: {shorten(known)}.")
    found = [
        one
        for one in sites
        if (not names or one.name in names) and all(one.labels.get(name) == value for name, value in labels)
    ]
    if not found:
        there = sorted({f"{name}={value}" for one in sites for name, value in one.labels.items()})
        told = f"Labels: {shorten(there)}." if there else "None of them has a label."
        raise FunctionError(f"No site of {FILE} has {' and '.join(terms)}. {told}")
    return found


def _open(workspace: Workspace, site: Site) -> ChosenSite:
    login = ""
    if site.secret:
        ref = SecretRef.parse(site.secret)
        content = load_secret(workspace, ref)
        if not content:
            advice = f"`invoke secret set {ref.name} {ref.key}` takes its token, or its USER:PASSWORD."
            raise HostError(f"{FILE}: {site.name}: there is no secret {ref} here. {advice}")
        login = content.get_secret_value().decode(errors="replace").strip()
    return ChosenSite(site.name, open_dashboard(site.via, login), site.labels)


def shorten(names: Sequence[str]) -> str:
    """Return names in a sentence, of many the first."""
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


# Beyond the time that a site has, for what it is to say at its end.
_GRACE_SECONDS = 5.0
_LOOK_SECONDS = 0.5


@dataclass
class _Visits(Generic[Found]):
    """Visits on their way: who waits for one, since when one is visited, and what came of them."""

    visit: Callable[[ChosenSite], Found]
    waiting: SimpleQueue[ChosenSite] = field(default_factory=SimpleQueue)
    done: SimpleQueue[tuple[ChosenSite, Found | StackError]] = field(default_factory=SimpleQueue)
    began: dict[str, float] = field(default_factory=dict)

    def start(self) -> None:
        """Start a thread that makes visits; it keeps no program from its end, also where a site hangs."""
        Thread(target=self._work, name="sites", daemon=True).start()

    def _work(self) -> None:
        with suppress(Empty):
            while True:
                site = self.waiting.get_nowait()
                self.began[site.name] = time.monotonic()
                self.done.put((site, self._try(site)))

    def _try(self, site: ChosenSite) -> Found | StackError:
        """Return what comes of one: whatever a site answers is no reason to forget the others."""
        try:
            return self.visit(site)
        except StackError as error:
            return error
        except Exception as error:
            return FunctionError(f"{site.dashboard.address} is not understood: {type(error).__name__}: {error}")


def visit_sites(
    sites: Sequence[ChosenSite], visit: Callable[[ChosenSite], Found], *, parallel: int, seconds: float
) -> Iterator[tuple[ChosenSite, Found | StackError]]:
    """Visit so many sites at a time; yield each as it ends, with what came of it or why nothing did.

    One that takes longer than so many seconds is given up, and another has its turn.
    """
    visits = _Visits(visit)
    for site in sites:
        visits.waiting.put(site)
    for _ in range(min(parallel, len(sites))):
        visits.start()
    left = {site.name: site for site in sites}
    while left:
        with suppress(Empty):
            site, found = visits.done.get(timeout=_LOOK_SECONDS)
            if left.pop(site.name, None):
                yield site, found
        limit = time.monotonic() - seconds - _GRACE_SECONDS
        for late in [one for name, one in left.items() if visits.began.get(name, math.inf) < limit]:
            del left[late.name]
            visits.start()
            yield late, FunctionError(f"{late.dashboard.address} has not ended in time.")
