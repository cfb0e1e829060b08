"""Messages on their way between a front and a worker."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pika import BasicProperties

from stack.processor.message import AmqpMessage, CronMessage, HttpMessage, MqttMessage, PooledMessage
from stack.processor.source.rabbitmq.properties import Properties
from stack.processor.wire import pack_delivery, unpack_message

MESSAGES = [
    HttpMessage(b"GET", b"/", [(b"a", b"b")], b"body", 1.0),
    MqttMessage("a/b", b"1", 3, {"x-mqtt-retain": False}, "", 2.0),
    CronMessage(b"tick", {"a": "b"}, "/", ""),
    AmqpMessage("e", "k", BasicProperties(headers={"t": datetime(2026, 1, 1, tzinfo=UTC), "d": Decimal("1.5")}), b"b"),
    AmqpMessage(b"\xff", b"\xfe", Properties().decode(b"\xa0\0\1\xff\0\0\0\7\1\xffS\0\0\0\0"), b"b", 2),
]


class Lent:
    def __init__(self, message: Any, **settings: Any) -> None:
        self.message = message
        vars(self).update(settings)


@pytest.mark.parametrize("message", MESSAGES)
def test_message_arrives_as_it_was(message: Any) -> None:
    assert unpack_message(pack_delivery(Lent(message))) == message  # type: ignore[arg-type]
    pooled = unpack_message(pack_delivery(Lent(message, pool_index=2)))  # type: ignore[arg-type]
    assert pooled == PooledMessage(2, message)
