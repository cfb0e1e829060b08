"""What would happen to each service, file and function."""

from dataclasses import replace
from typing import Any

import pytest

from stack.config.settings import Settings
from stack.plan.diff import DEPLOY, UP, Action, Running, Wanted, find_changes, find_deploys, find_edits
from stack.plan.stack import Service, plan_service
from tests.unit.plan.samples import make_plan, make_vault

A = Wanted("a", "1", "image:1", "files", "secrets")
RIGHT = Running("r", "a", "1", is_running=True, image="image:1", files="files", secrets="secrets")
TWIN = replace(RIGHT, id="t")
WRONG = replace(RIGHT, id="w", definition="0")
STOPPED = replace(RIGHT, id="s", is_running=False)


@pytest.mark.parametrize(
    ("running", "action", "reason", "surplus"),
    [
        ([], Action.CREATE, "has no container", ()),
        ([RIGHT], Action.KEEP, "runs as rendered", ()),
        ([STOPPED], Action.START, "is stopped", ()),
        ([WRONG], Action.REPLACE, "its configuration changed", ()),
        ([replace(WRONG, image="image:0")], Action.REPLACE, "its image changed", ()),
        ([replace(WRONG, files="x", secrets="y")], Action.REPLACE, "its files and its secrets changed", ()),
        ([RIGHT, WRONG], Action.REMOVE, "1 more than the 1 wanted", ("w",)),
        ([replace(RIGHT, is_ready=False), WRONG, STOPPED], Action.REPLACE, "is being replaced", ("s",)),
        ([RIGHT, TWIN], Action.REMOVE, "1 more than the 1 wanted", ("t",)),
        ([STOPPED, RIGHT], Action.REMOVE, "1 more than the 1 wanted", ("s",)),
        ([STOPPED, WRONG], Action.REPLACE, "its configuration changed", ()),
        ([replace(STOPPED, is_cut_off=True)], Action.START, "is stopped", ()),
    ],
)
def test_change_of_a_service(running: list[Running], action: Action, reason: str, surplus: tuple[str, ...]) -> None:
    (change,) = find_changes([A], running)
    assert (change.subject, change.action, change.reason, change.surplus) == ("a", action, reason, surplus)
    assert change.task == UP
    assert change.older == (("w",) if action is Action.REPLACE else ())


def test_container_off_the_network_makes_way() -> None:
    """Docker and its own health check take it for well."""
    (change,) = find_changes([A], [replace(RIGHT, is_cut_off=True)])
    assert (change.action, change.surplus) == (Action.REPLACE, ("r",))
    assert change.reason == "is cut off from the stack's network"


@pytest.mark.parametrize(
    ("running", "action"),
    [([RIGHT], Action.CREATE), ([RIGHT, TWIN], Action.KEEP), ([RIGHT, WRONG], Action.REPLACE)],
)
def test_replicas_are_counted(running: list[Running], action: Action) -> None:
    (change,) = find_changes([replace(A, replicas=2)], running)
    assert change.action is action


def test_what_is_not_wanted_is_removed() -> None:
    changes = find_changes([A], [replace(RIGHT, id="b", service="b"), RIGHT])
    assert [(one.subject, one.action, one.surplus) for one in changes] == [
        ("a", Action.KEEP, ()),
        ("b", Action.REMOVE, ("b",)),
    ]


def test_edited_files_are_written_again() -> None:
    present = {"same": b"1", "edited": b"2", "foreign": b"3"}
    edits = find_edits({"same": b"1", "edited": b"1", "missing": b"1"}, present)
    assert [(one.subject, one.action, one.reason) for one in edits] == [
        ("edited", Action.WRITE, "differs from what is rendered"),
        ("missing", Action.WRITE, "is missing"),
        ("foreign", Action.REMOVE, "is not rendered"),
    ]


def serve(image: str = "image:1", **spec: Any) -> Service:
    return plan_service(make_plan(**spec), Settings(), image=image, vault=make_vault(), is_deployed=True)


@pytest.mark.parametrize(
    ("deployed", "action", "reason"),
    [
        ([], Action.CREATE, "is not deployed"),
        ([serve()], Action.KEEP, "is deployed as it is"),
        ([serve("image:0")], Action.REPLACE, "its code changed, or what its image stands on"),
        ([serve("image:0", description="older")], Action.REPLACE, "its function.yaml changed"),
    ],
)
def test_change_of_a_function(deployed: list[Service], action: Action, reason: str) -> None:
    (change,) = find_deploys([serve()], deployed)
    assert (change.subject, change.action, change.reason, change.task) == ("thermo", action, reason, DEPLOY)
