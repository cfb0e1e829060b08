"""What functions may have of this machine, on the real stack: nothing that stack.yaml does not allow."""

import json
import shutil
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

from tests.docker.workspace import Workspace, fetch
from tests.unit.dashboard.serving import Client

Author = Callable[..., Path]
CODE = """
import os

def handler(context, event):
    return f"{os.getuid()} {os.getgid()} {os.path.exists('/data/note')}"
"""
HOST = {
    "volumes": [
        {"volume": {"name": "data", "hostPath": {"path": "/"}}, "volumeMount": {"name": "data", "mountPath": "/data"}}
    ],
    "securityContext": {"runAsUser": 0},
}


def test_root_of_this_machine_is_refused_by_any_way(workspace: Workspace, author: Author) -> None:
    name = "al-root"
    folder = author(name, CODE, json.dumps({"spec": HOST}))
    told = workspace.invoke("deploy-function", name, check=False)
    assert told.returncode == 1
    assert "hostPath.path: asks for / of this machine" in told.stderr
    assert "add to stack.yaml: allow: {host_paths: [/]}" in told.stderr
    assert "add to stack.yaml: allow: {root: true}" in told.stderr
    client = Client(workspace.settings.ports.dashboard)
    build = {"functionSourceCode": b64encode(CODE.encode()).decode()}
    document = {"metadata": {"name": "al-posted"}, "spec": {**HOST, "handler": "main:handler", "build": build}}
    answer = client.send("POST", "/api/functions", document)
    assert answer.status // 100 == 4
    assert "add to stack.yaml: allow: {host_paths: [/]}" in answer.json["error"]
    assert not (workspace.root / "functions" / "al-posted").exists()
    assert not workspace.containers(f"function-{name}") + workspace.containers("function-al-posted")
    # A folder that may not run stands in no one's way.
    assert name in workspace.invoke("plan", check=False).stderr
    shutil.move(folder / "function.yaml", folder / "main.yaml")
    (folder / "function.yaml").write_text("{}\n")


def test_what_is_not_allowed_any_more_is_told_and_stopped(workspace: Workspace, author: Author, tmp_path: Path) -> None:
    name = "al-data"
    tmp_path.chmod(0o755)
    (tmp_path / "note").write_text("here")
    spec = json.loads(json.dumps({"volumes": HOST["volumes"]}).replace('"/"', f'"{tmp_path}"'))
    # An image whose own user is root by another name.
    spec["build"] = {"commands": ["@nuclio.postCopy", "sed -i 's/:65532:65532:/:0:0:/' /etc/passwd"]}
    author(name, CODE, json.dumps({"spec": spec}))
    workspace.allow(tmp_path)
    workspace.invoke("deploy-function", name)
    assert fetch(workspace.url(name)) == (200, "65532 65532 True")
    workspace.configure(allow={})
    told = workspace.invoke("up")
    assert f"{name} is deployed and is not started until stack.yaml allows it" in told.stderr
    assert f"add to stack.yaml: allow: {{host_paths: [{tmp_path}]}}" in told.stderr
    assert not workspace.containers(f"function-{name}")
    assert workspace.functions()[name]["state"] == "not allowed"
    for task in (("scale-function", name, "1"), ("deploy-function", name)):
        assert workspace.invoke(*task, check=False).returncode == 1
    workspace.allow(tmp_path)
    workspace.invoke("up")
    assert fetch(workspace.url(name)) == (200, "65532 65532 True")
