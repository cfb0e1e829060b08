"""Which replica is active on a broker of several nodes: here of one, whose queues work alike."""

import time
from collections.abc import Iterator

import pytest

from stack.contract import name_lock
from stack.processor.source.lock import TokenLock
from tests.docker.workspace import Broker, Workspace, wait_until

QUEUE = name_lock("nuclio", "tick", trigger="clock")


@pytest.fixture
def locks(workspace: Workspace, broker: Broker) -> Iterator[tuple[TokenLock, TokenLock]]:
    first, second = TokenLock(workspace.amqp_url, QUEUE), TokenLock(workspace.amqp_url, QUEUE)
    yield first, second
    for one in (first, second):
        one.close(10)


def test_the_next_is_active_when_the_first_has_gone(locks: tuple[TokenLock, TokenLock]) -> None:
    first, second = locks
    first.start()
    wait_until(lambda: first.is_held, what="the first active")
    second.start()
    second.settle()
    # Longer than the token is good for, so that the first has got it again meanwhile, and the second never. A broker
    # that writes slowly may give it back a little late; without it, the first would try again after fifteen seconds.
    until = time.monotonic() + 7
    while time.monotonic() < until:
        assert not second.is_held
        time.sleep(0.05)
    wait_until(lambda: first.is_held, seconds=6, what="the first still active")
    due = time.time()
    assert first.claim(due)
    assert not first.claim(due)
    first.close(10)
    assert not first.is_held
    wait_until(lambda: second.is_held, what="the second active")
    # The token says what the first has run.
    assert not second.claim(due)
    assert second.claim(due + 1)
