"""What one function may use: a fork bomb ends its own container, and nothing beside it."""

import json
from collections.abc import Callable

import pytest

from tests.docker.workspace import Workspace, fetch, run_docker, wait_until

BOMB = """\
import os
import time

def handler(context, event):
    if event.path != "/fork":
        return "calm"
    for _ in range(2000):
        try:
            if not os.fork():
                time.sleep(600)
        except BlockingIOError:
            time.sleep(0.01)
    return "forked"
"""
STRICT = """\
from pathlib import Path

def handler(context, event):
    Path("/tmp/note").write_text("kept")
    try:
        Path("note").write_text("lost")
    except OSError as error:
        return error.strerror
    return "written"
"""
STRICT_CONFIG = "spec: {securityContext: {readOnlyRootFilesystem: true}}\n"


@pytest.mark.slow
def test_fork_bomb_ends_its_own_container(workspace: Workspace, author: Callable[..., object]) -> None:
    author("bomb", BOMB)
    author("strict", STRICT, STRICT_CONFIG)
    for name in ("bomb", "strict"):
        workspace.invoke("deploy-function", name)
    (container,) = workspace.containers("function-bomb")
    broker = workspace.inspect("rabbitmq-mqtt")["State"]["StartedAt"]

    fetch(f"{workspace.url('bomb')}/fork", timeout=60)
    wait_until(lambda: count_restarts(container) > 0, seconds=90, what="the end of the container")
    assert "all the processes that it may have" in run_docker("logs", container).stdout

    assert fetch(workspace.url("strict")) == (200, "Read-only file system")
    wait_until(lambda: fetch(workspace.url("bomb"), timeout=30) == (200, "calm"), seconds=60, what="the next start")
    assert workspace.inspect("rabbitmq-mqtt")["State"]["StartedAt"] == broker


def test_every_container_has_limits(workspace: Workspace, deployed: Callable[..., None]) -> None:
    deployed("amqpconsume")
    found = {}
    for container in workspace.containers():
        (one,) = json.loads(run_docker("inspect", container).stdout)
        found[one["Config"]["Labels"]["com.docker.compose.service"]] = one["HostConfig"]
    for service, config in found.items():
        assert config["LogConfig"] == {"Type": "local", "Config": {"max-file": "3", "max-size": "10m"}}, service
        assert config["CapDrop"] == ["ALL"], service
    functions = [config for service, config in found.items() if service.startswith("function-")]
    assert {(one["Memory"], one["PidsLimit"]) for one in functions} == {(2**30, 512)}
    assert {one["OomScoreAdj"] for one in functions} == {800}
    assert found["rabbitmq-mqtt"]["OomScoreAdj"] == min(one["OomScoreAdj"] for one in found.values())


def count_restarts(container: str) -> int:
    return int(run_docker("inspect", "--format", "{{.RestartCount}}", container).stdout)
