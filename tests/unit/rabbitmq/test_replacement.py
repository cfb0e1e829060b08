"""An exchange in the place of another: what stands in for it goes when all is done, and stays where something fails."""

from typing import Any

import pytest

from stack.errors import BrokerError
from stack.plan.broker import GUEST_CREDENTIALS
from stack.rabbitmq.management import Broker
from stack.rabbitmq.replacement import declare_exchange

EXCHANGE = {"vhost": "/", "name": "e", "type": "topic", "durable": False, "auto_delete": False, "arguments": {}}
BINDING = {"vhost": "/", "source": "e", "destination": "q", "destination_type": "queue", "routing_key": "a.*"}
DECLARED = {**BINDING, "arguments": {}}
THROUGH = {**BINDING, "destination": "e.moving", "destination_type": "exchange", "routing_key": "#", "arguments": {}}
THEIRS = {**BINDING, "source": "e.moving", "routing_key": "b.*", "arguments": {}, "properties_key": "b.*"}
GONE = ["/api/policies/%2F/e.moving", "/api/exchanges/%2F/e.moving"]


class Table(Broker):
    """A broker that answers out of a table, and notes what is imported and deleted."""

    def request(self, method: str, path: str, document: object = None) -> Any:
        if method == "GET":
            return ANSWERS.get(path, [])
        if len(ASKED) == FAILS_AT[0]:
            raise BrokerError("gone")
        ASKED.append((method, path, document))
        return None


ASKED: list[tuple[str, str, Any]] = []
ANSWERS: dict[str, list[dict[str, Any]]] = {}
FAILS_AT = [-1]


@pytest.fixture(autouse=True)
def table() -> Broker:
    ASKED.clear()
    ANSWERS.clear()
    FAILS_AT[0] = -1
    return Table("host", 1, 2, 3, GUEST_CREDENTIALS)


def deleted() -> list[str]:
    return [path for method, path, _ in ASKED if method == "DELETE"]


def test_what_stood_in_goes_at_the_end(table: Broker) -> None:
    declare_exchange(table, EXCHANGE, [DECLARED])
    assert deleted() == ["/api/exchanges/%2F/e", *GONE]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_what_stands_in_stays_where_something_fails(step: int, table: Broker) -> None:
    FAILS_AT[0] = step
    with pytest.raises(BrokerError, match="gone"):
        declare_exchange(table, EXCHANGE, [DECLARED])
    assert not set(GONE) & set(deleted())


def test_what_was_interrupted_goes_on_with_all_bindings(table: Broker) -> None:
    ANSWERS["/api/exchanges/%2F/e/bindings/source"] = [{**THROUGH, "properties_key": "%23"}]
    ANSWERS["/api/exchanges/%2F/e.moving/bindings/source"] = [THEIRS]
    ANSWERS["/api/exchanges/%2F/e.moving/bindings/destination"] = [THROUGH]
    declare_exchange(table, EXCHANGE, [DECLARED])
    imported = [document["bindings"] for method, _, document in ASKED if method == "POST"]
    own = [DECLARED, {**DECLARED, "routing_key": "b.*"}]
    assert imported == [[{**one, "source": "e.moving"} for one in own], [THROUGH], own]
    assert deleted()[-2:] == GONE
