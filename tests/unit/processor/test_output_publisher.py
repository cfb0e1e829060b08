"""Messages of outputs on their way to the broker: confirmed, refused, returned, and sent again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from pika.exceptions import ChannelClosedByBroker

from stack.contract import ALERTER, ALERTS
from stack.processor.attributes import Attributes
from stack.processor.configuration import Output
from stack.processor.output.message import OutputMessage
from stack.processor.output.publisher import OutputPublisher, _describe
from stack.processor.output.rabbitmq import open_target
from stack.processor.output.target import Address, Route, Target
from stack.processor.source.rabbitmq.field_table import decode_table
from stack.processor.source.rabbitmq.properties import Properties

TARGETS = {"logs": Target("logs", Address("iot/logs"), Route(queue="iot/logs"))}


class Channel:
    """One channel of the broker, which the test answers for."""

    def __init__(self) -> None:
        self.is_open = True
        self.published: list[tuple[str, bytes, Properties]] = []

    def basic_publish(self, _exchange: str, key: str, body: bytes, properties: Properties, **_: Any) -> None:
        if body == b"odd":
            raise ValueError("as asked")
        self.published.append((key, body, properties))


class Outbox:
    """The messages of one event, and what became of them."""

    def __init__(self, *bodies: str) -> None:
        self.messages = [
            OutputMessage("logs", body.encode(), "text/plain", "iot/logs", {}, f"id-{body}", "c") for body in bodies
        ]
        self.sent, self.error = 0, ""

    @property
    def is_settled(self) -> bool:
        return bool(self.error) or self.sent == len(self.messages)

    def note_sent(self) -> None:
        self.sent += 1

    def note_failure(self, error: str) -> None:
        self.error = self.error or error


class _Publisher(OutputPublisher):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.declared: list[Callable[[], None] | None] = []

    def _declare(self, routes: object, done: Callable[[], None] | None = None) -> None:
        self.declared.append(done)


class Bench:
    """A publisher that is connected."""

    def __init__(self) -> None:
        self.later: list[Callable[[], None]] = []
        loop = SimpleNamespace(call_later=lambda _seconds, call: self.later.append(call))
        self.publisher: Any = _Publisher(SimpleNamespace(host="broker", port=5672), loop, TARGETS)
        self.declared = self.publisher.declared
        self.connect()

    def connect(self) -> None:
        self.channel = Channel()
        self.publisher._connection = SimpleNamespace(is_open=True, collected=self._collected, abort=self.abort)
        self.publisher._on_open(self.channel)

    def abort(self) -> None:
        self.publisher._connection.is_open = False
        self.publisher._on_lost(None, ConnectionError("aborted"))

    def publish(self, *outboxes: Outbox) -> None:
        self.publisher.publish(outboxes)

    def confirm(self, tag: int, *, multiple: bool = False, name: str = "Basic.Ack") -> None:
        method = SimpleNamespace(delivery_tag=tag, multiple=multiple, NAME=name)
        self.publisher._on_confirm(SimpleNamespace(method=method))

    def give_back(self, body: str) -> None:
        self.publisher._on_return(None, None, Properties(message_id=f"id-{body}"), b"")

    def close_channel(self, text: str) -> None:
        self.channel.is_open = False
        self.publisher._on_channel_lost(None, ChannelClosedByBroker(404, text))
        self.connect()

    @contextmanager
    def _collected(self) -> Iterator[None]:
        yield

    @property
    def bodies(self) -> list[bytes]:
        return [body for _, body, _ in self.channel.published]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_events_are_told_when_all_of_theirs_is_confirmed(bench: Bench) -> None:
    one, two = Outbox("a", "b"), Outbox("c")
    bench.publish(one, two)
    bench.confirm(1)
    assert not one.is_settled
    bench.confirm(3, multiple=True)
    assert (one.sent, two.sent, one.error, two.error) == (2, 1, "", "")


def test_one_that_is_refused_fails_its_event_alone(bench: Bench) -> None:
    one, two = Outbox("a"), Outbox("b")
    bench.publish(one, two)
    bench.confirm(1, name="Basic.Nack")
    bench.confirm(2)
    assert "a queue that it goes to is full" in one.error and two.sent == 1


def test_a_queue_that_is_gone_is_declared_once_more(bench: Bench) -> None:
    outbox = Outbox("a")
    bench.publish(outbox)
    for _ in range(2):
        bench.give_back("a")
        bench.confirm(len(bench.channel.published))
        if bench.declared:
            again = bench.declared.pop()
            assert again and not outbox.is_settled
            again()
    assert bench.bodies == [b"a", b"a"]
    assert "there is no queue 'iot/logs', and it cannot be declared" in outbox.error


def test_one_over_which_the_broker_closes_the_channel_fails_alone(bench: Bench) -> None:
    outboxes = [Outbox("bad"), Outbox("good")]
    bench.publish(*outboxes)
    for _ in range(3):
        bench.close_channel("NOT_FOUND - no exchange")
    assert outboxes[0].error == "the output logs: NOT_FOUND - no exchange"
    assert bench.bodies == [b"good"]
    bench.confirm(1)
    assert outboxes[1].sent == 1


def test_what_was_not_confirmed_is_sent_again_on_the_next_connection_and_no_event_waits_for_ever(bench: Bench) -> None:
    outbox = Outbox("a")
    bench.publish(outbox)
    bench.publisher._on_lost(None, ConnectionError("gone"))
    late = Outbox("b")
    bench.publish(late)
    bench.connect()
    assert bench.bodies == [b"a", b"b"]
    for send in bench.publisher._unconfirmed.values():
        send.deadline = 0.0
    bench.publisher._watch()
    assert "the broker has not taken it within 30 s" in outbox.error and outbox.error == late.error


def test_one_that_amqp_cannot_say_fails_its_event(bench: Bench) -> None:
    odd, plain = Outbox("odd"), Outbox("plain")
    bench.publish(odd, plain)
    assert "it cannot be sent as it is" in odd.error
    assert bench.bodies == [b"plain"]


def test_one_whose_queue_is_being_declared_again_is_not_lost_with_the_connection(bench: Bench) -> None:
    outbox = Outbox("a")
    bench.publish(outbox)
    bench.give_back("a")
    bench.confirm(1)
    bench.publisher._on_lost(None, ConnectionError("gone"))
    bench.connect()
    assert bench.bodies == [b"a"]
    declared = bench.declared[0]
    assert declared
    declared()
    assert bench.bodies == [b"a"], "what was restored is not published twice"
    bench.confirm(1)
    assert outbox.sent == 1


def test_one_whose_queue_is_not_declared_in_time_fails_its_event(bench: Bench) -> None:
    outbox = Outbox("a")
    bench.publish(outbox)
    bench.give_back("a")
    bench.confirm(1)
    bench.later.pop()()
    assert bench.later and not outbox.error, "it is still looked at"
    bench.publisher._declaring[0].deadline = 0.0
    bench.later.pop()()
    assert "the broker has not taken it within 30 s" in outbox.error
    assert not bench.later and not bench.publisher._declaring
    bench.publish(late := Outbox("b"))
    assert bench.later and not late.error


def test_what_is_overdue_does_not_leave_later(bench: Bench) -> None:
    overdue, other = Outbox("a"), Outbox("b")
    bench.publish(overdue, other)
    bench.publisher._unconfirmed[1].deadline = 0.0
    bench.publisher._watch()
    assert overdue.error and not other.error and not bench.publisher._unconfirmed
    bench.connect()
    assert bench.bodies == [b"b"]


def test_two_of_one_id_are_both_given_back(bench: Bench) -> None:
    bench.publish(Outbox("a"), Outbox("a"))
    for _ in range(2):
        bench.give_back("a")
    assert [send.is_returned for send in bench.publisher._unconfirmed.values()] == [True, True]


def test_one_whose_headers_no_frame_holds_fails_its_event(bench: Bench) -> None:
    long, plain = Outbox("long"), Outbox("plain")
    long.messages = [long.messages[0]._replace(headers={"x": "y" * 131_072})]
    bench.publish(long, plain)
    assert long.error == "the output logs: its headers are too long"
    assert bench.bodies == [b"plain"]


def test_alerts_are_copied_for_people_to_be_told() -> None:
    output = Output("alerts", "rabbit-mq", Attributes("spec.outputs.alerts", {"queue": ALERTS}))
    route = open_target(output, SimpleNamespace()).route  # type: ignore[arg-type]
    assert route and route.copies == (ALERTER,)
    message = OutputMessage("alerts", b"{}", "application/json", ALERTS, {"a": "b"}, "id", "c")
    headers = decode_table(_describe(message, route).raw_headers or b"")
    assert headers == {"a": "b", "BCC": [ALERTER]}
    assert decode_table(_describe(message, Route(queue="iot/logs")).raw_headers or b"") == {"a": "b"}
