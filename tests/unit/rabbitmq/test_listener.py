"""Listening where there is no broker."""

from socket import gaierror

import pytest

from stack.errors import BrokerError
from stack.plan.broker import GUEST_CREDENTIALS
from stack.rabbitmq.listener import Listener, Queue
from stack.rabbitmq.management import Broker


def test_a_broker_whose_name_is_gone_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise gaierror(-2, "Name or service not known")

    monkeypatch.setattr("stack.rabbitmq.listener.BlockingConnection", fail)
    told: list[str] = []
    listener = Listener(
        Broker("gone", 5672, 1883, 15672, GUEST_CREDENTIALS), [Queue("q", durable=True)], told=told.append
    )
    with pytest.raises(BrokerError, match=r"does not answer at gone:5672\. Type `invoke up`"), listener:
        pass
    assert listener.receive(0) == []
