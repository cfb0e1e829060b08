"""What a consumer's channel does with large messages, and with those that come again and again."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pika
import pytest

from stack.processor.delivery import Failure
from stack.processor.in_flight import InFlight
from stack.processor.response import Response
from stack.processor.source.rabbitmq.delivery import AmqpDelivery
from stack.processor.source.rabbitmq.flow import Prefetch
from stack.processor.source.rabbitmq.properties import Properties
from stack.processor.source.rabbitmq.publisher import PublishRequest
from stack.processor.source.rabbitmq.session import Session
from stack.processor.source.rabbitmq.topology import Policy, RetryPlan, Topology

LARGE = b"x" * (16 * 1024 * 1024)
DONE = Response(200, "", b"", {})


class Channel:
    """What a session needs of pika's channel; it does at once what it is asked for."""

    def __init__(self) -> None:
        self.is_open = True
        self.later: list[Callable[[], None]] = []
        ioloop = SimpleNamespace(call_later=lambda _delay, work: self.later.append(work))
        self.connection = SimpleNamespace(ioloop=ioloop)
        self.limit = 0
        self.consumers: list[str] = []
        self.cancelled: list[str] = []
        self.acknowledged: list[int] = []
        self.frames: list[tuple[int, bool]] = []

    def queue_declare(self, _queue: str, callback: Callable[..., None], **_options: Any) -> None:
        callback(None)

    def basic_qos(self, prefetch_count: int, callback: Callable[..., None]) -> None:
        self.limit = prefetch_count
        callback(None)

    def basic_consume(self, _queue: str, on_message: Any, arguments: Any, callback: Callable[..., None]) -> str:
        self.on_message = on_message
        self.consumers.append(f"consumer {len(self.consumers)}")
        return self.consumers[-1]

    def basic_cancel(self, tag: str, callback: Callable[..., None]) -> None:
        self.cancelled.append(tag)
        callback(None)

    def basic_ack(self, tag: int, multiple: bool = False) -> None:
        self.acknowledged.append(tag)
        self.frames.append((tag, multiple))


class StartingChannel(Channel):
    """A channel to a queue that still counts the consumers of lost connections."""

    def __init__(self, *counts: int) -> None:
        super().__init__()
        self._counts = counts
        self.looks = 0

    def queue_declare(self, _queue: str, callback: Callable[..., None], passive: bool = False, **_options: Any) -> None:
        count = self._counts[min(self.looks, len(self._counts) - 1)]
        # Without keys the queue is declared passively too, before the first look.
        self.looks += passive
        callback(SimpleNamespace(method=SimpleNamespace(consumer_count=count)))

    def wait(self) -> int:
        """Let the time pass in which the session looks at the queue; return how often it has looked."""
        while self.later and not self.consumers:
            self.later.pop(0)()
        return self.looks - 1


class World:
    """A session whose outcomes are told by the test."""

    def __init__(
        self,
        prefetch: int = 500,
        *,
        channel: Channel | None = None,
        is_patient: bool = False,
        is_ordered: bool = True,
    ) -> None:
        self.channel = channel or Channel()
        self.deliveries: list[AmqpDelivery] = []
        self.orders: list[PublishRequest] = []
        self.tag = 0
        self.waits: list[float] = []
        plan: Any = SimpleNamespace(
            topology=Topology("q", True, "", False, False, ()), policy=Policy("retry", False, 0),
            retry_plan=RetryPlan("q", 0, "f", b"key"), publisher=SimpleNamespace(publish=self.orders.append),
            prefetch=Prefetch(prefetch), in_flight=InFlight(), heartbeat=30.0, overdue={}, count=lambda _what: None,
            settle_copies=self.waits.append, is_ordered=is_ordered,
        )  # fmt: skip
        self.session = Session(self.channel, plan, SimpleNamespace(put=self.deliveries.append))
        self.session.open(is_missing=False, is_patient=is_patient, done=lambda: None)

    def deliver(self, body: bytes, *, is_again: Any = False, **headers: Any) -> AmqpDelivery:
        self.tag += 1
        method = pika.spec.Basic.Deliver("c", self.tag, is_again, "e", "k")
        self.channel.on_message(self.channel, method, Properties(headers=headers or None), body)
        return self.deliveries[-1]


def test_large_messages_stop_the_consumer_until_there_is_room() -> None:
    world = World()
    for _ in range(5):
        world.deliver(LARGE)
    assert world.channel.cancelled == ["consumer 0"]
    for delivery in world.deliveries[:2]:
        assert delivery.claim()
        delivery.done(DONE)
    world.session.flush()
    assert world.channel.consumers == ["consumer 0"]
    for delivery in world.deliveries[2:]:
        delivery.done(DONE)
    world.session.flush()
    assert (world.channel.consumers, world.channel.limit) == (["consumer 0", "consumer 1"], 4)


def test_consumer_that_stopped_goes_on_when_the_copies_of_large_messages_are_safe() -> None:
    world = World()
    for _ in range(5):
        world.deliver(LARGE)
    for delivery in world.deliveries:
        assert delivery.claim()
        delivery.failed(DONE, Failure("no", ""))
    world.session.flush()
    assert world.channel.consumers == ["consumer 0"]
    for request in world.orders:
        request.confirmed()
    assert world.channel.consumers == ["consumer 0", "consumer 1"]


def test_small_messages_stop_nothing() -> None:
    world = World()
    for _ in range(500):
        world.deliver(b"x" * 1000)
    assert not world.channel.cancelled


def test_workers_that_share_what_is_delivered_acknowledge_each_message_alone() -> None:
    """Those before it may be in progress still; what is behind it would be acknowledged by no one."""
    world = World(is_ordered=False)
    _, second, third = (world.deliver(b"x") for _ in range(3))
    for delivery in (third, second):
        assert delivery.claim()
        delivery.done(DONE)
    world.session.flush()
    assert world.channel.frames == [(3, False), (2, False)]


@pytest.mark.parametrize(("count", "is_handled"), [(4, True), (5, False), (10**30, False), ("many", True), (b"", True)])
def test_message_that_is_delivered_too_often_has_failed(count: Any, is_handled: bool) -> None:
    world = World()
    delivery = world.deliver(b"b", is_again=True, **{"x-delivery-count": count})
    assert delivery.claim() is is_handled
    world.session.flush()
    assert bool(world.orders) is not is_handled


def test_count_of_a_first_delivery_is_the_publishers_own() -> None:
    assert World().deliver(b"b", is_again=False, **{"x-delivery-count": 1000}).claim()


def test_message_that_outlasted_the_heartbeat_fails_when_it_comes_again() -> None:
    world = World()
    delivery = world.deliver(b"long")
    assert delivery.claim()
    delivery.hold()
    delivery._began -= 100
    delivery.done(DONE)
    again = world.deliver(b"long", is_again=True)
    assert not again.claim()
    assert world.session.outcomes[-1][1] == Failure(
        "the connection to the broker was lost while the handler ran, for 100 s", ""
    )
    assert world.deliver(b"long", is_again=True).claim()


def test_others_are_handled_while_the_broker_takes_no_copies() -> None:
    world = World(prefetch=1)
    delivery = world.deliver(b"fails")
    assert delivery.claim()
    delivery.failed(DONE, Failure("no", ""))
    world.session.flush()
    (request,) = world.orders
    world.channel.later.pop()()
    assert (world.channel.cancelled, world.channel.consumers[1:]) == (["consumer 0"], ["consumer 1"])
    request.confirmed()
    assert world.channel.acknowledged == [1] and world.session.is_settled


@pytest.mark.parametrize(("counts", "looks"), [((0,), 3), ((0, 0, 1, 1, 1, 0), 5), ((1,), 9)])
def test_queue_takes_back_what_lost_connections_had_before_it_is_consumed(counts: tuple[int, ...], looks: int) -> None:
    channel = StartingChannel(*counts)
    World(channel=channel, is_patient=True)
    assert not channel.consumers
    assert channel.wait() == looks
    assert channel.consumers == ["consumer 0"]


def test_channel_that_closes_while_the_queue_starts_consumes_nothing() -> None:
    channel = StartingChannel(1)
    World(channel=channel, is_patient=True)
    channel.is_open = False
    channel.wait()
    assert not channel.consumers


def test_message_waits_for_the_copies_of_those_that_failed_before_it() -> None:
    world = World()
    first, second, again, third = (world.deliver(body, is_again=body == b"c") for body in (b"a", b"b", b"c", b"d"))
    assert first.claim() and not world.waits
    first.hold()
    first.failed(DONE, Failure("no", ""))
    assert second.claim() and again.claim()
    assert world.waits == [0.1, 2.0], "one that comes again may be what ended a worker"
    world.session.flush()
    assert third.claim() and world.waits[2:] == [0.1], "the copy is on its way"
    world.orders[0].confirmed()
    assert world.deliver(b"e").claim() and len(world.waits) == 3
