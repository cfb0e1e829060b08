"""Copies on their way to a broker that refuses, returns, forgets or goes away."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker, StreamLostError

from stack.processor.source.rabbitmq import publisher as module
from stack.processor.source.rabbitmq.field_table import encode_table
from stack.processor.source.rabbitmq.properties import Properties
from stack.processor.source.rabbitmq.publisher import PublishRequest, RetryPublisher
from stack.processor.source.rabbitmq.topology import RetryMessage

DENIED = ChannelClosedByBroker(403, "ACCESS_REFUSED - configure access refused")
REFUSED = ChannelClosedByBroker(406, "PRECONDITION_FAILED - no")


class Channel:
    """What the publisher needs of pika's channel; the test is the broker."""

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.is_open = True
        self.published: list[tuple[str, bytes, Any]] = []
        self.declared: list[tuple[str, Callable[..., None]]] = []
        self.error: Exception | None = None

    def add_on_return_callback(self, callback: Callable[..., None]) -> None:
        self.on_return = callback

    def add_on_close_callback(self, callback: Callable[..., None]) -> None:
        self.on_close = callback

    def confirm_delivery(self, on_confirm: Callable[..., None], callback: Callable[..., None]) -> None:
        self.on_confirm = on_confirm
        callback(None)

    def queue_declare(self, queue: str, durable: bool, arguments: Any, callback: Callable[..., None]) -> None:
        self.declared.append((queue, callback))

    def basic_publish(self, _exchange: str, queue: str, body: bytes, properties: Any, mandatory: bool) -> None:
        error, self.error = self.error, None
        if error:
            raise error
        self.published.append((queue, body, properties))

    def confirm(self, tag: int, *, multiple: bool = False, method: Any = pika.spec.Basic.Ack) -> None:
        self.on_confirm(SimpleNamespace(method=method(delivery_tag=tag, multiple=multiple)))

    def bring_back(self, place: int) -> None:
        queue, body, properties = self.published[place]
        self.on_return(self, SimpleNamespace(routing_key=queue), properties, body)

    def declare_ok(self) -> None:
        self.declared.pop(0)[1](None)

    def refuse(self, error: Exception = REFUSED) -> None:
        self.is_open = False
        self.on_close(self, error)


class Connection:
    made: list["Connection"]

    def __init__(self, _parameters: Any, **callbacks: Any) -> None:
        self.made.append(self)
        self.is_open = True
        self.callbacks = callbacks

    def channel(self, on_open_callback: Callable[..., None]) -> None:
        self.last = Channel(self)
        on_open_callback(self.last)

    def open(self) -> Channel:
        self.callbacks["on_open_callback"](self)
        return self.last

    def close(self) -> None:
        self.lose()

    def lose(self) -> None:
        self.is_open = False
        self.callbacks["on_close_callback"](self, StreamLostError("gone"))


class World:
    """A publisher, and what it asked its loop for."""

    def __init__(self, queue_type: str = "") -> None:
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.kept: list[bytes] = []
        self.wanted = True
        Connection.made = []
        loop = SimpleNamespace(
            call_later=lambda delay, work, *arguments: self.later.append((delay, lambda: work(*arguments)))
        )
        self.told: list[str] = []
        self.publisher = RetryPublisher(None, loop, queue_type, report=self.told.append)

    def publish(self, *bodies: bytes, queue: str = "q.dead") -> None:
        for body in bodies:
            kept = partial(self.kept.append, body)
            self.publisher.publish(PublishRequest(self._make(body, queue), kept, lambda: self.wanted))

    def _make(self, body: bytes, queue: str) -> Callable[[bool], RetryMessage]:
        def make(is_bare: bool) -> RetryMessage:
            return RetryMessage(queue, 0, body, Properties(raw_headers=encode_table([("bare", is_bare)])))

        return make

    def open(self) -> Channel:
        """Connect, and have the queue declared."""
        channel = Connection.made[-1].open()
        if channel.declared:
            channel.declare_ok()
        return channel

    def run_later(self, most: float = 60.0) -> None:
        """Have it do what is to be done in so many seconds."""
        due, self.later = [one for one in self.later if one[0] <= most], [one for one in self.later if one[0] > most]
        for _, work in due:
            work()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(module, "Connection", Connection)
    return World()


def bodies(channel: Channel) -> list[bytes]:
    return [body for _, body, _ in channel.published]


def test_nothing_is_connected_before_the_first_copy(world: World) -> None:
    assert not Connection.made and world.publisher.is_settled
    world.publish(b"one", b"two")
    channel = world.open()
    assert len(Connection.made) == 1 and bodies(channel) == [b"one", b"two"]
    assert not world.publisher.is_settled
    channel.confirm(2, multiple=True)
    assert world.kept == [b"one", b"two"] and world.publisher.is_settled


def test_copy_that_cannot_be_sent_takes_no_other_ones_confirm(world: World) -> None:
    world.publish(b"one")
    channel = world.open()
    channel.error = UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no")
    world.publish(b"odd")
    world.publish(b"two")
    channel.confirm(2)
    assert world.kept == [b"two"]
    channel.confirm(1)
    world.run_later()
    assert [properties.raw_headers[-1] for _, _, properties in channel.published] == [0, 0, 1]
    channel.confirm(3)
    assert world.kept == [b"two", b"one", b"odd"]


@pytest.mark.parametrize("is_multiple", [True, False])
def test_copies_that_come_back_are_published_again(world: World, is_multiple: bool) -> None:
    world.publish(b"kept", b"back", b"back too")
    channel = world.open()
    channel.bring_back(1)
    channel.bring_back(2)
    for tag in [3] if is_multiple else [2, 3, 1]:
        channel.confirm(tag, multiple=is_multiple)
    assert world.kept == [b"kept"]
    world.run_later()
    channel.declare_ok()
    assert bodies(channel)[3:] == [b"back", b"back too"]


def test_refused_copies_are_published_again(world: World) -> None:
    world.publish(b"one")
    channel = world.open()
    channel.confirm(1, method=pika.spec.Basic.Nack)
    assert not world.kept
    world.run_later()
    channel.confirm(2)
    assert world.kept == [b"one"]


def test_copy_that_ends_the_channel_is_found_and_goes_bare(world: World) -> None:
    world.publish(b"one", b"odd", b"two")
    world.open().refuse()
    for _ in range(5):
        world.run_later()
        channel = world.open()
        # Each goes alone.
        (sent,) = channel.published[-1:]
        if sent[1] == b"odd" and not sent[2].raw_headers[-1]:
            channel.refuse()
            continue
        for tag in range(1, 4):
            _, body, properties = channel.published[tag - 1]
            if body == b"odd" and not properties.raw_headers[-1]:
                channel.refuse()
                break
            channel.confirm(tag)
            if len(world.kept) == 3:
                assert world.publisher.is_settled
                return
    raise AssertionError(world.kept)


def test_lost_connection_loses_no_copy(world: World) -> None:
    world.publish(b"one", b"two")
    world.open()
    Connection.made[-1].lose()
    world.run_later()
    channel = world.open()
    assert len(Connection.made) == 2 and bodies(channel) == [b"one", b"two"]


def test_what_no_one_wants_any_more_is_dropped(world: World) -> None:
    world.publish(b"one")
    world.open()
    world.wanted = False
    Connection.made[-1].lose()
    assert world.publisher.is_settled and not world.later


def test_queue_that_is_there_and_another_is_taken_as_it_is(world: World) -> None:
    world.publish(b"one")
    Connection.made[-1].open().refuse()
    world.run_later()
    channel = Connection.made[-1].open()
    assert not channel.declared and bodies(channel) == [b"one"]


def test_copies_for_a_queue_that_is_refused_wait_and_hold_up_no_others(world: World) -> None:
    world.publish(b"one", b"two")
    Connection.made[-1].open().refuse(DENIED)
    assert world.told == ["the broker refuses the queue q.dead: ACCESS_REFUSED - configure access refused"]
    world.publish(b"other", queue="q.retry.1000ms")
    world.run_later(1)
    channel = world.open()
    assert bodies(channel) == [b"other"]
    channel.confirm(1)
    assert world.kept == [b"other"]
    # Nothing that the broker would take is left, so that a stop waits for nothing.
    assert world.publisher.is_settled
    world.run_later()
    channel.declare_ok()
    channel.confirm(2)
    channel.confirm(3)
    assert world.kept == [b"other", b"one", b"two"]
    assert len(world.told) == 2 and world.told[-1] == ""


def test_refusal_is_told_once_and_no_more_once_no_one_wants_the_copy(world: World) -> None:
    world.publish(b"one")
    Connection.made[-1].open().refuse(DENIED)
    for _ in range(3):
        world.run_later()
        Connection.made[-1].open().refuse(DENIED)
    assert len(world.told) == 1
    world.wanted = False
    world.run_later()
    assert world.told[1:] == [""]


def test_copy_that_may_not_be_published_waits_as_it_is(world: World) -> None:
    """Where the account may declare the queue and not write to it."""
    world.publish(b"one")
    world.open().refuse(DENIED)
    world.run_later(1)
    channel = world.open()
    assert len(world.told) == 1 and not channel.published
    world.run_later()
    channel.declare_ok()
    ((_, body, properties),) = channel.published
    assert (body, properties.raw_headers[-1]) == (b"one", 0)


def test_original_stays_until_a_new_quorum_queue_is_sure_to_last(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module, "Connection", Connection)
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    world = World("quorum")
    world.publish(b"early", b"late")
    channel = world.open()
    channel.confirm(1)
    assert not world.kept and not world.publisher.is_settled
    now[0] += 2.5
    channel.confirm(2)
    assert world.kept == [b"late"]
    world.run_later()
    assert world.kept == [b"late", b"early"] and world.publisher.is_settled


def test_original_that_the_broker_took_back_is_not_acknowledged_for_a_new_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "Connection", Connection)
    world = World("quorum")
    world.publish(b"one")
    world.open().confirm(1)
    world.wanted = False
    world.run_later()
    assert not world.kept and world.publisher.is_settled
