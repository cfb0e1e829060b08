"""Which messages ask for a response, and what is said where none can be had."""

from typing import Any

import pytest
from pika import BasicProperties

from stack.processor.message import AmqpMessage, HttpMessage, PooledMessage
from stack.processor.request import Reply, Requester, RequestError, find_reply

TOPIC = "x-reply-to-topic"


def make_message(headers: dict[str, Any], correlation_id: str | None = None) -> AmqpMessage:
    return AmqpMessage("amq.topic", "a.b", BasicProperties(headers=headers, correlation_id=correlation_id), b"")


@pytest.mark.parametrize(
    ("headers", "correlation_id", "reply"),
    [
        ({TOPIC: "tidegate.response.f.1"}, "c", Reply("tidegate/response/f/1", b"c")),
        ({TOPIC: "tidegate.response.1", "x-correlation-id": b"\xff"}, None, Reply("tidegate/response/1", b"\xff")),
        ({TOPIC: "tidegate.response.1", "x-correlation-id": 7}, None, Reply("tidegate/response/1", b"")),
        ({TOPIC: "tidegate.response/1"}, "c", None),
        ({TOPIC: "plant.valve.cmd"}, "c", None),
        ({TOPIC: b"\xff"}, "c", None),
        ({TOPIC: 7}, "c", None),
        ({}, "c", None),
    ],
)
def test_reply(headers: dict[str, Any], correlation_id: str | None, reply: Reply | None) -> None:
    message = make_message(headers, correlation_id)
    assert find_reply(message) == find_reply(PooledMessage(1, message)) == reply


def test_http_client_gets_its_answer_in_the_response_alone() -> None:
    assert find_reply(HttpMessage(b"POST", b"/", [(TOPIC.encode(), b"tidegate.response.1")], b"", 0.0)) is None


def test_request_without_a_broker() -> None:
    requester = Requester("", "f")
    with pytest.raises(RequestError, match=r"give function\.yaml a trigger or an output"):
        requester("a/b")
    requester.close()
