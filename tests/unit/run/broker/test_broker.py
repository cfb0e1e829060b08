"""Which queues go with a function."""

import pytest

from stack.run.broker.broker import _belongs


@pytest.mark.parametrize(
    ("queue", "messages", "belongs"),
    [
        ("q", 5, True),
        ("q.retry.1000ms", 1, True),
        ("q.dead", 0, True),
        ("q.dead", 1, False),
        ("q2", 0, False),
        ("q2.retry.1000ms", 0, False),
        ("x.q", 0, False),
    ],
)
def test_queues_of_retries_go_and_dead_letters_stay(queue: str, messages: int, belongs: bool) -> None:
    assert _belongs(queue, messages, ["q"]) is belongs
