"""Two stacks on one machine, which share Docker's images."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docker.workspace import Workspace, fetch, list_images, run_docker

Author = Callable[..., Path]
NAME = "sharedname"
LATEST = f"nuclio/processor-{NAME}:latest"


def code(word: str) -> str:
    return f"def handler(context, event):\n    return {word!r}\n"


def read_id(image: str) -> str:
    return run_docker("image", "inspect", "--format", "{{.Id}}", image).stdout.strip()


def see_what_a_rollback_leaves(workspace: Workspace) -> None:
    """The folder is newer, and nothing takes it silently; what is no more is still told of."""
    workspace.invoke("rollback-function", NAME)
    assert "rolled back to revision 1" in workspace.functions()[NAME]["note"]
    plan = {one["subject"]: one for one in json.loads(workspace.invoke("plan", "--json", check=False).stdout)}
    assert (plan[NAME]["action"], "rolled back" in plan[NAME]["reason"]) == ("keep", True)
    workspace.write_function("broken", f"{code('never')}\nraise RuntimeError\n", "spec: {readinessTimeoutSeconds: 5}\n")
    told = workspace.invoke("deploy-function", "--all", check=False)
    assert "is left as it is" in told.stderr
    assert fetch(workspace.url(NAME)) == (200, "one")
    assert not list_images("nuclio/processor-broken") | list_images(f"tidegate/revisions/{workspace.project}:broken.*")
    assert "RuntimeError" in workspace.invoke("logs", "broken", "--previous").stdout
    shutil.rmtree(workspace.root / "functions" / "broken")
    previous = workspace.invoke("logs", NAME, "--previous").stdout
    assert f"of nuclio/processor-{NAME}:" in previous
    shutil.move(workspace.root / "functions" / NAME, workspace.root / "kept")
    assert "which is gone" in workspace.functions()[NAME]["note"]
    assert "which is gone" in workspace.invoke("plan", check=False).stderr
    assert "which is gone" in workspace.invoke("status").stderr
    shutil.move(workspace.root / "kept", workspace.root / "functions" / NAME)
    workspace.invoke("deploy-function", "--all", "--force")
    assert fetch(workspace.url(NAME)) == (200, "three")
    assert "note" not in workspace.functions()[NAME]


@pytest.mark.slow
def test_no_project_takes_the_images_of_another(
    workspace: Workspace, author: Author, fresh_workspace: Workspace
) -> None:
    for word in ("one", "two"):
        author(NAME, code(word))
        workspace.invoke("deploy-function", NAME)
    revisions = json.loads(workspace.invoke("functions", NAME, "--json").stdout)
    latest = read_id(LATEST)
    # The same, and then something of its own.
    for word in ("one", "three"):
        fresh_workspace.write_function(NAME, code(word))
        told = fresh_workspace.invoke("deploy-function", NAME).stderr
        assert f"{LATEST} is another project's image" in told
    (_, shared, *_) = json.loads(fresh_workspace.invoke("functions", NAME, "--json").stdout)
    assert shared["image"] == revisions[1]["image"]
    assert read_id(LATEST) == latest
    see_what_a_rollback_leaves(fresh_workspace)
    fresh_workspace.invoke("delete-function", NAME, "--yes")
    assert read_id(LATEST) == latest
    assert list_images(f"nuclio/processor-{NAME}") == {LATEST, *(one["image"] for one in revisions)}
    assert not list_images(f"tidegate/revisions/{fresh_workspace.project}")
    workspace.invoke("rollback-function", NAME)
    assert fetch(workspace.url(NAME)) == (200, "one")
    workspace.invoke("delete-function", NAME, "--yes")
    assert not list_images(f"nuclio/processor-{NAME}") | list_images(f"tidegate/revisions/{workspace.project}:{NAME}.*")
    fresh_workspace.invoke("down", "--volumes", "--yes")
