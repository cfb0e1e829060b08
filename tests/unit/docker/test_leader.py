"""While the managers of a Swarm choose who leads, what they are asked is asked again."""

from collections.abc import Callable

import pytest

from stack.docker import node
from stack.docker.node import await_leader
from stack.errors import EngineError

_ELECTION = "Docker refused: rpc error: code = Unknown desc = The swarm does not have a leader."


def fail_at_first(*messages: str) -> Callable[[], str]:
    left = list(messages)

    def ask() -> str:
        if left:
            raise EngineError(left.pop(0))
        return "answer"

    return ask


def test_election_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stack.docker.node.time.sleep", lambda _: None)
    assert await_leader(fail_at_first(_ELECTION, "node lost leader status")) == "answer"


def test_election_without_an_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "_ELECTION_SECONDS", -1.0)
    with pytest.raises(EngineError, match="does not have a leader"):
        await_leader(fail_at_first(_ELECTION))


def test_other_failures_are_told_at_once() -> None:
    with pytest.raises(EngineError, match="no space"):
        await_leader(fail_at_first("no space"))
