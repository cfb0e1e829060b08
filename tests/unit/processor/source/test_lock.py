"""The token by which replicas know which of them is active, without a broker."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from stack.processor.source.lock import Token, TokenLock

URL = "amqp://function-tick:word@rabbitmq:5672/"


class Channel:
    """Notes what is acknowledged and published."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.published: list[bytes] = []

    def basic_ack(self, tag: int) -> None:
        self.acknowledged.append(tag)

    def basic_publish(self, _exchange: str, _queue: str, body: bytes) -> None:
        self.published.append(body)


class Replica(TokenLock):
    """A replica whose connection is a list."""

    def __init__(self, url: str = URL) -> None:
        super().__init__(url, "nuclio-nuclio-tick-clock.lock")
        self._channel: Any = Channel()
        self._connection = SimpleNamespace(add_callback_threadsafe=lambda call: call())

    @property
    def wire(self) -> Channel:
        channel: Channel = self._channel
        return channel

    def write(self, token: Token) -> bytes:
        self._publish(token)
        return self.wire.published.pop()

    def get(self, tag: int, body: bytes) -> None:
        self._on_token(self._channel, SimpleNamespace(delivery_tag=tag), None, body)


def test_of_several_tokens_that_of_the_latest_moment_stays() -> None:
    replica = Replica()
    for tag, due in enumerate((5.0, 3.0, 9.0, 9.0), start=1):
        replica.get(tag, replica.write(Token(due, str(tag))))
    assert replica.wire.acknowledged == [2, 1, 4]
    assert replica.is_held


@pytest.mark.parametrize("body", [b"", b"inf x", b"99999999999.0 x 00", b"\xff\xfe \xff"])
def test_what_somebody_else_sends_says_nothing(body: bytes) -> None:
    replica = Replica()
    replica.get(1, replica.write(Token(5.0, "a")))
    replica.get(2, body)
    replica.get(3, Replica(URL.replace("word", "other")).write(Token(99.0, "b")))
    assert replica.wire.acknowledged == [2, 3]


def test_a_moment_is_run_once_it_is_noted() -> None:
    replica = Replica()
    replica.get(1, replica.write(Token()))
    connect(replica)
    assert replica.claim(60.0)
    assert not replica.claim(60.0)
    assert replica.claim(120.0)


def connect(replica: Replica) -> None:
    """Have the broker deliver at once what is published."""

    def call(publish: Callable[[], None]) -> None:
        publish()
        replica.get(10 + len(replica.wire.acknowledged), replica.wire.published.pop())

    replica._connection = SimpleNamespace(add_callback_threadsafe=call)


def test_the_next_active_runs_what_was_not_noted_and_nothing_else() -> None:
    before, after = Replica(), Replica()
    after.get(1, before.write(Token(60.0, "before")))
    connect(after)
    assert not after.claim(60.0)
    assert after.claim(120.0)


def test_a_moment_at_which_another_notes_it_is_not_run() -> None:
    replica, other = Replica(), Replica()
    replica.get(1, replica.write(Token()))
    theirs = other.write(Token(60.0, "other"))
    replica._connection = SimpleNamespace(add_callback_threadsafe=lambda _call: replica.get(2, theirs))
    assert not replica.claim(60.0)


def test_without_a_clock_that_all_have_the_active_one_runs() -> None:
    replica = Replica()
    assert not replica.claim(None)
    replica.get(1, replica.write(Token()))
    assert replica.claim(None)


def test_a_moment_of_a_clock_that_was_wrong_keeps_nothing_from_running(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr("stack.processor.source.lock.time", lambda: now)
    replica, another = Replica(), Replica()
    theirs = another.write(Token(now + 1800.0, "a clock half an hour ahead"))
    replica.get(1, another.write(Token(now + 1e8, "a clock of years ahead")))
    connect(replica)
    assert replica.claim(now)
    replica.get(20, theirs)
    assert not replica.claim(now + 60.0)
    # What it has noted itself is as wrong as soon as its clock is set back.
    now -= 1e8
    assert replica.claim(now)
