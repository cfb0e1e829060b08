"""Deployments: what runs is remembered, whatever becomes of its folder."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stack.config.requirements import Requirements
from stack.config.settings import Settings
from stack.errors import FunctionError
from stack.plan.function import processor_document
from stack.state.deployment import (
    explain_folder,
    forget_deployment,
    forget_revisions,
    list_unreadable,
    load_candidate,
    load_deployments,
    load_revisions,
    note_candidate,
    record_deployment,
)
from stack.state.workspace import Workspace
from tests.unit.plan.samples import make_plan

TRIGGERS = {"in": {"kind": "rabbit-mq", "attributes": {"exchangeName": "e", "topics": ["t"]}}}


def test_nothing_is_deployed(tmp_path: Path) -> None:
    assert load_deployments(Workspace(tmp_path)) == {}


def test_deployment_gives_the_same_plan_again(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    plan = make_plan(triggers=TRIGGERS, handler="main:run", disableDefaultHTTPTrigger=True)
    record_deployment(workspace, plan, image="image:1")
    deployment = load_deployments(workspace)["thermo"]
    again = deployment.plan(Settings())
    assert (deployment.image, again.handler) == ("image:1", "main:run")
    assert processor_document(again) == processor_document(plan)


def test_rollback_is_remembered_until_the_next_deploy(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    deployment = record_deployment(workspace, make_plan(), image="image:1", restores=3)
    assert load_deployments(workspace)["thermo"].restores == 3
    assert explain_folder(deployment, has_folder=True).startswith("was rolled back to revision 3; its folder may hold")
    assert "which is gone" in explain_folder(deployment, has_folder=False)
    deployment = record_deployment(workspace, make_plan(), image="image:2")
    assert (deployment.restores, explain_folder(deployment, has_folder=True)) == (0, "")


def test_code_that_is_elsewhere_stays_there(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    plan = make_plan()
    code = replace(plan, function=replace(plan.function, files=(), code=".stack/state/sources/thermo/1f"))
    record_deployment(workspace, code, image="image:1")
    again = load_deployments(workspace)["thermo"].plan(Settings()).function
    assert (again.context, again.inline) == (".stack/state/sources/thermo/1f", "")


def test_what_requirements_refer_to_is_remembered(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    named = Requirements("requirements.txt", ("sets/base.txt",), needs_code=True)
    record_deployment(workspace, make_plan(requirements=named), image="image:1")
    assert load_deployments(workspace)["thermo"].plan(Settings()).function.requirements == (named,)


def test_revisions_are_counted(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    record_deployment(workspace, make_plan("a"), image="image:1")
    record_deployment(workspace, make_plan("b"), image="image:1")
    record_deployment(workspace, make_plan("a"), image="image:2")
    found = load_deployments(workspace)
    assert {name: one.revision for name, one in found.items()} == {"a": 2, "b": 1}
    forget_deployment(workspace, "a")
    forget_deployment(workspace, "a")
    assert set(load_deployments(workspace)) == {"b"}


def test_older_revisions_are_kept(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for number in (1, 2, 3):
        record_deployment(workspace, make_plan("a"), image=f"image:{number}", message=f"why {number}")
    found = load_revisions(workspace, "a")
    assert [(one.revision, one.image, one.message) for one in found] == [
        (3, "image:3", "why 3"),
        (2, "image:2", "why 2"),
        (1, "image:1", "why 1"),
    ]
    assert all("@" in one.author for one in found)
    forget_revisions(workspace, "a", oldest=2)
    assert [one.revision for one in load_revisions(workspace, "a")] == [3, 2]
    forget_deployment(workspace, "a")
    with pytest.raises(FunctionError, match=r"a is not deployed\. Deployed functions: none\."):
        load_revisions(workspace, "a")
    record_deployment(workspace, make_plan("a"), image="image:4")
    assert [one.revision for one in load_revisions(workspace, "a")] == [1]


def test_state_of_the_release_before_is_a_revision(tmp_path: Path) -> None:
    """It knows neither who nor why, and has no folder of revisions."""
    workspace = Workspace(tmp_path)
    path = workspace.state / "functions" / "a.json"
    path.parent.mkdir(parents=True)
    document = {"name": "a", "image": "image:7", "handler": "main:handler", "revision": 7, "config": {}}
    path.write_text(json.dumps(document | {"time": "2026-01-02T03:04:05Z"}))
    record_deployment(workspace, make_plan("a"), image="image:8")
    found = load_revisions(workspace, "a")
    assert [(one.revision, one.image, bool(one.author)) for one in found] == [
        (8, "image:8", True),
        (7, "image:7", False),
    ]


def test_revision_that_was_written_and_did_not_come_to_run_does_not_count(tmp_path: Path) -> None:
    """Cut short between the copy of what runs and its replacement."""
    workspace = Workspace(tmp_path)
    record_deployment(workspace, make_plan("a"), image="image:1")
    current = workspace.state / "functions" / "a.json"
    copy = workspace.state / "revisions" / "a" / "1.json"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(current.read_bytes())
    assert [one.revision for one in load_revisions(workspace, "a")] == [1]


@pytest.mark.parametrize("content", [b"", b"{", b"\0" * 300])
def test_copy_counts_where_a_file_is_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    workspace = Workspace(tmp_path)
    record_deployment(workspace, make_plan("a"), image="image:1")
    record_deployment(workspace, make_plan("a"), image="image:2")
    record_deployment(workspace, make_plan("b"), image="image:1")
    (workspace.state / "functions" / "a.json").write_bytes(content)
    assert {name: one.image for name, one in load_deployments(workspace).items()} == {"a": "image:2", "b": "image:1"}
    assert [one.revision for one in load_revisions(workspace, "a")] == [2, 1]
    assert list_unreadable(workspace) == ()
    told = " ".join(capsys.readouterr().err.split())
    assert told.count("its copy counts. Write it again: invoke deploy-function a.") == 1
    assert record_deployment(workspace, make_plan("a"), image="image:3").revision == 3


@pytest.mark.parametrize("content", [b"", b"{"])
def test_function_that_cannot_be_read_keeps_no_other_from_its_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    workspace = Workspace(tmp_path)
    for image in ("image:1", "image:2"):
        record_deployment(workspace, make_plan("a"), image=image)
    record_deployment(workspace, make_plan("b"), image="image:1")
    for folder in ("functions", "copies"):
        (workspace.state / folder / "a.json").write_bytes(content)
    assert set(load_deployments(workspace)) == {"b"}
    assert list_unreadable(workspace) == ("a",)
    told = " ".join(capsys.readouterr().err.split())
    assert "Write it again: invoke deploy-function a. Until then a runs on as it is" in told
    with pytest.raises(FunctionError, match=r"a\.json cannot be read\. .* invoke deploy-function a\."):
        load_revisions(workspace, "a")
    assert record_deployment(workspace, make_plan("a"), image="image:3").revision == 2
    assert set(load_deployments(workspace)) == {"a", "b"}


def test_damaged_revision_and_candidate_are_passed_over(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for image in ("image:1", "image:2", "image:3"):
        record_deployment(workspace, make_plan("a"), image=image)
    note_candidate(workspace, make_plan("a"), image="image:4")
    (workspace.state / "revisions" / "a" / "1.json").write_bytes(b"")
    (workspace.state / "candidates" / "a.json").write_bytes(b'{"name":')
    assert [one.revision for one in load_revisions(workspace, "a")] == [3, 2]
    assert load_candidate(workspace, "a") is None
    forget_revisions(workspace, "a", oldest=3)
    assert [path.name for path in (workspace.state / "revisions" / "a").glob("*")] == []
