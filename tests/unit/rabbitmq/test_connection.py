"""Connections of Tidegate's own programs to a broker that takes no messages: they end, and say what is not lost."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pika.exceptions import AMQPConnectionError, ConnectionBlockedTimeout, ProbableAuthenticationError

from stack.errors import BrokerError
from stack.plan.broker import GUEST_CREDENTIALS
from stack.rabbitmq import connection as connections
from stack.rabbitmq.connection import check_room, connected, plan_connection
from stack.rabbitmq.management import Broker
from stack.rabbitmq.replacement import replace_queue

BROKER = Broker("host", 1, 2, 3, GUEST_CREDENTIALS)
ALARM = {"disk_free_alarm": True, "disk_free": 1_000_000, "disk_free_limit": 2_000_000}


def test_a_connection_waits_for_a_while_only() -> None:
    parameters = plan_connection(BROKER, "tidegate-moving")
    assert parameters.blocked_connection_timeout == 20
    assert parameters.client_properties == {"connection_name": "tidegate-moving"}


def test_who_waited_in_vain_is_told_what_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def connect(_: Any) -> Iterator[Any]:
        yield None

    monkeypatch.setattr(connections, "BlockingConnection", connect)
    with pytest.raises(BrokerError) as raised, connected(BROKER, "name", "Nothing was lost."):
        raise ConnectionBlockedTimeout
    assert str(raised.value) == (
        "RabbitMQ has taken no messages for 20 s: it is short of disk or memory. Nothing was lost. "
        "`invoke status` says what to do; then this again."
    )


@pytest.mark.parametrize("error", [AMQPConnectionError(), OSError(111, "Connection refused")])
def test_a_broker_that_is_down_does_not_answer(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(_: Any) -> Any:
        raise error

    monkeypatch.setattr(connections, "BlockingConnection", connect)
    with (
        pytest.raises(BrokerError, match=r"^RabbitMQ does not answer at host:1\. Type `invoke up`, then this again\.$"),
        connected(BROKER, "name", "Nothing was lost."),
    ):
        pass


def test_an_account_that_is_refused_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(_: Any) -> Any:
        raise ProbableAuthenticationError("ACCESS_REFUSED")

    monkeypatch.setattr(connections, "BlockingConnection", connect)
    with pytest.raises(BrokerError, match="refuses Tidegate's account"), connected(BROKER, "name", "Nothing was lost."):
        pass


def test_nothing_is_begun_while_the_broker_takes_no_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def request(_: Broker, method: str, _path: str, _document: object = None) -> Any:
        asked.append(method)
        return [ALARM]

    monkeypatch.setattr(Broker, "request", request)
    with pytest.raises(BrokerError, match=r"takes no messages: 1 MB of the disk .* Nothing was moved\."):
        replace_queue(BROKER, {"vhost": "/", "name": "q"}, lambda *_: None)
    assert asked == ["GET"]


@pytest.mark.parametrize("nodes", [[{}], [[]], [{"mem_alarm": False, "disk_free_alarm": False}]])
def test_a_broker_without_an_alarm_has_room(nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Broker, "request", lambda *_: nodes)
    check_room(BROKER)
