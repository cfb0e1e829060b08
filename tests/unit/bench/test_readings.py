"""The rate at which waiting messages are taken."""

import itertools
from types import SimpleNamespace

import pytest

from stack.bench import readings
from stack.bench.readings import measure_rate
from stack.errors import StackError


def test_rate_counts_from_the_first_message_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    own = SimpleNamespace(sleep=lambda _seconds: None, monotonic=lambda: float(next(clock)))
    monkeypatch.setattr(readings, "time", own)
    waiting = iter([100, 100, 80, 40, 0])
    assert measure_rate(lambda: next(waiting), 100) == 80 / 4


def test_messages_that_no_one_takes_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "_SECONDS", 0.0)
    with pytest.raises(StackError, match="has not taken 100 messages"):
        measure_rate(lambda: 100, 100)
