"""What a function keeps in files: for good, for as long as its container runs, and in memory."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docker.workspace import Workspace, run_docker

Author = Callable[..., Path]

_CONFIG = """\
spec:
  volumes:
    - {volume: {name: kept, persistentVolumeClaim: {claimName: readings}}, volumeMount: {name: kept, mountPath: /data}}
    - {volume: {name: own, emptyDir: {}}, volumeMount: {name: own, mountPath: /scratch}}
    - volume: {name: quick, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
      volumeMount: {name: quick, mountPath: /quick}
"""
_CODE = """\
import os, socket
from pathlib import Path

def handler(context, event):
    folders = {name: Path("/", name) for name in ("data", "scratch", "quick")}
    found = {name: sorted(one.name for one in folder.iterdir()) for name, folder in folders.items()}
    for folder in folders.values():
        (folder / f"v{VERSION}").write_text("x")
    try:
        (folders["quick"] / "large").write_bytes(bytes(2**21))
    except OSError as error:
        found["error"] = error.strerror
    return found | {"host": socket.gethostbyname("host.docker.internal")}
"""


def call(workspace: Workspace) -> dict[str, Any]:
    return dict(json.loads(workspace.invoke("invoke-function", "keeper").stdout))


@pytest.mark.slow
def test_data_is_kept_by_redeploys_and_by_down(workspace: Workspace, author: Author) -> None:
    folder = author("keeper", f"VERSION = 1\n{_CODE}", _CONFIG)
    workspace.invoke("deploy-function", "keeper")
    found = call(workspace)
    assert {name: found[name] for name in ("data", "scratch", "quick")} == {"data": [], "scratch": [], "quick": []}
    assert found["error"] == "No space left on device"
    # In the network of containers the machine is not itself.
    assert not found["host"].startswith("127.")

    (folder / "main.py").write_text(f"VERSION = 2\n{_CODE}")
    workspace.invoke("deploy-function", "keeper")
    found = call(workspace)
    assert (found["data"], found["scratch"], found["quick"]) == (["v1"], [], [])
    workspace.docker("rm", "--force", *workspace.containers("function-keeper"))
    workspace.invoke("up")
    assert call(workspace)["data"] == ["v1", "v2"]
    volume = f"{workspace.project}_claim-readings"
    assert run_docker("volume", "inspect", volume, check=False).returncode == 0


def test_path_that_the_function_cannot_write_to_is_told(workspace: Workspace, author: Author, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    workspace.allow(tmp_path)
    volume = f"{{name: a, hostPath: {{path: {tmp_path}}}}}"
    author("barred", _CODE, f"spec: {{volumes: [{{volume: {volume}, volumeMount: {{name: a, mountPath: /a}}}}]}}\n")
    said = workspace.invoke("build-function", "barred").stderr
    assert f"barred: it runs as the user 65532, who cannot write to {tmp_path}. Type `sudo chown 65532:65532" in said


def test_link_out_of_the_folder_is_told(workspace: Workspace, author: Author) -> None:
    folder = author("linked", "def handler(context, event): pass\n")
    (folder / "lib").mkdir()
    (folder / "lib/other.py").symlink_to("../../echo/main.py")
    (folder / "inner.py").symlink_to("lib/other.py")
    said = workspace.invoke("deploy-function", "linked", check=False).stderr
    assert "functions/linked/lib/other.py: the link leads out of the folder, to ../../echo/main.py; put a copy" in said
    assert "inner.py" not in said
