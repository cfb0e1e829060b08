"""Frozen classes of stack.record are as those of dataclasses."""

import pickle
from collections.abc import Callable
from copy import deepcopy
from dataclasses import FrozenInstanceError, asdict, astuple, field, fields, replace
from dataclasses import dataclass as compiled
from functools import cached_property
from typing import Any, ClassVar

import pytest

from stack.record import dataclass


@dataclass(frozen=True)
class Reading:
    """What is tried."""

    place: str
    value: float = 0.5
    labels: dict[str, str] = field(default_factory=dict)
    secret: str = field(default="", repr=False)
    unit: ClassVar[str] = "°C"

    @cached_property
    def shown(self) -> str:
        """Return a text, which is no field."""
        return f"{self.value} {self.unit}"


@dataclass(frozen=True)
class Alarm(Reading):
    """One with a base."""

    limit: float = 1.0


@compiled(frozen=True)
class Twin:
    """The same from the standard library."""

    place: str
    value: float = 0.5


@dataclass(frozen=True)
class Place:
    """The same from here."""

    place: str
    value: float = 0.5


def test_fields_are_filled_by_place_by_name_and_by_default() -> None:
    reading = Reading("roof", labels={"a": "b"})
    assert (reading.place, reading.value, reading.labels, reading.secret) == ("roof", 0.5, {"a": "b"}, "")
    assert Reading("roof").labels is not Reading("roof").labels
    alarm = Alarm("roof", 2.0, limit=3.0)
    assert (alarm.place, alarm.value, alarm.limit) == ("roof", 2.0, 3.0)
    assert [one.name for one in fields(alarm)] == ["place", "value", "labels", "secret", "limit"]


@pytest.mark.parametrize(
    "make",
    [lambda made: made(), lambda made: made("a", 1.0, 2.0), lambda made: made("a", colour="red")],
    ids=["too-few", "too-many", "unknown"],
)
def test_wrong_arguments_are_refused_as_they_are_by_dataclasses(make: Callable[[Any], Any]) -> None:
    for made in (Twin, Place):
        with pytest.raises(TypeError):
            make(made)


def test_nothing_can_be_changed() -> None:
    reading: Any = Reading("roof")
    with pytest.raises(FrozenInstanceError, match=r"Reading\.place"):
        reading.place = "cellar"
    with pytest.raises(FrozenInstanceError, match=r"Reading\.other"):
        reading.other = 1
    with pytest.raises(FrozenInstanceError, match=r"Reading\.place"):
        del reading.place
    assert reading.place == "roof"


def test_equal_is_what_has_the_same_class_and_fields() -> None:
    assert Place("a") == Place("a") != Place("b")
    twin: object = Twin("a")
    assert Place("a") != twin
    assert Alarm("a") != Reading("a") != Alarm("a")
    assert len({Place("a"), Place("a"), Place("b")}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(Reading("a"))
    first, second = Reading("a"), Reading("a")
    assert first.shown == "0.5 °C"
    assert first == second


def test_it_is_written_without_what_is_hidden() -> None:
    assert repr(Reading("roof", secret="x")) == "Reading(place='roof', value=0.5, labels={})"


def test_the_functions_of_dataclasses_work_with_it() -> None:
    reading = Reading("roof", 1.0, {"a": "b"}, "x")
    assert replace(reading, place="cellar") == Reading("cellar", 1.0, {"a": "b"}, "x")
    assert asdict(reading) == {"place": "roof", "value": 1.0, "labels": {"a": "b"}, "secret": "x"}
    assert astuple(reading) == ("roof", 1.0, {"a": "b"}, "x")
    assert deepcopy(reading) == reading == pickle.loads(pickle.dumps(reading))
    match reading:
        case Reading(place, value):
            assert (place, value) == ("roof", 1.0)


def test_what_is_not_frozen_is_left_to_dataclasses() -> None:
    @dataclass
    class Count:
        number: int = 0

    @dataclass(frozen=True, order=True)
    class Step:
        number: int

    count = Count()
    count.number += 1
    assert count == Count(1)
    assert Step(1) < Step(2)
