"""The last deploy of a function, as its pages are told of it."""

import asyncio
from pathlib import Path
from typing import Any

from stack.live.history import DeploySource
from stack.state.deploy_log import DeployLog, Result, forget_log
from stack.state.lock import lock
from stack.state.workspace import Workspace

NAME = "thermo"


def look(source: DeploySource) -> dict[str, Any]:
    told = asyncio.run(source.look())
    assert told
    return told


def test_deploy_is_told_as_it_goes_on_and_the_next_one_after_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    source = DeploySource(workspace, NAME)
    assert asyncio.run(source.look()) is None
    with lock(workspace, f"function-{NAME}"):
        log = DeployLog(workspace, NAME)
        log.begin("first")
        assert (look(source)["result"], look(source)["seconds"]) == (Result.RUNNING, None)
        log.step("building")
        log.end(Result.ERROR, "broken")
        ended = look(source)
        assert [one["text"] for one in ended["lines"]] == ["Deploying thermo: first", "building", "broken"]
        assert (ended["result"], ended["seconds"] is not None) == (Result.ERROR, True)
        DeployLog(workspace, NAME).begin("second")
        assert [one["text"] for one in look(source)["lines"]] == ["Deploying thermo: second"]
    # Its process was killed: the lock is free, and there is no end.
    assert look(source)["result"] == Result.INTERRUPTED
    forget_log(workspace, NAME)
    assert asyncio.run(source.look()) is None


def test_of_a_long_log_the_last_lines_are_told(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with lock(workspace, f"function-{NAME}"):
        log = DeployLog(workspace, NAME)
        log.begin("")
        for number in range(1200):
            log.line(f"line {number}")
        told = look(DeploySource(workspace, NAME))
    assert (told["left_out"], len(told["lines"]), told["lines"][-1]["text"]) == (201, 1000, "line 1199")
