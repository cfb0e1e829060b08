"""What would happen to each service."""

import pytest

from stack.plan.change import Action, Running, find_changes


@pytest.mark.parametrize(
    ("running", "action", "reason"),
    [
        ([], Action.CREATE, "does not run yet"),
        ([Running("a", "1", True)], Action.KEEP, "runs as rendered"),
        ([Running("a", "1", False)], Action.CREATE, "is stopped"),
        ([Running("a", "0", True)], Action.REPLACE, "its configuration changed"),
        ([Running("a", "1", True), Running("a", "0", True)], Action.REPLACE, "its configuration changed"),
    ],
)
def test_change_of_a_service(running: list[Running], action: Action, reason: str) -> None:
    (change,) = find_changes({"a": "1"}, running)
    assert (change.service, change.action, change.reason) == ("a", action, reason)


def test_what_is_not_wanted_is_removed() -> None:
    changes = find_changes({"a": "1"}, [Running("b", "1", True), Running("a", "1", True)])
    assert [(change.service, change.action) for change in changes] == [("a", Action.KEEP), ("b", Action.REMOVE)]
