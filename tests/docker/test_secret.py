"""A user's secrets on the real Docker: they reach the handler byte for byte, and can be read nowhere else."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docker.workspace import Workspace, fetch, wait_until

NAME = "secret-reader"
VALUES = {
    "password": b"pa$$w\xc3\xb6rd ${HOME} 'single' \"double\" \\n #end",
    "certificate": b"-----BEGIN-----\nabc\n\ndef\n-----END-----\n",
    "token": bytes(range(1, 256)),
}
FILE = bytes(range(256)) * 2000
CODE = """
import hashlib, os, pathlib

def handler(context, event):
    names = ("password", "certificate", "token")
    return {
        "variable": os.environb[b"PASSWORD"].hex(),
        "missing": os.environ.get("MISSING"),
        "prefixed": {name: os.environb[b"APP_" + name.encode()].hex() for name in names},
        "file": hashlib.sha256(pathlib.Path("/etc/keys/deep/store").read_bytes()).hexdigest(),
    }
"""
CONFIG = """
spec:
  env:
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: app, key: password}}}
    - {name: MISSING, valueFrom: {secretKeyRef: {name: app, key: missing, optional: true}}}
  envFrom: [{prefix: APP_, secretRef: {name: app}}]
  volumes:
    - volume: {name: keys, secret: {secretName: keys, items: [{key: store, path: deep/store}]}}
      volumeMount: {name: keys, mountPath: /etc/keys}
"""


@pytest.fixture
def keep(workspace: Workspace, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Set a secret from a file; all are forgotten at the test's end."""

    def set_secret(name: str, key: str, content: bytes) -> str:
        path = tmp_path / "value"
        path.write_bytes(content)
        return workspace.invoke("secret", "set", name, key, "--file", str(path)).stderr

    yield set_secret
    for name in ("app", "keys"):
        workspace.invoke("secret", "remove", name, "--force", check=False)


def ask(workspace: Workspace) -> dict[str, Any]:
    status, text = fetch(workspace.url(NAME))
    assert status == 200, text
    return dict(json.loads(text))


def test_secrets_reach_the_handler_and_nothing_else(
    workspace: Workspace, author: Callable[..., Path], keep: Callable[..., str]
) -> None:
    author(NAME, CODE, CONFIG)
    refused = workspace.invoke("deploy-function", NAME, check=False)
    assert refused.returncode == 1
    assert (
        "there is no secret app.password; known: broker.mqtt, broker.signature-key, broker.url. "
        "Set it: invoke secret set app password" in refused.stderr
    )
    for key, content in VALUES.items():
        keep("app", key, content)
    keep("keys", "store", FILE)
    workspace.invoke("deploy-function", NAME)
    seen = ask(workspace)
    assert bytes.fromhex(seen["variable"]) == VALUES["password"]
    assert {name: bytes.fromhex(text) for name, text in seen["prefixed"].items()} == VALUES
    assert seen["missing"] is None
    _assert_hidden(workspace)
    _change(workspace, keep)
    _remove(workspace, keep)


def _assert_hidden(workspace: Workspace) -> None:
    """Look for the values where they should not be: containers, images, logs, rendered files, lists."""
    (container,) = workspace.containers(f"function-{NAME}")
    image = workspace.inspect(f"function-{NAME}")["Config"]["Image"]
    places = {
        "container": workspace.docker("inspect", container).stdout,
        "image": workspace.docker("image", "inspect", image).stdout,
        "history": workspace.docker("history", "--no-trunc", image).stdout,
        "processor.yaml": workspace.execute(
            f"function-{NAME}", "cat", "/etc/nuclio/config/processor/processor.yaml"
        ).stdout,
        "log": workspace.docker("logs", container).stdout + workspace.docker("logs", container).stderr,
        "list": workspace.invoke("secret", "list").stdout + workspace.invoke("secret", "list", "--json").stdout,
    }
    for path in workspace.rendered.rglob("*"):
        if path.is_file() and "secrets" not in path.relative_to(workspace.rendered).parts:
            places[str(path)] = path.read_text()
    for place, text in places.items():
        assert "${HOME} 'single'" not in text.replace("$$", "$").replace("\\", ""), place
        assert "abc\n" not in text, place


def _change(workspace: Workspace, keep: Callable[..., str]) -> None:
    """A new value is told of, and used after the next `up`."""
    assert f"`invoke up` replaces {NAME}" in keep("app", "password", b"new")
    assert bytes.fromhex(ask(workspace)["variable"]) == VALUES["password"]
    workspace.invoke("up")
    wait_until(lambda: workspace.functions()[NAME]["state"] == "ready", seconds=60, what="the new container")
    assert bytes.fromhex(ask(workspace)["variable"]) == b"new"


def _remove(workspace: Workspace, keep: Callable[..., str]) -> None:
    """What is used is removed only by force; then `up` says what is missing, and leaves the function alone."""
    refused = workspace.invoke("secret", "remove", "app", check=False)
    assert refused.returncode == 1
    assert f"app.password is used by {NAME}." in refused.stderr
    listed = {(one["name"], one["key"]): one for one in json.loads(workspace.invoke("secret", "list", "--json").stdout)}
    assert listed["app", "password"]["deployed"] == [NAME]
    workspace.invoke("secret", "remove", "app", "password", "--force")
    refused = workspace.invoke("up", check=False)
    assert refused.returncode == 1
    assert "there is no secret app.password" in refused.stderr
    assert bytes.fromhex(ask(workspace)["variable"]) == b"new"
    keep("app", "password", b"new")
    workspace.invoke("up")
