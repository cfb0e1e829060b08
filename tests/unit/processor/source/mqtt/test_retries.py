"""Messages of a broker elsewhere that failed, over connections that come and go."""

from types import SimpleNamespace
from typing import Any

from stack.contract import ATTEMPTS
from stack.processor.delivery import Failure
from stack.processor.in_flight import InFlight
from stack.processor.response import Response
from stack.processor.source.mqtt import retries as module
from stack.processor.source.mqtt.connection import Publish
from stack.processor.source.mqtt.delivery import MqttDelivery
from stack.processor.source.mqtt.retries import MemoryRetries
from stack.processor.stats import Count

FAILURE, DONE = Failure("ValueError: no", ""), Response(200, "", b"", {})


class World:
    """A source whose connection the test loses; what the broker was told is in `acknowledged`."""

    def __init__(self, most: int = 2) -> None:
        self.counted: list[Count] = []
        self.acknowledged: list[int] = []
        self.retries = MemoryRetries(most, SimpleNamespace(), SimpleNamespace(count=self.counted.append))
        self.in_flight = InFlight()
        self.session = 1

    def note_claim(self) -> None:
        """Do nothing."""

    def is_current(self, session: int) -> bool:
        return session == self.session

    def acknowledge(self, mid: int, _qos: int, _session: int) -> None:
        self.acknowledged.append(mid)

    def deliver(self, *, is_again: bool, payload: bytes = b"1") -> MqttDelivery:
        publish = Publish(b"t", payload, mid=1, qos=1, is_retained=False, is_again=is_again, properties={})
        source: Any = self
        delivery = MqttDelivery(source, publish, self.session)
        assert delivery.claim()
        return delivery


def test_attempts_go_on_over_a_lost_connection() -> None:
    world = World()
    world.deliver(is_again=False).failed(DONE, FAILURE)
    for attempts in (1, 2):
        world.session += 1
        delivery = world.deliver(is_again=True)
        assert (delivery.attempts, delivery.message.headers[ATTEMPTS]) == (attempts, attempts)
        delivery.failed(DONE, FAILURE)
    assert world.counted == [Count.RETRIED, Count.RETRIED, Count.DEAD_LETTERED]
    assert world.acknowledged == [1]
    assert world.deliver(is_again=True).attempts == 0


def test_what_was_handled_counts_no_more() -> None:
    world = World()
    world.deliver(is_again=False).failed(DONE, FAILURE)
    world.deliver(is_again=True).done(DONE)
    assert world.deliver(is_again=True).attempts == 0


def test_a_new_message_has_no_attempts_of_one_that_is_like_it() -> None:
    world = World()
    world.deliver(is_again=False).failed(DONE, FAILURE)
    assert world.deliver(is_again=False).attempts == 0


def test_so_many_are_remembered(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "_MOST_REMEMBERED", 2)
    world = World()
    for payload in (b"1", b"2", b"3"):
        world.deliver(is_again=False, payload=payload).failed(DONE, FAILURE)
    assert [world.deliver(is_again=True, payload=one).attempts for one in (b"1", b"2", b"3")] == [0, 1, 1]
