"""Which messages ask for a response, and what is said where none can be had."""

from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from nuclio_sdk import TriggerInfo
from pika import BasicProperties

from stack.processor.attributes import Attributes
from stack.processor.configuration import Trigger, parse_function
from stack.processor.delivery import Failure
from stack.processor.invocation import Invoker
from stack.processor.message import AmqpMessage, HttpMessage, PooledMessage
from stack.processor.output.outbox import Outbox, Outputs, OutputSet
from stack.processor.output.sender import LocalSender
from stack.processor.output.target import Route, Target
from stack.processor.request import Reply, Requester, RequestError, find_reply
from stack.processor.response import Response
from stack.processor.testing import open_context
from stack.processor.trigger.rabbitmq import build_amqp
from stack.processor.worker_spec import Role, WorkerSpec

TOPIC = "x-reply-to-topic"


def make_message(headers: dict[str, Any], correlation_id: str | None = None) -> AmqpMessage:
    return AmqpMessage("amq.topic", "a.b", BasicProperties(headers=headers, correlation_id=correlation_id), b"")


@pytest.mark.parametrize(
    ("headers", "correlation_id", "reply"),
    [
        ({TOPIC: "tidegate.response.f.1"}, "c", Reply("tidegate/response/f/1", b"c")),
        ({TOPIC: "tidegate.response.1", "x-correlation-id": b"\xff"}, None, Reply("tidegate/response/1", b"\xff")),
        ({TOPIC: "tidegate.response.1", "x-correlation-id": 7}, None, Reply("tidegate/response/1", b"")),
        ({TOPIC: "tidegate.response/1"}, "c", Reply("tidegate/response/1", b"c")),
        ({TOPIC: "tidegate.responses.1"}, "c", None),
        ({TOPIC: "plant.valve.cmd"}, "c", None),
        # What cannot be published to would end the worker.
        ({TOPIC: "tidegate.response.#"}, "c", None),
        ({TOPIC: "tidegate.response.+"}, "c", None),
        ({TOPIC: "tidegate.response." + "x" * 300}, "c", None),
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


class Requests:
    """`context.request` of a worker: notes responses, or cannot give them."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.told: list[str] = []

    def open(self) -> "Requests":
        if self.error:
            raise self.error
        return self

    def respond(self, reply: Reply, response: Response) -> None:
        self.told.append(f"responded {response.body.decode()} at {reply.topic}")


class AskedDelivery:
    """A message that asks for a response, and what becomes of it."""

    def __init__(self, told: list[str]) -> None:
        self._told = told
        self.message = make_message({TOPIC: "tidegate.response.1"}, "c")

    def claim(self) -> bool:
        return True

    def hold(self) -> None:
        pass

    def done(self, response: Response) -> None:
        self._told.append(f"done {response.status}")

    def failed(self, response: Response, failure: Failure) -> None:
        self._told.append("failed")


class LateSender(LocalSender):
    """Sends, and then perhaps says that it could not."""

    def __init__(self, told: list[str], error: str) -> None:
        super().__init__(lambda message: told.append(f"sent to {message.output}"))
        self._error = error

    def send(self, outbox: Outbox) -> "Future[None]":
        if self._error:
            outbox.note_failure(self._error)
        return super().send(outbox)


def run_asked(requests: Requests, error: str = "") -> list[str]:
    targets = {"logs": Target("logs", route=Route(queue="logs"))}
    function = parse_function({}, secrets=Path(), folder=Path())
    outputs = OutputSet(function, targets, LateSender(requests.told, error))
    context = open_context()
    context.request, context.outputs = requests, Outputs(outputs)

    def handler(context: Any, event: Any) -> str:
        context.outputs.logs.send("a line")
        return "fine"

    build = partial(build_amqp, trigger=TriggerInfo("rabbit-mq", "in"))
    trigger = Trigger("in", "rabbit-mq", 1, "", "", "", Attributes("attributes", {}), 0.0, 0.0)
    spec = WorkerSpec(trigger, Role.WORKER)
    invoker = Invoker(handler, context, build=build, spec=spec, complete=lambda result: result)
    invoker.attach(outputs)
    invoker.handle(AskedDelivery(requests.told))
    return requests.told


def test_response_leaves_when_all_that_was_sent_has_arrived() -> None:
    assert run_asked(Requests()) == ["sent to logs", "responded fine at tidegate/response/1", "done 200"]


def test_event_whose_messages_cannot_be_sent_gives_no_response() -> None:
    assert run_asked(Requests(), error="refused")[-1:] == ["failed"]
    assert not any("responded" in one for one in run_asked(Requests(), error="refused"))


@pytest.mark.parametrize("error", [RequestError("away"), ValueError("odd")])
def test_response_that_cannot_be_sent_is_no_failure(error: Exception) -> None:
    assert run_asked(Requests(error)) == ["sent to logs", "done 200"]
