"""What a handler sends: kept until it has returned, under ids that a retry repeats, and told to deliveries in order."""

import asyncio
import threading
from array import array
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nuclio_sdk import Event, TriggerInfo
from nuclio_sdk import Response as Nuclio

from stack.processor.attributes import Attributes
from stack.processor.configuration import Batch, Function, Trigger, parse_function
from stack.processor.delivery import Failure
from stack.processor.event import open_ids
from stack.processor.invocation import Invoker
from stack.processor.message import AmqpMessage, MqttMessage, PooledMessage
from stack.processor.output.commit import Wakeup
from stack.processor.output.message import OutputError, OutputMessage, continue_trace
from stack.processor.output.outbox import Outbox, Outputs, OutputSet
from stack.processor.output.sender import LocalSender
from stack.processor.output.target import open_targets
from stack.processor.response import Response, encode_body
from stack.processor.source.rabbitmq.properties import Properties
from stack.processor.source.rabbitmq.topology import RetryPlan, build_retry
from stack.processor.testing import open_context
from stack.processor.trigger.rabbitmq import build_amqp
from stack.processor.worker import Worker
from stack.processor.worker_spec import Role, WorkerSpec

TRIGGER = Trigger("t", "rabbit-mq", 1, "", "", "", Attributes("attributes", {}), 1.0, 1.0)
INFO = TriggerInfo("rabbit-mq", "t")
OUTPUTS = {
    "alerts": {"kind": "rabbit-mq", "exchange": "iot/alerts", "routingKey": "high"},
    "logs": {"kind": "rabbit-mq", "queue": "iot/logs"},
    "command": {"kind": "mqtt", "topic": "plant/{id}/cmd"},
    "levels": {"kind": "rabbit-mq", "exchange": "iot/levels", "routingKey": "level.{level}"},
}


def read_function(**spec: Any) -> Function:
    document = {"metadata": {"name": "f"}, "spec": {"outputs": OUTPUTS, **spec}}
    return replace(parse_function(document, secrets=Path("/nowhere"), folder=Path()), reloads=True)


class Sender(LocalSender):
    """Keeps outboxes that are committed until the test says what became of them."""

    def __init__(self) -> None:
        self.sent: list[OutputMessage] = []
        self.committed: list[Outbox] = []
        super().__init__(self.sent.append)

    def commit(self, outboxes: Any) -> None:
        self.committed += outboxes

    def deliver(self) -> None:
        outboxes, self.committed = self.committed, []
        super().commit(outboxes)

    def send(self, outbox: Outbox) -> Any:
        future = super().send(outbox)
        self.deliver()
        return future


class Delivery:
    """One of a broker, whose outcome can wait."""

    def __init__(self, message: Any) -> None:
        self.message = message
        self.told: list[str] = []
        self.has_left = False

    def claim(self) -> bool:
        return True

    def hold(self) -> None: ...

    def leave_handler(self) -> None:
        self.has_left = True

    def done(self, response: Response) -> None:
        self.told.append(f"done {response.status}")

    def failed(self, response: Response, failure: Failure) -> None:
        self.told.append(f"failed {response.status} {failure.error}")


class Bench:
    """An invoker with outputs, and what a worker does with it."""

    def __init__(self, handler: Any, *, can_wait: bool = True, **spec: Any) -> None:
        self.sender = Sender()
        function = read_function(**spec)
        self.outputs = OutputSet(function, open_targets(function), self.sender)
        self.context = open_context()
        self.context.outputs = Outputs(self.outputs)
        self.queue: list[Any] = []
        self.spec = WorkerSpec(TRIGGER, Role.WORKER)
        self.invoker = Invoker(
            handler, self.context, build=lambda event: event, spec=self.spec, complete=lambda result: result
        )
        self.invoker.attach(self.outputs, self.queue.append if can_wait else None)

    def handle(self, *bodies: Any) -> list[Delivery]:
        deliveries = [Delivery(Event(body=body, _id=f"id-{body}", headers={})) for body in bodies]
        for delivery in deliveries:
            self.invoker.handle(delivery)
        return deliveries

    def wake(self) -> None:
        while self.queue:
            assert not self.queue.pop(0).claim()


def send(context: Any, event: Any) -> str:
    context.outputs.logs.send(f"got {event.body}")
    if event.body == "bad":
        raise ValueError("as asked")
    return "fine"


def test_what_a_handler_sends_leaves_when_it_has_returned() -> None:
    bench = Bench(send)
    good, bad, last = bench.handle("a", "bad", "b")
    assert good.has_left and not good.told and not bad.told and not bench.sender.committed
    bench.invoker.flush()
    assert len(bench.sender.committed) == 2
    bench.sender.deliver()
    bench.wake()
    assert [message.body for message in bench.sender.sent] == [b"got a", b"got b"]
    assert [good.told, last.told] == [["done 200"], ["done 200"]]
    assert bad.told == ["failed 500 ValueError: as asked"]


def test_deliveries_are_told_in_their_order() -> None:
    bench = Bench(lambda context, event: event.body == "x" and context.outputs.logs.send("m"))
    first, second = bench.handle("x", "y")
    assert not second.told, "one that sent nothing waits behind one that did"
    bench.invoker.flush()
    (outbox,) = bench.sender.committed
    outbox.note_failure("the output logs: no room")
    bench.wake()
    assert first.told == ["failed 503 What the handler sent could not be delivered: the output logs: no room"]
    assert second.told == ["done 200"]
    third = bench.handle("y")[0]
    assert third.told == ["done 200"], "with nothing before it it need not wait"


def test_who_waits_for_a_response_gets_it_when_all_has_arrived() -> None:
    bench = Bench(send, can_wait=False)
    (delivery,) = bench.handle("a")
    assert delivery.told == ["done 200"]
    assert bench.sender.sent


def test_the_answer_goes_to_the_output_of_onsuccess() -> None:
    bench = Bench(lambda context, event: {"n": 1} if event.body == "a" else "", can_wait=False, onSuccess="alerts")
    bench.handle("a", "nothing to say")
    (message,) = bench.sender.sent
    assert (message.content, message.address, message.content_type) == ({"n": 1}, "high", "application/json")


def test_an_answer_that_cannot_be_sent_fails_its_event() -> None:
    bench = Bench(lambda context, event: "answer", can_wait=False, onSuccess="command")
    (delivery,) = bench.handle("a")
    (told,) = delivery.told
    assert told.startswith("failed 500 TypeError: send() needs id=") and not bench.sender.sent


def test_answers_of_a_batch_that_say_that_they_failed_go_nowhere() -> None:
    handler = lambda context, events: [Nuclio(body=one.body, status_code=int(one.body)) for one in events]  # noqa: E731
    bench = Bench(handler, onSuccess="logs")
    bench.invoker.handle_batch([Delivery(Event(body=body, _id=body, headers={})) for body in ("200", "500", "404")])
    bench.invoker.flush()
    bench.sender.deliver()
    assert [message.body for message in bench.sender.sent] == [b"200", b"404"]


def test_an_answer_that_cannot_be_sent_fails_its_batch() -> None:
    bench = Bench(lambda context, events: ["answer"], onSuccess="command")
    delivery = Delivery(Event(body="a", _id="a", headers={}))
    bench.invoker.handle_batch([delivery])
    assert delivery.told[0].startswith("failed 500 TypeError: send() needs id=")


def test_async_handlers_whose_answer_cannot_be_sent_fail_their_events() -> None:
    async def handler(context: Any, events: Any) -> Any:
        return ["answer"] if isinstance(events, list) else "answer"

    bench = Bench(handler, can_wait=False, onSuccess="command")
    one, batched = (Delivery(Event(body=body, _id=body, headers={})) for body in "ab")
    asyncio.run(bench.invoker.handle_async(one))
    asyncio.run(bench.invoker.handle_batch_async([batched]))
    for delivery in (one, batched):
        assert delivery.told[0].startswith("failed 500 TypeError: send() needs id=")


def test_an_async_handler_that_cancels_its_own_task_is_waited_for() -> None:
    async def handler(context: Any, event: Any) -> str:
        context.outputs.logs.send("m")
        task = asyncio.current_task()
        assert task
        task.cancel()
        return "fine"

    def send_later(outbox: Outbox) -> Any:
        future: Future[None] = Future()
        outbox.on_settled = lambda: future.set_result(None)
        bench.sender.commit([outbox])
        asyncio.get_running_loop().call_later(0.01, bench.sender.deliver)
        return future

    bench, delivery = Bench(handler, can_wait=False), Delivery(Event(body="a", _id="a", headers={}))
    bench.sender.send = send_later  # type: ignore[method-assign]
    asyncio.run(bench.invoker.handle_async(delivery))
    assert delivery.told == ["done 200"] and len(bench.sender.sent) == 1


def test_triggers_that_share_workers_can_send() -> None:
    bench = Bench(send, can_wait=False)
    event = Event(body="a", _id="a", headers={})
    deliveries = [Delivery(PooledMessage(number, event)) for number in range(2)]
    bench.invoker._build = lambda pooled: pooled.message
    for delivery in deliveries:
        bench.invoker.handle(delivery)
    assert [delivery.told for delivery in deliveries] == [["done 200"]] * 2
    assert len({message.message_id for message in bench.sender.sent}) == 2


def test_what_is_sent_now_has_arrived_whatever_becomes_of_the_event() -> None:
    def handler(context: Any, event: Any) -> None:
        context.outputs.logs.send("later")
        context.outputs.logs.send("now", now=True)
        raise ValueError("as asked")

    bench = Bench(handler)
    bench.handle("a")
    (message,) = bench.sender.sent
    bench.handle("a")
    again = bench.sender.sent[-1]
    assert message.body == b"now" and again.message_id == message.message_id


def test_what_is_sent_outside_of_an_event_leaves_at_once() -> None:
    bench = Bench(send, can_wait=False)
    bench.context.outputs.logs.send("before")

    def handler(context: Any, event: Any) -> None:
        thread = threading.Thread(target=lambda: context.outputs.logs.send("thread"))
        thread.start()
        thread.join()
        raise ValueError("what the thread has sent is of no event")

    other = Bench(handler, can_wait=False)
    other.handle("a")
    assert [one.sender.sent[0].body for one in (bench, other)] == [b"before", b"thread"]


def test_one_that_cannot_be_sent_at_once_says_so() -> None:
    bench = Bench(send)
    bench.sender.deliver = lambda: bench.sender.committed[0].note_failure("no broker")  # type: ignore[method-assign]
    with pytest.raises(OutputError, match="no broker"):
        bench.context.outputs.logs.send("before")


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda o: o.alert.send("x"), AttributeError, "no output 'alert' in spec.outputs; did you mean 'alerts'?"),
        (lambda o: o.command.send("x"), TypeError, "needs id=…, for {id} of plant/{id}/cmd"),
        (lambda o: o.command.send("x", id="a/b"), ValueError, "is no level of a topic"),
        (lambda o: o.levels.send("x", level="a.b"), ValueError, "got level='a.b', which is no word of a routing key"),
        (lambda o: o.levels.send("x", level=""), ValueError, "is no word of a routing key"),
        (lambda o: o.command.send("x", id=1, name=2), TypeError, "got 'name', which is no placeholder"),
        (lambda o: o.logs.send({1, 2}), TypeError, "JSON has no set; send a number, a text"),
        (lambda o: o.logs.send({"a": b"x"}), TypeError, "JSON has no bytes"),
        (lambda o: o.logs.send("x", key="k"), TypeError, "which only a rabbit-mq output with an exchange takes"),
    ],
)
def test_what_cannot_be_sent_is_told_where_it_stands(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text.replace("{", "\\{").replace("(", "\\(").replace("?", "\\?")):
        call(Bench(send).context.outputs)


def test_a_forked_process_cannot_send(monkeypatch: pytest.MonkeyPatch) -> None:
    alerts = Bench(send).context.outputs.alerts
    monkeypatch.setattr("stack.processor.output.outbox.os.getpid", lambda: -1)
    with pytest.raises(OutputError, match="a process that the handler forked cannot send"):
        alerts.send("x")


def find_messages(message: Any, event: Any) -> list[OutputMessage]:
    outputs = Bench(send).outputs
    outbox = outputs.open("t", [(message, event)])
    for name in ("logs", "logs", "alerts"):
        outbox.add(name, "same")
    return outbox.messages


def test_a_retry_repeats_ids_and_nothing_else_does() -> None:
    next_id = open_ids()
    message = AmqpMessage("e", "k", Properties(), b"21.5")
    event = build_amqp(message, INFO, next_id=next_id)
    first = [one.message_id for one in find_messages(message, event)]
    assert len(set(first)) == 3
    copy = build_retry(message, Failure("failed", ""), RetryPlan("q", 3, "f", b"key"))
    again = AmqpMessage("e", "k", copy.properties, copy.body)
    retried = build_amqp(again, INFO, next_id=next_id)
    assert retried.id == event.id
    assert [one.message_id for one in find_messages(again, retried)] == first
    other = AmqpMessage("e", "k", Properties(message_id=event.id), b"21.6")
    for one in (other, AmqpMessage("e", "k", Properties(), b"21.5")):
        built = build_amqp(one, INFO, next_id=next_id)
        assert set(first).isdisjoint(message.message_id for message in find_messages(one, built))


def test_an_event_that_goes_another_way_repeats_only_the_ids_of_what_is_the_same() -> None:
    def find(*sent: tuple[str, str]) -> dict[tuple[str, str], str]:
        outbox = Bench(send).outputs.open("t", [(AmqpMessage("e", "k", Properties(), b"21.5"), Event(_id="x"))])
        for body, key in sent:
            outbox.add("alerts", body, key)
        return {one: message.message_id for one, message in zip(sent, outbox.messages, strict=True)}

    first, second = find(("a", "k"), ("b", "k")), find(("c", "k"), ("b", "k"), ("b", "l"))
    assert first[("b", "k")] == second[("b", "k")]
    assert len({*first.values(), *second.values()}) == 4


def test_a_packet_id_of_mqtt_is_no_messages_own() -> None:
    message = MqttMessage("a", b"21.5", 7, {}, "", 0.0)
    found = [find_messages(message, Event(body=b"21.5", _id="7"))[0].message_id for _ in range(2)]
    assert found[0] != found[1]


def test_trace_and_correlation_go_along() -> None:
    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    message = AmqpMessage("e", "k", Properties(correlation_id="c-1"), b"")
    found = find_messages(message, Event(_id="x", headers={"traceparent": parent}))[0]
    version, trace, span, flags = found.headers["traceparent"].split("-")
    assert (version, trace, flags) == ("00", "a" * 32, "01") and span != "b" * 16
    assert (found.correlation_id, found.headers["x-nuclio-function"]) == ("c-1", "f")
    for odd in (None, "nonsense", f"00-{'0' * 32}-{'b' * 16}-01", f"ff-{'a' * 32}-{'b' * 16}-01", b"\xff"):
        begun = continue_trace(odd)
        assert len(begun) == len(parent) and begun[3:35] != "a" * 32


def test_bodies_are_sent_as_what_they_are() -> None:
    assert encode_body(b"\x00") == (b"\x00", "application/octet-stream")
    assert encode_body("é") == ("é".encode(), "text/plain")
    assert encode_body([1, {"a": None}]) == (b'[1, {"a": null}]', "application/json")
    # NumPy has numbers and arrays with the same method.
    assert encode_body({"a": array("d", [1.5])})[0] == b'{"a": [1.5]}'
    assert encode_body([datetime(2026, 1, 31, 10)])[0] == b'["2026-01-31T10:00:00"]'


def test_a_wakeup_does_not_wait_for_a_batch_to_be_full() -> None:
    settled, batches = [], []

    def open_source(queue: Any, _stop: Any) -> Any:
        queue.put(Wakeup(SimpleNamespace(settle=lambda: settled.append(True))))  # type: ignore[arg-type]
        queue.close()
        return SimpleNamespace(flush=lambda: None, close=lambda _timeout: None)

    async def handle_async(deliveries: Any) -> None:
        batches.append(deliveries)

    worker: Any = Worker.__new__(Worker)
    worker._spec = WorkerSpec(replace(TRIGGER, batch=Batch(2, 60.0)), Role.WORKER)
    worker._open = open_source
    worker._invoker = SimpleNamespace(handle=None, handle_async=None, flush=lambda: None, drain=lambda _flush: None)
    worker._invoker.handle_batch, worker._invoker.handle_batch_async = batches.append, handle_async
    worker._serve(None)
    asyncio.run(worker._serve_async(None))
    assert (settled, batches) == ([True, True], [])


def test_what_was_told_is_passed_on_while_others_are_waited_for() -> None:
    bench = Bench(send)
    first, second = bench.handle("a", "b")
    passed: list[list[str]] = []
    bench.invoker.flush()
    outboxes = bench.sender.committed
    threading.Timer(0.01, outboxes[0].note_sent).start()

    def pass_on() -> None:
        passed.append([*first.told, *second.told])
        outboxes[1].note_sent()

    bench.invoker.drain(pass_on)
    assert passed == [["done 200"], ["done 200", "done 200"]]
