"""A function goes from one workspace to the stack of another, through its dashboard, and goes with its project."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docker.workspace import Workspace, fetch, make_workspace

CODE = "import words\n\n\ndef handler(context, event):\n    return words.GREETING + event.body.decode()\n"
CONFIG = "metadata: {labels: {nuclio.io/project-name: guests}}\nspec: {handler: 'main:handler'}\n"


def ask(url: str, method: str = "GET", body: Any = None, **headers: str) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data, names, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        content = answer.read()
        return answer.status, json.loads(content) if content else None


def write_sites(guest: Workspace, **sites: Workspace) -> None:
    """Name sites, each with its name as a label, and one that no one answers for."""
    urls = {name: f"http://127.0.0.1:{one.settings.ports.dashboard}" for name, one in sites.items()}
    found = [{"name": name, "via": url, "labels": {"of": name}} for name, url in urls.items()]
    gone = {"name": "gone", "via": "http://127.0.0.1:9"}
    (guest.root / "sites.yaml").write_text(yaml.safe_dump({"sites": [*found, gone]}))


def read_sites(guest: Workspace) -> dict[str, Any]:
    """Return what is told of each site's function visitor, by the site; of one that is away why."""
    told = json.loads(guest.invoke("sites", "visitor", "--json").stdout)
    return {one["site"]: one["functions"].get("visitor") if one["reachable"] else one["problem"] for one in told}


def see_sites(workspace: Workspace, guest: Workspace) -> None:
    """A site gets another version, tells of it, and goes back."""
    write_sites(guest, lab=workspace)
    first = read_sites(guest)
    assert "Connection refused" in first["gone"]
    assert (first["lab"]["state"], first["lab"]["revision"]) == ("ready", 1)
    (guest.root / "functions/visitor/words.py").write_text("GREETING = 'good day '\n")
    told = json.loads(guest.invoke("deploy-function", "visitor", "--site", "of=lab", "--json").stdout)
    assert [(one["site"], one["state"], one["revision"]) for one in told["sites"]] == [("lab", "ready", 2)]
    second = read_sites(guest)
    assert second["lab"]["version"] == told["sites"][0]["version"] != first["lab"]["version"]
    assert fetch(workspace.url("visitor"), b"world") == (200, "good day world")
    guest.invoke("rollback-function", "visitor", "--site", "lab")
    assert fetch(workspace.url("visitor"), b"world") == (200, "hello world")
    assert read_sites(guest)["lab"]["version"] == first["lab"]["version"]


def test_function_is_deployed_elsewhere_and_deleted_with_its_project(workspace: Workspace, tmp_path: Path) -> None:
    api = f"http://127.0.0.1:{workspace.settings.ports.dashboard}/api"
    guest = make_workspace(tmp_path / "guest", functions=False)
    guest.write_function("visitor", CODE, CONFIG, {"words.py": "GREETING = 'hello '\n"})

    result = guest.invoke("deploy-function", "visitor", "--via", api.removesuffix("/api"))
    address = f"http://127.0.0.1:{workspace.settings.ports.gateway}/visitor"
    assert result.stdout == f"{address}\n"
    assert "visitor: building" in result.stderr
    assert fetch(address, b"world") == (200, "hello world")
    # What was deployed from afar is a folder here, which git shows.
    assert (workspace.root / "functions/visitor/words.py").read_text() == "GREETING = 'hello '\n"
    assert (workspace.root / "functions/.projects/guests.yaml").is_file()
    assert workspace.functions()["visitor"]["project"] == "guests"
    see_sites(workspace, guest)

    named = {"metadata": {"name": "guests"}}
    cascading = {"X_Nuclio_Delete_Project_Strategy": "cascading"}
    assert ask(f"{api}/projects", "DELETE", named, **cascading) == (204, None)
    assert workspace.containers("function-visitor") == []
    assert "visitor" not in ask(f"{api}/functions")[1]
    assert "guests" not in ask(f"{api}/projects")[1]
    assert not (workspace.root / "functions/visitor").exists()


@pytest.fixture
def other(fresh_workspace: Workspace) -> Iterator[Workspace]:
    """A second stack, which is up."""
    fresh_workspace.invoke("up")
    yield fresh_workspace
    fresh_workspace.invoke("down", "--volumes", "--yes")


@pytest.mark.slow
def test_waves_end_where_a_site_fails(workspace: Workspace, other: Workspace, tmp_path: Path) -> None:
    guest = make_workspace(tmp_path / "guest", functions=False)
    guest.write_function("roamer", CODE, "spec: {readinessTimeoutSeconds: 10}\n", {"words.py": "GREETING = 'one '\n"})
    write_sites(guest, north=workspace, south=other)
    sites = ("--via", "sites.yaml", "--site", "north", "--site", "south", "--waves", "1,all")
    told = json.loads(guest.invoke("deploy-function", "roamer", *sites, "--json").stdout)
    assert [(one["site"], one["wave"], one["state"]) for one in told["sites"]] == [
        ("north", 1, "ready"),
        ("south", 2, "ready"),
    ]
    # What both have been sent is one version, whichever machine has built it.
    assert len({one["version"] for one in told["sites"]}) == 1
    assert [fetch(one.url("roamer"), b"x") for one in (workspace, other)] == [(200, "one x")] * 2

    (guest.root / "functions/roamer/words.py").write_text("raise RuntimeError('not at all')\n")
    result = guest.invoke("deploy-function", "roamer", *sites, check=False)
    assert result.returncode == 1
    assert "RuntimeError: not at all" in result.stderr
    assert "roamer failed at 1 site of 1. 1 site not begun: south." in result.stderr
    # What ran before still does, everywhere.
    assert [fetch(one.url("roamer"), b"x") for one in (workspace, other)] == [(200, "one x")] * 2
    table = guest.invoke("sites", "--site", "north", "--site", "south")
    assert [line.split()[:3] for line in table.stdout.splitlines() if "roamer" in line] == [
        ["north", "yes", "roamer"],
        ["south", "yes", "roamer"],
    ]
    for one in (workspace, other):
        named = {"metadata": {"name": "roamer"}}
        assert ask(f"http://127.0.0.1:{one.settings.ports.dashboard}/api/functions", "DELETE", named)[0] == 204
