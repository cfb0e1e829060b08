"""Which lines a message makes: values, labels, times, and what is said of one that has none."""

import json
import math
import time
from typing import Any

import pytest
from nuclio_sdk import Event, TriggerInfo

from stack.processor.recorder.message import NoReadingError
from stack.processor.recorder.pattern import compile_filter
from stack.processor.recorder.rule import Rule, RuleSet, read_rules

NOW = 1_800_000_000.0
MS = 1_800_000_000_000


def make_event(body: Any, topic: str = "plant/oven/temperature", **headers: Any) -> Event:
    path = "amq.topic/" + topic.replace("/", ".")
    return Event(body=body, path=path, headers=headers or None, trigger=TriggerInfo("rabbit-mq", "topics"))


def write(body: Any, topic: str = "plant/oven/temperature", retention: float = math.inf, **rule: Any) -> list[str]:
    headers = rule.pop("headers", {})
    given = {"trigger": "topics", "exchange": "amq.topic", "filter": "#", "values": {"t": None}, "labels": {}, **rule}
    return RuleSet([Rule(**given)], retention).write(make_event(body, topic, **headers), NOW)


@pytest.mark.parametrize(
    ("body", "number"),
    [
        (b"21.5", "21.5"),
        (b" 3 \n", "3.0"),
        (b"-1e3", "-1000.0"),
        (7, "7.0"),
        (True, "1"),
        ("8", "8.0"),
    ],
)
def test_number_in_the_body(body: Any, number: str) -> None:
    assert write(body) == [f"t{{}} {number} {MS}\n"]


@pytest.mark.parametrize(
    "body", [b"warm", b"", b"nan", b"inf", b"1e999", b"1_000", "1_000", b"\xff", b"{}", b"[1]", {"t": 1}]
)
def test_what_is_no_number_is_told(body: Any) -> None:
    with pytest.raises(NoReadingError, match="the body is no number"):
        write(body)


@pytest.mark.parametrize(
    ("document", "pointer", "number"),
    [
        ({"t": 1}, "/t", "1.0"),
        ({"a": [{"b": 2.5}]}, "/a/0/b", "2.5"),
        ({"a/b": {"~": "3"}}, "/a~1b/~0", "3.0"),
        ({"on": False}, "/on", "0"),
    ],
)
def test_number_in_json(document: Any, pointer: str, number: str) -> None:
    for body in (json.dumps(document).encode(), document):
        assert write(body, values={"t": pointer}) == [f"t{{}} {number} {MS}\n"]


@pytest.mark.parametrize(
    ("body", "pointer", "reason"),
    [
        (b"{", "/t", "the body is no JSON: {"),
        (b"{}", "/t", "there is no /t in the body: {}"),
        (b'{"t": []}', "/t/0", "there is no /t/0 in the body"),
        (b'{"t": {"x": 1}}', "/t", "/t is no number"),
        (b"5", "/t", "there is no /t in the body: 5"),
        (b"[" * 100_000, "/t", "the body is no JSON"),
    ],
)
def test_what_is_not_in_json_is_told(body: bytes, pointer: str, reason: str) -> None:
    with pytest.raises(NoReadingError) as caught:
        write(body, values={"t": pointer})
    assert str(caught.value).startswith(reason)


def test_several_metrics_of_one_body() -> None:
    lines = write({"t": 1, "h": 2}, values={"temperature": "/t", "humidity": "/h"})
    assert lines == [f"temperature{{}} 1.0 {MS}\n", f"humidity{{}} 2.0 {MS}\n"]


def test_null_is_no_reading() -> None:
    values = {"temperature": "/t", "humidity": "/h"}
    assert write({"t": 1, "h": None}, values=values) == [f"temperature{{}} 1.0 {MS}\n"]
    for body, fields in ({"t": None, "h": None}, values), ({"t": None}, {"temperature": "/t"}), (None, {"t": None}):
        with pytest.raises(NoReadingError, match="there is no number, but null: "):
            write(body, values=fields)


def test_labels() -> None:
    labels = {
        "sensor": {"text": "{2}"},
        "place": {"text": "hall {1}-{9}"},
        "who": {"text": "header.who"},
        "id": {"json": "/id"},
        "number": {"json": "/n"},
        "topic": {"text": "{0}"},
    }
    body = {"t": 1, "id": 'a"b\\c\n', "n": 5}
    (line,) = write(body, values={"t": "/t"}, labels=labels, headers={"who": "me"})
    assert line == (
        't{sensor="oven",place="hall plant-",who="me",id="a\\"b\\\\c\\n",number="5",topic="plant/oven/temperature"}'
        f" 1.0 {MS}\n"
    )


@pytest.mark.parametrize(
    ("document", "moment"),
    [
        ({"ts": NOW - 60}, MS - 60_000),
        ({"timestamp": MS - 5}, MS - 5),
        ({"time": "2027-01-15T07:59:00Z"}, MS - 60_000),
        ({"time": "2027-01-15T08:59:00+01:00"}, MS - 60_000),
        ({"time": "2027-01-15T07:59:00"}, MS - 60_000),
        ({"ts": (MS - 5) * 1000}, MS - 5),
        ({"ts": (MS - 5) * 1_000_000}, MS - 5),
        # Many readings are of one day.
        ({"time": "2027-01-15"}, MS),
        # What counts something else is no time.
        ({"time": 12}, MS),
        ({"time": "noon"}, MS),
        ({"ts": True}, MS),
    ],
)
def test_time_is_the_messages_own(document: dict[str, Any], moment: int) -> None:
    assert write({"t": 1, **document}, values={"t": "/t"}) == [f"t{{}} 1.0 {moment}\n"]


def test_time_of_a_header() -> None:
    assert write(b"1", time="header.at", headers={"at": NOW - 1}) == [f"t{{}} 1.0 {MS - 1000}\n"]
    with pytest.raises(NoReadingError, match=r"header\.at is no time"):
        write(b"1", time="header.at")


def test_time_of_a_message_over_a_bridge_is_when_it_was_taken_first() -> None:
    bridged = {"timestamp_in_ms": MS - 3_600_000, "x-shovelled": [{"shovelled-by": "plant-7"}]}
    assert write(b"21", headers=bridged) == [f"t{{}} 21.0 {MS - 3_600_000}\n"]
    assert write({"t": 1, "time": NOW - 60}, values={"t": "/t"}, headers=bridged) == [f"t{{}} 1.0 {MS - 60_000}\n"]
    # A clock that is wrong there says nothing.
    wrong = {**bridged, "timestamp_in_ms": MS + 8_000_000}
    assert write(b"21", headers=wrong) == [f"t{{}} 21.0 {MS}\n"]
    # No one else says when a message came.
    assert write(b"21", headers={"timestamp_in_ms": MS - 3_600_000}) == [f"t{{}} 21.0 {MS}\n"]


@pytest.mark.parametrize(("seconds", "reason"), [(7200, "in the future"), (-100 * 86400, "longer ago than readings")])
def test_time_that_cannot_be_kept(seconds: float, reason: str) -> None:
    with pytest.raises(NoReadingError, match=reason):
        write({"t": 1, "ts": NOW + seconds}, values={"t": "/t"}, retention=30 * 86400)


def test_a_time_without_a_zone_is_told_of() -> None:
    with pytest.raises(NoReadingError, match=r"in the future: .*; one without a zone is taken as UTC"):
        write({"t": 1, "time": "2027-01-15T17:00:00"}, values={"t": "/t"})


def test_a_label_that_the_store_would_not_take_is_told() -> None:
    with pytest.raises(NoReadingError, match="the label id has more than 4,096 bytes: ééé"):
        write({"t": 1, "id": "é" * 2049}, values={"t": "/t"}, labels={"id": {"json": "/id"}})
    assert write({"t": 1, "id": "é" * 2048}, values={"t": "/t"}, labels={"id": {"json": "/id"}})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[" + b"1," * 1000 + b"1]", "more than 1,000 numbers"),
        (b"[" * 65 + b"1" + b"]" * 65, "nested deeper than 64"),
    ],
)
def test_rule_that_takes_all_has_bounds(body: bytes, reason: str) -> None:
    with pytest.raises(NoReadingError, match=reason):
        write(body, takes_all=True)


def test_rule_that_takes_all_passes_over_the_rest() -> None:
    every: dict[str, Any] = {"values": {"reading": None}, "takes_all": True}
    assert write(b"21", **every) == [f"reading{{}} 21.0 {MS}\n"]
    assert write(b"hello", **every) == write(b"", **every) == write(b'{"s": "5"}', **every) == []
    found = write({"a": 1, "b": {"c": [2, True]}, "s": "7", "n": None, "ts": NOW - 1}, **every)
    moment = MS - 1000
    assert found == [
        f'reading{{field="a"}} 1.0 {moment}\n',
        f'reading{{field="b/c/0"}} 2.0 {moment}\n',
        f'reading{{field="b/c/1"}} 1 {moment}\n',
    ]


@pytest.mark.parametrize(
    ("pattern", "separator", "topic", "is_there"),
    [
        ("plant/+/temperature", "/", "plant/oven/temperature", True),
        ("plant/+/temperature", "/", "plant/a/b/temperature", False),
        ("plant/#", "/", "plant", True),
        ("plant/#", "/", "plants", False),
        ("#", "/", "any/thing", True),
        ("+/+", "/", "/", True),
        ("a.*.c", ".", "a.b.c", True),
        ("#.c", ".", "c", True),
        ("a.#.c", ".", "a.b.b.c", True),
        ("a.#.c", ".", "a.c.d", False),
    ],
)
def test_filter(pattern: str, separator: str, topic: str, is_there: bool) -> None:
    assert bool(compile_filter(pattern, separator).fullmatch(topic + separator)) == is_there


def test_rules_of_an_exchange_with_slashes() -> None:
    rule = {"trigger": "exchange-x", "exchange": "iot/sensors", "filter": "temperature.*", "values": {"t": None}}
    rules = read_rules(json.dumps({"retention": 1e9, "rules": [{**rule, "labels": {"s": {"text": "{2}"}}}]}))
    trigger = TriggerInfo("rabbit-mq", "exchange-x")
    event = Event(body=b"1", path="iot/sensors/temperature.s/9", trigger=trigger)
    assert rules.write(event, NOW) == [f't{{s="s/9"}} 1.0 {MS}\n']
    assert rules.write(Event(body=b"x", path="iot/sensors/other", trigger=trigger), NOW) == []


def test_readings_of_one_series_and_moment_are_apart() -> None:
    given: dict[str, Any] = {"trigger": "topics", "exchange": "amq.topic", "filter": "#", "values": {"t": None}}
    rules = RuleSet([Rule(**given, labels={"topic": {"text": "{0}"}})])
    lines = [rules.write(make_event(b"1", topic), NOW)[0] for topic in ("a", "a", "b", "a")]
    assert [(line[9], int(line.split()[-1]) - MS) for line in lines] == [("a", 0), ("a", 1), ("b", 0), ("a", 2)]
    assert rules.write(make_event(b"1", "a"), NOW + 1)[0].split()[-1] == str(MS + 1000)


def test_readings_follow_a_clock_that_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong clock a year ahead must not leave its times behind; one that is made slower is no other clock."""
    rules = RuleSet([Rule("topics", "amq.topic", "#", {"t": None}, {})])
    year, times = 365 * 86400.0, []
    for ahead, passed in ((year, 0.0), (0.0, 1.0), (-0.1, 1.0), (-0.1, 1.0)):
        monkeypatch.setattr("time.time", lambda now=NOW + ahead + passed: now)
        monkeypatch.setattr("time.monotonic", lambda passed=passed: passed)
        (line,) = rules.write(make_event(b"1"), time.time())
        times.append(int(line.split()[-1]) - MS)
    assert times == [int(year) * 1000, 1000, 1001, 1002]


def test_responses_to_requests_are_no_readings() -> None:
    every: dict[str, Any] = {"values": {"reading": None}, "takes_all": True}
    assert write(b"5", "tidegate/response/f/0123", **every) == []
    assert write(b"5", "tidegate/other", **every) != []
