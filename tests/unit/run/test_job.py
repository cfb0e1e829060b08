"""Jobs: child processes that do what the command line does, and what is left of those that fail."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from stack.run.job import Job, Jobs
from stack.state.deploy_log import Result, find_attempt
from stack.state.lock import lock
from stack.state.workspace import VARIABLE, Workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    (tmp_path / "stack.yaml").write_text("project: tidegate-unit-job\nimages: {source: debian}\n")
    return Workspace(tmp_path)


def test_reason_of_a_failure_is_returned_and_kept(workspace: Workspace) -> None:
    told: list[str] = []

    async def act() -> tuple[bool, str, Job | None]:
        jobs = Jobs(workspace, told.append)
        job = await jobs.deploy("nothing", author="ann@desk")
        was_running = jobs.running("nothing") is job
        return was_running, await job.wait(), jobs.running("nothing")

    was_running, why, left = run(act())
    assert was_running
    assert why.startswith("There is no functions/nothing/function.yaml.")
    assert left is None
    assert told == ["nothing", "nothing"]
    attempt = find_attempt(workspace, "nothing")
    assert attempt
    assert attempt.end
    assert (attempt.result, attempt.end.message) == (Result.ERROR, why)


def test_scaling_that_fails_is_no_failed_deploy(workspace: Workspace) -> None:
    async def act() -> str:
        return await (await Jobs(workspace).scale("nothing", 2)).wait()

    assert run(act())
    assert find_attempt(workspace, "nothing") is None


def test_cancelled_job_ends_in_order(workspace: Workspace) -> None:
    """It waits for the function's lock, as behind a deploy at the command line, when it is told to end."""
    (workspace.root / "functions" / "slow").mkdir(parents=True)
    (workspace.root / "functions" / "slow" / "function.yaml").write_text("{}")
    (workspace.root / "functions" / "slow" / "main.py").write_text("def handler(context, event):\n    pass\n")

    async def act() -> tuple[str, Job | None]:
        jobs = Jobs(workspace)
        job = await jobs.deploy("slow")
        while not is_at_lock(job):
            await asyncio.sleep(0.05)
        await jobs.cancel("slow")
        return await job.wait(), jobs.running("slow")

    with lock(workspace, "function-slow"):
        why, left = run(act())
    assert why == "Interrupted; slow is still not deployed."
    assert left is None


def test_many_are_deployed_a_few_at_a_time_until_the_dashboard_ends(workspace: Workspace) -> None:
    names = [f"nothing-{number}" for number in range(6)]
    begun: list[str] = []

    async def act() -> tuple[int, list[str]]:
        jobs = Jobs(workspace, begun.append)
        jobs.deploy_all(names, author="ann@desk")
        while not begun:
            await asyncio.sleep(0.01)
        side_by_side = sum(jobs.running(name) is not None for name in names)
        await jobs.stop()
        await asyncio.sleep(0.1)
        return side_by_side, [name for name in names if jobs.running(name)]

    side_by_side, left = run(act())
    assert side_by_side in (1, 2)
    assert not left
    assert set(begun) < set(names)


def is_at_lock(job: Job) -> bool:
    opened = Path(f"/proc/{job.process.pid}/fd")
    return any(path.exists() and path.resolve().name == "function-slow" for path in opened.iterdir())


def run(act: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(act, 60))
