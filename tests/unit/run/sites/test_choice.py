"""Which sites are meant by what was typed."""

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from stack.config.environment import SecretRef
from stack.errors import ConfigError, FunctionError, HostError
from stack.run.remote import RemoteDashboard
from stack.run.sites import choice
from stack.run.sites.choice import ChosenSite, SiteChoice, choose_sites, visit_sites
from stack.state.vault import write_secret
from stack.state.workspace import Workspace

FILE = """
sites:
  - {name: north, via: "http://north", labels: {region: n, kind: oven}}
  - {name: south, via: "http://south", labels: {region: s, kind: oven}}
  - {name: lab, via: "http://lab", labels: {region: n}}
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "sites.yaml").write_text(FILE)
    return Workspace(tmp_path)


def choose(workspace: Workspace, *terms: str, via: tuple[str, ...] = ()) -> list[str]:
    return [one.name for one in choose_sites(workspace, SiteChoice(via, terms))]


@pytest.mark.parametrize(
    ("terms", "names"),
    [
        ((), ["north", "south", "lab"]),
        (("region=n",), ["north", "lab"]),
        (("region=n", "kind=oven"), ["north"]),
        (("south",), ["south"]),
        (("south", "north"), ["north", "south"]),
        (("north", "south", "region=s"), ["south"]),
    ],
)
def test_names_and_labels_choose(workspace: Workspace, terms: tuple[str, ...], names: list[str]) -> None:
    assert choose(workspace, *terms) == names
    assert choose(workspace, *terms, via=("sites.yaml",)) == names


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        (("east",), r"no site east in sites.yaml. Sites: north, south, lab\."),
        (("region=e",), r"No site of sites.yaml has region=e\. Labels: kind=oven, region=n, region=s\."),
        (("south", "region=n"), "No site of sites.yaml has south and region=n"),
    ],
)
def test_choice_of_no_site_is_told(workspace: Workspace, terms: tuple[str, ...], told: str) -> None:
    with pytest.raises(FunctionError, match=told):
        choose(workspace, *terms)


def test_file_that_is_missing_is_told_with_an_example(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no .*/sites.yaml; write one, such as `sites: \["):
        choose(Workspace(tmp_path), "north")


def test_addresses_are_sites_by_themselves(workspace: Workspace) -> None:
    found = choose(workspace, via=("http://a:8070", "ann:pw@b"))
    assert found == ["http://a:8070", "http://b"]


@pytest.mark.parametrize(
    ("via", "terms", "told"),
    [
        (("sites.yaml", "http://a"), (), "several addresses, or one file"),
        (("http://a",), ("north",), "--site chooses among those of sites.yaml"),
        (("http://a", "a/api"), (), "an address twice"),
    ],
)
def test_what_does_not_go_together(
    workspace: Workspace, via: tuple[str, ...], terms: tuple[str, ...], told: str
) -> None:
    with pytest.raises(FunctionError, match=told):
        choose(workspace, *terms, via=via)


def test_login_comes_from_a_secret(tmp_path: Path) -> None:
    sites = "[{name: a, via: http://a, secret: sites.a}, {name: b, via: http://b, secret: sites.b}]"
    (tmp_path / "sites.yaml").write_text(f"sites: {sites}")
    workspace = Workspace(tmp_path)
    with pytest.raises(HostError, match="invoke secret set sites a"):
        choose(workspace)
    write_secret(workspace, SecretRef("sites", "a"), content=b"t0ken\n")
    write_secret(workspace, SecretRef("sites", "b"), content=b"ann:pw")
    found = choose_sites(workspace, SiteChoice(("sites.yaml",)))
    assert [one.dashboard.authorization for one in found] == ["Bearer t0ken", "Basic YW5uOnB3"]


def make_sites(count: int) -> list[ChosenSite]:
    return [ChosenSite(str(number), RemoteDashboard(f"http://{number}")) for number in range(count)]


def test_site_that_hangs_holds_up_no_other() -> None:
    hanging = threading.Event()

    def visit(site: ChosenSite) -> str:
        if site.name == "0":
            hanging.wait(30)
        return site.name

    visits = visit_sites(make_sites(20), visit, parallel=2, seconds=60)
    assert [next(visits)[1] for _ in range(19)] == [str(number) for number in range(1, 20)]
    hanging.set()
    assert next(visits)[1] == "0"


def test_so_many_are_visited_at_a_time() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def visit(_: ChosenSite) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1

    assert len(list(visit_sites(make_sites(9), visit, parallel=3, seconds=60))) == 9
    assert most <= 3


def test_error_of_a_site_is_its_result() -> None:
    def visit(site: ChosenSite) -> str:
        if site.name == "2":
            return "well"
        raise FunctionError("no") if site.name == "0" else KeyError("odd")

    told = {site.name: str(result) for site, result in visit_sites(make_sites(3), visit, parallel=1, seconds=60)}
    assert told == {"0": "no", "1": "http://1 is not understood: KeyError: 'odd'", "2": "well"}


def test_site_that_takes_too_long_is_given_up_and_another_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_LOOK_SECONDS", 0.05)
    now, hanging = [0.0], threading.Event()
    monkeypatch.setattr(choice, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def visit(site: ChosenSite) -> str:
        if site.name == "0":
            # For long, by a clock that stands still while the others are visited, however long that takes.
            now[0] = 100.0
            hanging.wait(30)
        return "well"

    found = {site.name: str(result) for site, result in visit_sites(make_sites(3), visit, parallel=1, seconds=60)}
    hanging.set()
    assert found == {"0": "http://0 has not ended in time.", "1": "well", "2": "well"}
