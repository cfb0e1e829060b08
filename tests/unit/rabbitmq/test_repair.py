"""When the stack's broker is mended, and when what it told ahead is enough."""

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from stack.config.environment import SecretRef
from stack.docker.stack import Stack, open_stack
from stack.errors import BrokerError
from stack.plan.definitions import KINDS, as_document
from stack.rabbitmq import repair
from stack.rabbitmq.drift import read_stack_declared
from stack.rabbitmq.management import Broker
from stack.state.vault import write_secret
from stack.state.workspace import Workspace


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv("TIDEGATE_WORKSPACE", str(tmp_path))
    (tmp_path / "stack.yaml").write_text("project: p\n")
    return open_stack()


def declared_by(stack: Stack) -> dict[str, Any]:
    """Return definitions of a broker that is as it should be."""
    things = read_stack_declared(stack).definitions.things
    return dict(as_document([(kind, one) for kind in KINDS for one in things.get(kind.section, {}).values()]))


def mend(stack: Stack, ahead: dict[str, Any] | Exception, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what else the broker is asked."""
    asked: list[str] = []

    def request(_: Broker, method: str, path: str, _document: object = None) -> Any:
        asked.append(f"{method} {path.partition('?')[0]}")
        return declared_by(stack) if path == "/api/definitions" else []

    monkeypatch.setattr(Broker, "request", request)
    answer = Future[dict[str, Any]]()
    if isinstance(ahead, Exception):
        answer.set_exception(ahead)
    else:
        answer.set_result(ahead)
    repair.mend_stack_broker(stack, answer)
    return asked


def test_a_broker_that_told_ahead_all_that_is_declared_is_not_asked_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mend(stack, declared_by(stack), monkeypatch) == ["GET /api/consumers"]


@pytest.mark.parametrize("ahead", [{}, BrokerError("it does not answer")])
def test_a_broker_that_told_something_else_is_asked_again(
    stack: Stack, ahead: dict[str, Any] | Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "GET /api/definitions" in mend(stack, ahead, monkeypatch)


def test_a_new_stack_has_no_broker_that_could_tell(stack: Stack) -> None:
    assert repair.ask_ahead(stack) is None


def test_what_another_place_has_opened_by_an_old_password_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_WORKSPACE", str(tmp_path))
    bridge = "bridge: [{name: site, secret: site.account, receive: [plant/#]}]"
    (tmp_path / "stack.yaml").write_text(f"project: p\n{bridge}\n")
    write_secret(Workspace(tmp_path), SecretRef("site", "account"), content=b"tidegate-bridge-site:new")
    stack = open_stack()
    ahead = declared_by(stack)
    ahead["users"] = [
        {**one, "password_hash": "b2xk"} if one["name"] == "tidegate-bridge-site" else one for one in ahead["users"]
    ]
    answers = [ahead, declared_by(stack)]
    asked: list[str] = []

    def request(_: Broker, method: str, path: str, _document: object = None) -> Any:
        asked.append(f"{method} {path.partition('?')[0]}")
        return (answers.pop(0) if answers else declared_by(stack)) if asked[-1] == "GET /api/definitions" else []

    monkeypatch.setattr(Broker, "request", request)
    future = Future[dict[str, Any]]()
    future.set_result(ahead)
    repair.mend_stack_broker(stack, future)
    assert "DELETE /api/connections/username/tidegate-bridge-site" in asked
