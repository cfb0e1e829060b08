"""The catalogue: what is known of functions, kept for as long as nothing changes."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stack.docker.container import Container
from stack.docker.stack import Stack, open_stack
from stack.errors import FunctionError
from stack.plan.function import FunctionPlan
from stack.run.catalogue import Catalogue, describe_state
from stack.run.function_snapshot import FunctionSnapshot
from stack.run.function_status import State
from stack.run.job import Jobs
from stack.state.deploy_log import DeployLog, Result, find_attempt, note_failure
from stack.state.deployment import record_deployment
from stack.state.lock import lock
from stack.state.replicas import keep_replicas
from stack.state.workspace import VARIABLE, Workspace
from tests.unit.plan.samples import make_plan

NAME = "thermo"
CODE = "def handler(context, event):\n    pass\n"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    (tmp_path / "stack.yaml").write_text("project: tidegate-unit-catalogue\nimages: {source: debian}\n")
    return Workspace(tmp_path)


@pytest.fixture
def catalogue(workspace: Workspace) -> Catalogue:
    return Catalogue(workspace, Jobs(workspace))


def write(workspace: Workspace, name: str = NAME, config: str = "{}", code: str = CODE) -> Path:
    folder = workspace.root / "functions" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "function.yaml").write_text(config)
    (folder / "main.py").write_text(code)
    return folder


def test_function_that_is_only_a_folder(workspace: Workspace, catalogue: Catalogue) -> None:
    write(workspace, config="metadata: {labels: {nuclio.io/project-name: lab}}")
    (found,) = catalogue.records()
    assert (found.name, found.project, found.state, found.revision) == (NAME, "lab", "not deployed", 0)
    assert (found.handler, found.source, found.source_path) == ("main:handler", CODE, "main.py")
    assert (found.files, list(found.triggers)) == (("function.yaml", "main.py"), ["default-http"])
    assert not found.is_deployed


def test_folder_that_is_wrong_says_why(workspace: Workspace, catalogue: Catalogue) -> None:
    write(workspace, config="spec: {minReplicas: -1}")
    found = catalogue.find(NAME)
    assert found.state == "error"
    assert "minReplicas" in found.problem
    assert found.message == found.problem


def test_what_runs_counts_where_the_folder_is_wrong_or_gone(workspace: Workspace, catalogue: Catalogue) -> None:
    record_deployment(workspace, make_plan(NAME, env=[{"name": "A", "value": "b"}]), image="image:1", message="why")
    write(workspace, config="spec: [")
    found = catalogue.find(NAME)
    assert (found.revision, found.image, found.reason) == (1, "image:1", "why")
    assert found.config.spec.env[0].value == "b"
    assert found.problem
    assert found.state == "unhealthy"
    assert found.url == "http://127.0.0.1:8080/thermo"


def test_unknown_function_is_an_error(workspace: Workspace, catalogue: Catalogue) -> None:
    write(workspace)
    with pytest.raises(FunctionError, match=r"There is no function 'other'. Functions: thermo\."):
        catalogue.find("other")


def test_records_are_the_same_until_something_is_said_to_have_changed(
    workspace: Workspace, catalogue: Catalogue
) -> None:
    write(workspace)
    first = catalogue.records()
    assert catalogue.records() is first
    assert catalogue.peek() is first
    write(workspace, code="def handler(context, event):\n    return 1\n")
    catalogue.forget()
    assert catalogue.peek() is None
    second = catalogue.find(NAME)
    assert "return 1" in second.source
    assert second.version != first[0].version


def test_change_while_the_files_are_read_is_not_missed(
    workspace: Workspace, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_late(*given: Any, **options: Any) -> Stack:
        catalogue.forget()
        return open_stack(*given, **options)

    write(workspace)
    monkeypatch.setattr("stack.run.catalogue.open_stack", open_late)
    assert [one.name for one in catalogue.records()] == [NAME]
    assert catalogue.peek() is None


def test_change_of_a_file_is_seen(workspace: Workspace, catalogue: Catalogue) -> None:
    async def act() -> None:
        catalogue.is_docker_followed = True
        watching = asyncio.create_task(catalogue.watch())
        await wait_until(lambda: catalogue._is_watched)
        await asyncio.sleep(0.2)
        assert catalogue.records() == ()
        write(workspace)
        await wait_until(lambda: [one.name for one in catalogue.records()] == [NAME])
        # What was written may be told in several pieces; nothing that is read is a change itself.
        await wait_until(lambda: stays(catalogue))
        await asyncio.to_thread(note_failure, workspace, NAME, "broken", since=0.0)
        await wait_until(lambda: catalogue.find(NAME).state == "error")
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    asyncio.run(asyncio.wait_for(act(), 180))


def test_deploy_at_the_command_line_is_building_until_its_lock_is_free(
    workspace: Workspace, catalogue: Catalogue
) -> None:
    write(workspace)
    with lock(workspace, f"function-{NAME}"):
        DeployLog(workspace, NAME).begin("")
        catalogue.forget()
        assert catalogue.find(NAME).state == "building"
    catalogue.forget()
    found = catalogue.find(NAME)
    assert (found.state, found.message.partition(";")[0]) == ("error", "The deploy was interrupted")


def test_job_is_seen_as_building_at_once_and_its_failure_after_it(workspace: Workspace) -> None:
    jobs = Jobs(workspace)
    catalogue = Catalogue(workspace, jobs)
    jobs.on_change = lambda _: catalogue.forget()
    folder = write(workspace)
    assert catalogue.find(NAME).state == "not deployed"

    async def act() -> str:
        job = await jobs.deploy(NAME)
        found = catalogue.find(NAME)
        assert (found.state, found.is_log_old) == ("building", True)
        (folder / "function.yaml").write_text("spec: {replicas: x}")
        return await job.wait()

    why = asyncio.run(act())
    found = catalogue.find(NAME)
    assert (found.state, found.message) == ("error", why)
    assert "replicas" in why


@pytest.mark.parametrize(
    ("spec", "replicas", "containers", "expected"),
    [
        ({}, 1, [("running", "Up 2 minutes (healthy)")], "ready"),
        ({}, 2, [("running", "Up 2 minutes (healthy)"), ("exited", "Exited (1)")], "ready"),
        ({}, 1, [("running", "Up 2 minutes (unhealthy)")], "unhealthy"),
        ({}, 1, [], "unhealthy"),
        ({"minReplicas": 0, "maxReplicas": 2}, 0, [], "scaledToZero"),
        ({"disable": True}, 0, [], "standby"),
    ],
)
def test_state_of_what_is_deployed(
    spec: dict[str, Any], replicas: int, containers: list[tuple[str, str]], expected: str
) -> None:
    snapshot = make_snapshot(make_plan(NAME, **spec), replicas)
    assert describe_state(snapshot, [make_container(*one) for one in containers], None).word == expected


def test_new_version_is_ready_before_dockers_health_check_says_so(workspace: Workspace) -> None:
    record_deployment(workspace, make_plan(NAME), image="image:1")
    log = DeployLog(workspace, NAME)
    log.begin("")
    log.end(Result.READY, "ready")
    keep_replicas(workspace, NAME, replicas=1)
    attempt = find_attempt(workspace, NAME)
    assert attempt
    snapshot = make_snapshot(make_plan(NAME), 1, attempts=(attempt,))
    starting = make_container("running", "Up 1 second (health: starting)")
    assert describe_state(snapshot, [starting], None) == State("ready", is_settled=False, ready=1)
    assert describe_state(make_snapshot(make_plan(NAME), 1), [starting], None).word == "unhealthy"


def test_rollback_that_fails_leaves_a_function_that_serves_ready(workspace: Workspace) -> None:
    healthy, words = make_container("running", "Up 1 minute (healthy)"), []
    for reason in ("rollback to 3", "a change of mine"):
        log = DeployLog(workspace, NAME)
        log.begin(reason)
        log.end(Result.ERROR, "it does not come up")
        attempt = find_attempt(workspace, NAME)
        assert attempt
        words.append(describe_state(make_snapshot(make_plan(NAME), 1, attempts=(attempt,)), [healthy], None))
    told = State("ready", "The last rollback to 3 failed: it does not come up", ready=1)
    assert words == [told, State("error", "it does not come up", ready=1)]
    snapshot = make_snapshot(make_plan(NAME), 1)
    assert describe_state(replace(snapshot, refusal="not allowed"), [healthy], None) == State(
        "error", "not allowed", ready=1
    )


def make_snapshot(plan: FunctionPlan, replicas: int, *, attempts: Any = ()) -> FunctionSnapshot:
    return FunctionSnapshot(NAME, plan, "", "", "", None, plan, attempts, replicas, "1")


def make_container(state: str, status: str) -> Container:
    return Container("1", "thermo-1", "image:1", state, status, "", f"function-{NAME}", "", "", "", NAME)


def stays(catalogue: Catalogue) -> bool:
    """Return whether no change is seen for a second."""
    settled = catalogue.records()
    time.sleep(1.0)
    return catalogue.peek() is settled


async def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
