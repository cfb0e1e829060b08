"""Deploy logs: kept line by line, bounded, and ended for deploys that were killed."""

from pathlib import Path

import pytest

from stack.errors import FunctionError
from stack.run.deploy_progress import keep_progress
from stack.state import deploy_log as deploy_log
from stack.state.deploy_log import (
    DeployLog,
    Event,
    Result,
    find_attempt,
    load_attempts,
    note_failure,
)
from stack.state.deployment import AUTHOR, record_deployment
from stack.state.lock import lock
from stack.state.workspace import Workspace
from tests.unit.plan.samples import make_plan

NAME = "thermo"


def write_failure(workspace: Workspace, why: str) -> None:
    log = DeployLog(workspace, NAME)
    log.begin(why)
    log.end(Result.ERROR, why)


def test_nothing_was_deployed_yet(tmp_path: Path) -> None:
    assert find_attempt(Workspace(tmp_path), NAME) is None


def test_failure_ends_with_what_runs_as_before(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    record_deployment(workspace, make_plan(NAME), image="image:1")
    with keep_progress(workspace, [NAME, "fresh"], reason="") as board:
        board.fail(NAME, "broken")
        board.fail("fresh", "broken too")
    assert board.failures == {NAME: f"broken\nRevision 1 of {NAME} runs as before.", "fresh": "broken too"}
    attempt = find_attempt(workspace, NAME)
    assert attempt
    assert attempt.end
    assert attempt.end.message == board.failures[NAME]


def test_log_tells_who_why_what_and_how_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(AUTHOR, "ann@desk")
    workspace = Workspace(tmp_path)
    with keep_progress(workspace, [NAME], reason="hotter") as board:
        board.tell(NAME, "building")
        board.follow(NAME, iter(["#1 FROM python", "", "#2 done"]))
        record_deployment(workspace, make_plan(NAME), image="image:1")
        board.tell(NAME, "ready")
    attempt = find_attempt(workspace, NAME)
    assert attempt
    assert attempt.result is Result.READY
    assert (attempt.begin.author, attempt.begin.reason, attempt.begin.event) == ("ann@desk", "hotter", Event.BEGIN)
    assert [(one.name, one.message) for one in attempt.entries[1:-1]] == [
        ("deploy", f"{NAME}: building"),
        ("build", "#1 FROM python"),
        ("build", "#2 done"),
    ]
    assert attempt.end
    assert (attempt.end.level, attempt.end.revision) == ("info", 1)
    times = [one.time for one in attempt.entries]
    assert times == sorted(times)


def test_failure_is_kept_as_a_whole(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with keep_progress(workspace, [NAME], reason="") as board:
        board.fail(NAME, "it ended\n  Traceback\n  ValueError")
    attempt = find_attempt(workspace, NAME)
    assert attempt
    assert attempt.end
    assert (attempt.result, attempt.end.level) == (Result.ERROR, "error")
    assert attempt.end.message == "it ended\n  Traceback\n  ValueError"


@pytest.mark.parametrize(
    ("error", "message"),
    [(FunctionError("no disk"), "no disk"), (KeyboardInterrupt(), "The deploy was interrupted")],
)
def test_whatever_ends_a_deploy_ends_its_log(tmp_path: Path, error: BaseException, message: str) -> None:
    workspace = Workspace(tmp_path)
    with pytest.raises(type(error)), keep_progress(workspace, [NAME, "other"], reason="") as board:
        board.fail("other", "its own reason")
        raise error
    ends = [attempt.end for name in (NAME, "other") if (attempt := find_attempt(workspace, name))]
    assert [end.message.startswith(text) for end, text in zip(ends, (message, "its own"), strict=True) if end] == [
        True,
        True,
    ]


def test_killed_deploy_is_seen_by_its_lock(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with lock(workspace, f"function-{NAME}"):
        DeployLog(workspace, NAME).begin("")
        running = find_attempt(workspace, NAME)
        assert running
        assert running.result is Result.RUNNING
    killed = find_attempt(workspace, NAME)
    assert killed
    assert killed.result is Result.INTERRUPTED
    assert killed == find_attempt(workspace, NAME)


def test_deploy_that_was_killed_when_what_is_new_ran_is_ready(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    record_deployment(workspace, make_plan(NAME), image="image:1")
    DeployLog(workspace, NAME).begin("before it was recorded")
    before = find_attempt(workspace, NAME)
    assert before
    assert before.result is Result.INTERRUPTED
    DeployLog(workspace, NAME).begin("recorded")
    deployment = record_deployment(workspace, make_plan(NAME), image="image:2")
    after = find_attempt(workspace, NAME)
    assert after
    assert after.end
    assert (after.result, after.end.revision) == (Result.READY, deployment.revision)


def test_half_a_line_is_passed_over(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    write_failure(workspace, "first")
    path = workspace.state / "deploys" / f"{NAME}.jsonl"
    path.write_bytes(path.read_bytes() + b'{"time": 1, "lev')
    attempt = find_attempt(workspace, NAME)
    assert attempt
    assert len(attempt.entries) == 2


def test_older_deploys_keep_their_beginning_and_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy_log, "_OLDER_DEPLOYS", 3)
    workspace = Workspace(tmp_path)
    for number in range(6):
        write_failure(workspace, f"why {number}")
    attempts = load_attempts(workspace, NAME)
    assert [one.begin.reason for one in attempts] == ["why 2", "why 3", "why 4", "why 5"]
    assert all(len(one.entries) == 2 for one in attempts)


def test_log_of_a_build_that_goes_on_and_on_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy_log, "_LONGEST_LINE", 100)
    workspace = Workspace(tmp_path)
    log = DeployLog(workspace, NAME, _room=5000)
    log.begin("")
    for number in range(1000):
        log.line(f"{number} " + "x" * 300)
    log.step("starting")
    log.end(Result.ERROR, "y" * 9000)
    attempt = find_attempt(workspace, NAME)
    assert attempt
    assert attempt.end
    assert len(attempt.end.message) == 9000
    assert len(attempt.entries) == 50 + 4
    assert max(len(one.message) for one in attempt.entries[:-1]) == 100
    assert [one.message for one in attempt.entries[-3:-1]] == ["… and more, which is left out.", "starting"]


def test_failure_before_a_log_was_begun_is_noted_once(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    note_failure(workspace, NAME, "no Docker", since=1.0)
    note_failure(workspace, NAME, "said already", since=1.0)
    attempts = load_attempts(workspace, NAME)
    assert [one.end.message for one in attempts if one.end] == ["no Docker"]


def test_line_that_was_cut_off_does_not_take_the_next_with_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    log = DeployLog(workspace, NAME)
    log.begin("")
    with (workspace.state / "deploys" / f"{NAME}.jsonl").open("ab") as file:
        file.write(b'{"time": 1')
    log.end(Result.ERROR, "broken")
    (attempt,) = load_attempts(workspace, NAME)
    assert attempt.end
    assert attempt.end.message == "broken"
