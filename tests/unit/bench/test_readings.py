"""The rate at which waiting messages are taken."""

import itertools
from types import SimpleNamespace

import pytest
from nuclio_sdk import Event, TriggerInfo

from stack.bench import readings
from stack.bench.readings import KEEP, make_load, measure_rate
from stack.config.data import Data
from stack.errors import StackError
from stack.plan.recorder import write_rules
from stack.processor.recorder.rule import read_rules


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


@pytest.mark.parametrize("number", [0, 7, 612])
def test_store_imports_what_the_recorder_makes_of_the_same_messages(number: int) -> None:
    load, rules = make_load(1000, 50), read_rules(write_rules(Data.model_validate({"keep": KEEP})))
    event = Event(
        body=load.body(number).encode(),
        path=f"amq.topic/{load.key(number)}",
        trigger=TriggerInfo("rabbit-mq", "topics"),
    )
    assert sorted(load.lines(number)) == sorted(rules.write(event, load.begin / 1000 + 1))
