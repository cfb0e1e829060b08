"""Accounts of a broker that runs: only what changed is sent, and what is no more is removed."""

import json
from typing import Any, ClassVar

from stack.plan.broker import GUEST_CREDENTIALS
from stack.rabbitmq.account import apply_accounts
from stack.rabbitmq.management import Broker


class Recorder(Broker):
    """A broker that notes what it is asked."""

    asked: ClassVar[list[tuple[str, str, Any]]] = []

    def request(self, method: str, path: str, document: object = None) -> Any:
        self.asked.append((method, path, document))
        return None


def definitions(**users: str) -> bytes:
    """Return a user for each name, and a permission where its text is not empty."""
    return json.dumps(
        {
            "users": [{"name": name, "password_hash": name} for name in users],
            "permissions": [{"user": name, "read": text} for name, text in users.items() if text],
        }
    ).encode()


def apply(before: bytes, after: bytes) -> list[tuple[str, str, Any]]:
    broker = Recorder("host", 1, 2, 3, GUEST_CREDENTIALS)
    broker.asked.clear()
    apply_accounts(broker, before, after=after)
    return broker.asked


def test_nothing_is_asked_where_nothing_changed() -> None:
    same = definitions(one="a", two="b")
    assert apply(same, same) == []


def test_only_what_changed_is_sent() -> None:
    ((method, path, document),) = apply(definitions(one="a", two="b"), definitions(one="a", two="c", three="d"))
    assert (method, path) == ("POST", "/api/definitions")
    assert [user["name"] for user in document["users"]] == ["three"]
    assert [one["user"] for one in document["permissions"]] == ["two", "three"]


def test_all_is_sent_to_a_broker_of_which_nothing_is_known() -> None:
    ((_, _, document),) = apply(b"", definitions(one="a"))
    assert [user["name"] for user in document["users"]] == ["one"]


def test_an_account_that_is_no_more_is_removed() -> None:
    assert apply(definitions(one="a", two="b"), definitions(one="a")) == [("DELETE", "/api/users/two", None)]


def test_an_account_that_may_do_nothing_any_more_loses_its_permission() -> None:
    asked = apply(definitions(guest="a"), definitions(guest=""))
    assert asked == [("DELETE", f"/api/{kind}/%2F/guest", None) for kind in ("permissions", "topic-permissions")]
