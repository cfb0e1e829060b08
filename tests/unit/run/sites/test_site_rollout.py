"""A function to many sites: in waves, some at a time, and how it ends."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack.errors import FunctionError
from stack.run import remote_function
from stack.run.deploy_request import DeployRequest, deploy_and_print, roll_back_and_print
from stack.run.remote import RemoteDashboard
from stack.run.sites.choice import ChosenSite, SiteChoice
from stack.run.sites.rollout import SiteRequest, deploy_to_sites, roll_back_at_sites, split_waves
from stack.run.sites.status import print_sites
from stack.state.workspace import VARIABLE
from tests.unit.run.nuclio_server import Nuclio, serve_nuclio


@pytest.fixture
def nuclios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Nuclio]]:
    """Four sites, s0 to s3, of which the last two are in the region n; and a function to be deployed."""
    folder = tmp_path / "functions" / "reader"
    folder.mkdir(parents=True)
    (folder / "function.yaml").write_text("spec: {handler: 'main:handler'}\n")
    (folder / "main.py").write_text("def handler(context, event):\n    return 1\n")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr(remote_function, "_INTERVAL_SECONDS", 0.01)
    with ExitStack() as stack:
        found = [stack.enter_context(serve_nuclio()) for _ in range(4)]
        write_sites(tmp_path, *(one.url for one in found))
        yield found


def write_sites(folder: Path, *urls: str) -> None:
    sites = [{"name": f"s{n}", "via": url, "labels": {"region": "sn"[n > 1]}} for n, url in enumerate(urls)]
    (folder / "sites.yaml").write_text(yaml.safe_dump({"sites": sites}))


def ask(*terms: str, via: tuple[str, ...] = ("sites.yaml",), **options: Any) -> SiteRequest:
    return SiteRequest("reader", SiteChoice(via, terms), **options)


@pytest.mark.parametrize(
    ("text", "count", "sizes"),
    [
        ("all", 5, [5]),
        ("1,10%,all", 30, [1, 2, 27]),
        ("1,10%,all", 5, [1, 4]),
        ("1,50%", 4, [1, 1]),
        ("3,100%", 2, [2]),
        ("34%,all", 3, [2, 1]),
    ],
)
def test_waves_say_how_far_they_go(text: str, count: int, sizes: list[int]) -> None:
    sites = [ChosenSite(str(number), RemoteDashboard(f"http://{number}")) for number in range(count)]
    waves = split_waves(text, sites)
    assert [len(one) for one in waves] == sizes
    assert [site for wave in waves for site in wave] == sites[: sum(sizes)]


@pytest.mark.parametrize("text", ["", "0", "all,1", "101%", "1;2", "5,10%"])
def test_what_is_no_waves(text: str) -> None:
    with pytest.raises(FunctionError, match=re.escape("--waves should")):
        split_waves(text, [ChosenSite("a", RemoteDashboard("http://a"))] * 10)


def test_all_have_it_and_are_shown(nuclios: list[Nuclio], capsys: pytest.CaptureFixture[str]) -> None:
    deploy_to_sites(ask(waves="1,50%,all"))
    assert all("reader" in one.functions for one in nuclios)
    captured = capsys.readouterr()
    rows = [line.split() for line in captured.out.splitlines()]
    assert [row[:4] for row in rows[1:]] == [[f"s{n}", "1233"[n], "ready", "1"] for n in range(4)]
    assert "reader: wave 1 of 3, 1 site" in captured.err
    assert "reader is so at 4 sites." in captured.err


def test_labels_and_names_choose(nuclios: list[Nuclio]) -> None:
    deploy_to_sites(ask("region=n", via=()))
    assert [bool(one.functions) for one in nuclios] == [False, False, True, True]
    deploy_to_sites(ask("s0", via=()))
    assert [bool(one.functions) for one in nuclios] == [True, False, True, True]


def test_no_wave_begins_after_one_that_failed(nuclios: list[Nuclio], capsys: pytest.CaptureFixture[str]) -> None:
    nuclios[1].state, nuclios[1].message = "error", "no module named x\nTraceback"
    with pytest.raises(FunctionError) as caught:
        deploy_to_sites(ask(waves="1,3,all", as_json=True))
    assert [bool(one.functions) for one in nuclios] == [True, True, True, False]
    told = str(caught.value)
    assert "s1: it is error: no module named x\nTraceback" in told
    assert "reader failed at 1 site of 3. 1 site not begun: s3." in told
    assert "`invoke rollback-function reader --via sites.yaml --site s0 --site s2` goes back there" in told
    document = json.loads(capsys.readouterr().out)
    assert [(one["site"], one["wave"], one["state"]) for one in document["sites"]] == [
        ("s0", 1, "ready"),
        ("s1", 2, "error"),
        ("s2", 2, "ready"),
    ]
    assert document["left"] == ["s3"]


def test_site_that_is_down_or_hangs_is_given_up(nuclios: list[Nuclio], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        address = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        write_sites(tmp_path, address, "http://127.0.0.1:9", nuclios[0].url)
        with pytest.raises(FunctionError) as caught:
            # The third has to be done in time, on a busy machine too.
            deploy_to_sites(ask(timeout="4s", parallel=3))
    told = str(caught.value)
    assert f"s0: {address} does not answer: " in told
    assert "s1: http://127.0.0.1:9 does not answer: Connection refused" in told
    assert "reader failed at 2 sites of 3." in told
    assert "reader" in nuclios[0].functions


def test_deploy_that_takes_too_long_is_given_up(nuclios: list[Nuclio]) -> None:
    nuclios[0].state = "building"
    with pytest.raises(FunctionError, match="s0: reader is still building"):
        deploy_to_sites(ask("s0", timeout="1s"))


def test_addresses_are_enough(nuclios: list[Nuclio], capsys: pytest.CaptureFixture[str]) -> None:
    nuclios[1].state = "error"
    urls = tuple(one.url.replace("//", "//ann:s3cret@") for one in nuclios[:2])
    with pytest.raises(FunctionError, match=re.escape(f"rollback-function reader --via {nuclios[0].url}`")) as caught:
        deploy_to_sites(ask(via=urls))
    captured = capsys.readouterr()
    assert "s3cret" not in str(caught.value) + captured.out + captured.err


def test_sites_go_back(nuclios: list[Nuclio]) -> None:
    for _ in range(2):
        deploy_to_sites(ask())
    nuclios[3].refusal = (412, "the image is gone")
    with pytest.raises(FunctionError, match=r"s3: .* refused it: the image is gone\nreader failed at 1 site of 4\.$"):
        roll_back_at_sites(ask(), 0)
    assert [one.revision for one in nuclios] == [1, 1, 1, 2]


def test_revision_is_one_sites(nuclios: list[Nuclio]) -> None:
    for _ in range(3):
        deploy_to_sites(ask("s0", "s1"))
    with pytest.raises(FunctionError, match="leave out --to, or name one site"):
        roll_back_at_sites(ask("s0", "s1"), 1)
    roll_back_at_sites(ask("s0"), 1)
    assert [one.revision for one in nuclios[:2]] == [1, 3]


def test_who_runs_what_is_shown(nuclios: list[Nuclio], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deploy_to_sites(ask("s0", "s1", "s2"))
    nuclios[1].version = "77bc"
    write_sites(tmp_path, *(one.url for one in nuclios), "http://127.0.0.1:9")
    capsys.readouterr()
    print_sites(SiteRequest("", SiteChoice()))
    captured = capsys.readouterr()
    rows = [line.split() for line in captured.out.splitlines()]
    assert rows[1] == ["s0", "yes", "reader", "ready", "1", "3f2a"]
    assert rows[2] == ["s1", "yes", "reader", "ready", "1", "77bc", "*"]
    assert rows[4] == ["s3", "yes", "-", "-", "-", "-"]
    assert rows[5][:2] == ["s4", "no"]
    assert "* reader is another than at most sites: s1." in captured.err
    assert "reader is not at s3." in captured.err
    assert "s4: http://127.0.0.1:9 does not answer" in captured.err
    print_sites(SiteRequest("reader", SiteChoice(), as_json=True))
    document = json.loads(capsys.readouterr().out)
    assert [one["reachable"] for one in document] == [True, True, True, True, False]
    assert document[1]["functions"]["reader"]["differs"]


@pytest.mark.parametrize(
    ("options", "told"),
    [({"timeout": "soon"}, "--timeout"), ({"timeout": "10ms"}, "--timeout"), ({"parallel": -1}, "--parallel")],
)
def test_what_is_no_option(nuclios: list[Nuclio], options: dict[str, Any], told: str) -> None:
    with pytest.raises(FunctionError, match=told):
        deploy_to_sites(ask(**options))
    assert not nuclios[0].requests


def test_waves_that_a_script_has_not_set_begin_nowhere(nuclios: list[Nuclio]) -> None:
    with pytest.raises(FunctionError, match=re.escape("--waves should be numbers, parts or all")):
        deploy_to_sites(ask(waves=""))
    assert not any(one.functions for one in nuclios)


@pytest.mark.parametrize("options", [{"timeout": "5m"}, {"parallel": 3}, {"waves": "1,all"}])
def test_option_for_sites_is_refused_where_none_is_named(nuclios: list[Nuclio], options: dict[str, Any]) -> None:
    request = SiteRequest("reader", **options)
    with pytest.raises(FunctionError, match="for sites elsewhere; name them by --via or --site"):
        deploy_and_print(DeployRequest("reader", sites=request))
    with pytest.raises(FunctionError, match="for sites elsewhere"):
        roll_back_and_print("reader", 0, sites=request)


def test_one_odd_site_is_a_site_that_failed(nuclios: list[Nuclio], capsys: pytest.CaptureFixture[str]) -> None:
    nuclios[1].projects = ["default"]  # type: ignore[assignment]
    nuclios[1].functions = None  # type: ignore[assignment]
    with pytest.raises(FunctionError, match="reader failed at 1 site of 4"):
        deploy_to_sites(ask(timeout="20s"))
    assert [bool(one.functions) for one in nuclios] == [True, False, True, True]
    assert "s3" in capsys.readouterr().out
