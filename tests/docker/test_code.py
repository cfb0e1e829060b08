"""Functions whose code is elsewhere: behind a URL, in a repository, in an image that is there."""

import json
import subprocess
import zipfile
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.docker.workspace import Workspace, fetch

Author = Callable[..., Path]

CODE = "def handler(context, event):\n    return f'{context.platform.kind} {__file__} ' + %r\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing."""


def write_archive(folder: Path, word: str) -> None:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "code.zip", "w") as bundle:
        bundle.writestr("code/far.py", CODE % word)


@pytest.mark.slow
def test_archive_behind_a_url(workspace: Workspace, author: Author, tmp_path: Path) -> None:
    """It is fetched by deploys alone: what is deployed stays without the server."""
    write_archive(tmp_path / "site", "one")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "site")))
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/code.zip"
    spec = f"spec:\n  build: {{codeEntryType: archive, path: '{url}', codeEntryAttributes: {{workDir: code}}}}\n"
    author("codearchive", "raise RuntimeError\n", spec)
    environment = {"no_proxy": "127.0.0.1"}
    workspace.invoke("deploy-function", "codearchive", env=environment)
    assert fetch(workspace.url("codearchive")) == (200, "local /opt/nuclio/far.py one")
    write_archive(tmp_path / "site", "two")
    workspace.invoke("up")
    workspace.invoke("deploy-function", "codearchive", env=environment)
    assert fetch(workspace.url("codearchive"))[1].endswith("two")
    server.shutdown()
    server.server_close()
    before = workspace.containers()
    assert "Everything runs as it should" in workspace.invoke("up").stderr
    workspace.invoke("render")
    failed = workspace.invoke("deploy-function", "codearchive", check=False, env=environment)
    assert failed.returncode == 1
    assert "The code of codearchive could not be fetched" in failed.stderr
    assert workspace.containers() == before


def test_repository(workspace: Workspace, author: Author, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(CODE % "git")
    (tmp_path / "function.yaml").write_text("spec: {description: theirs, eventTimeout: 5s}\n")
    identity = ["-c", "user.name=a", "-c", "user.email=a@example", "-c", "init.defaultBranch=main"]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "x"]):
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True)
    spec = f"spec:\n  build: {{codeEntryType: git, path: 'file://{tmp_path}', codeEntryAttributes: {{branch: main}}}}\n"
    workspace.allow(tmp_path)
    author("codegit", "", spec)
    told = workspace.invoke("deploy-function", "codegit").stderr
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=tmp_path, text=True).strip()
    assert f"commit:{commit}; taken of its function.yaml: description; left out: eventTimeout" in told
    (revision,) = json.loads(workspace.invoke("functions", "codegit", "--json").stdout)
    assert revision["version"] == f"commit:{commit}"
    assert commit in workspace.invoke("functions", "codegit").stdout
    assert fetch(workspace.url("codegit")) == (200, "local /opt/nuclio/main.py git")


def test_image_that_is_there_runs_as_it_is(workspace: Workspace, author: Author) -> None:
    code = "import os\n\ndef handler(context, event):\n    return os.environ['NUCLIO_FUNCTION_DESCRIPTION']\n"
    author("codebuilt", code, "spec: {description: built, build: {image: 'codetest/reader:2'}}\n")
    workspace.invoke("deploy-function", "codebuilt")
    folder = author("codeimage", "", "spec: {description: ready, image: 'codetest/reader:2'}\n")
    (folder / "main.py").unlink()
    workspace.invoke("deploy-function", "codeimage")
    assert fetch(workspace.url("codeimage")) == (200, "ready")
    (folder / "function.yaml").write_text("spec: {description: changed, image: 'codetest/reader:2'}\n")
    workspace.invoke("deploy-function", "codeimage")
    assert fetch(workspace.url("codeimage")) == (200, "changed")
    workspace.invoke("delete-function", "codeimage", "--yes")
    workspace.docker("image", "inspect", "codetest/reader:2")
