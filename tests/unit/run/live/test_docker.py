"""What Docker's answers become."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from stack.config.trigger.registry import Trigger
from stack.docker.container import Container, read_container
from stack.live.docker import Event, Instance, Usage, read_event
from stack.live.functions import FunctionStats, describe_function, measure
from stack.live.history import describe_attempt, describe_events
from stack.live.log import RecordReader, read_level, read_line
from stack.live.metrics import CounterHistory, Look
from stack.live.services import describe_services, find_missing
from stack.plan.metrics import Condition, Counters
from stack.state.deploy_log import Attempt, Entry

_LISTED: dict[str, Any] = {
    "Id": "abc", "Names": ["/p-function-f-1"], "Image": "i", "State": "running", "Status": "Up 3 minutes (healthy)",
    "Ports": [{"IP": "127.0.0.1", "PrivatePort": 8080, "PublicPort": 80, "Type": "tcp"}, {"PrivatePort": 1}],
    "Labels": {"com.docker.compose.service": "function-f", "nuclio.io/function-name": "f"},
    "NetworkSettings": {"Networks": {"none": {"IPAddress": ""}, "p_default": {"IPAddress": "10.0.0.3"}}},
}  # fmt: skip


def make_instance(name: str, status: str = "Up (healthy)", state: str = "running", service: str = "s") -> Instance:
    container = read_container({**_LISTED, "Id": name, "Status": status, "State": state, "Labels": {}})
    return Instance(Container(**{**vars(container), "service": service}), 5.0)


def make_event(action: str, **attributes: str) -> Event:
    document = {"Action": action, "timeNano": 1_500_000_000, "Actor": {"ID": "abc", "Attributes": attributes}}
    return read_event(document)


def test_an_event_has_its_detail() -> None:
    event = make_event("health_status: unhealthy", **{"com.docker.compose.service": "gateway"})
    assert event == Event(1.5, "abc", "gateway", "", "health_status", "unhealthy")
    assert make_event("die", exitCode="3").detail == "3"


@pytest.mark.parametrize(
    ("action", "attributes", "told"),
    [
        ("start", {}, [("started", "info")]),
        ("die", {"exitCode": "1"}, [("ended with status 1", "error")]),
        ("die", {"exitCode": "143"}, [("ended", "info")]),
        ("health_status: unhealthy", {}, [("unhealthy", "error")]),
        ("oom", {}, [("ran out of memory", "error")]),
        ("kill", {}, []),
    ],
)
def test_events_are_told_in_words(action: str, attributes: dict[str, str], told: list[tuple[str, str]]) -> None:
    entries = describe_events([make_event(action, **attributes)])
    assert [(one["text"], one["level"]) for one in entries] == told


def test_deploys_are_told_as_they_ended() -> None:
    begin = Entry(1000, "info", "deploy", "", event="begin", author="me@here", reason="why")
    ready = Entry(3000, "info", "deploy", "", event="end", result="ready", revision=4)
    failed = Entry(3000, "error", "deploy", "", event="end", result="error")
    told = [describe_attempt("f", Attempt(entries)) for entries in ((begin,), (begin, ready), (begin, failed))]
    assert [(one["time"], one["text"], one["level"]) for one in told] == [
        (1, "is being deployed by me@here: why", "info"),
        (3, "deployed as revision 4 by me@here: why", "info"),
        (3, "could not be deployed by me@here: why", "error"),
    ]


def test_a_service_is_as_its_worst_container() -> None:
    instances = [make_instance("a"), make_instance("b", "Up (unhealthy)"), make_instance("c", service="other")]
    told, other = reversed(describe_services(instances, {"a": Usage(10, 0.5), "b": Usage(20, None)}))
    assert (told["service"], told["health"], told["ready"], told["replicas"]) == ("s", "unhealthy", 1, 2)
    assert (told["memory"], told["cpu"], told["since"]) == (30, 0.5, 5.0)
    assert (other["service"], other["memory"], other["cpu"]) == ("other", None, None)


def test_what_the_stack_cannot_do_without_is_missed() -> None:
    assert [one["subject"] for one in find_missing([make_instance("a", service="gateway")])] == ["rabbitmq-mqtt"]


class Record:
    """A function, as the catalogue knows it."""

    name, namespace, project, state = "f", "n", "p", "ready"
    triggers: Mapping[str, Trigger] = {}
    revision, replicas, ready = 3, 2, 1


def test_a_function_that_does_not_answer_has_no_figures() -> None:
    told = describe_function(Record(), None, None)
    assert (told["state"], told["revision"], told["replicas"], told["ready"]) == ("ready", 3, 2, 1)
    assert [told[name] for name in ("rate", "failures", "p50", "memory", "events")] == [None] * 5


def test_durations_are_those_of_the_last_minute_or_else_of_all() -> None:
    total = Counters(100, 4, 2, 1, ((0.1, 100.0), (float("inf"), 100.0)))
    recent = Counters(10, 0, buckets=((0.001, 10.0), (0.1, 10.0), (float("inf"), 10.0)))
    busy = describe_function(Record(), FunctionStats(total, 1.234, 0.1, recent), 7)
    assert (busy["p50"], busy["rate"], busy["events"], busy["failures"]) == (0.5, 1.23, 100, 4)
    idle = describe_function(Record(), FunctionStats(total, 0.0, 0.0, Counters()), 7)
    assert (idle["p50"], idle["retried"], idle["memory"]) == (50.0, 2, 7)


def measure_looks(*looks: tuple[float, float]) -> FunctionStats:
    history = CounterHistory(60.0, 2.0)
    for time, events in looks:
        history.note(Look(time, Counters(events, events / 10), Condition()))
    return measure(history)


def test_a_rate_needs_two_looks() -> None:
    assert measure_looks((0, 50)).rate is None
    figures = measure_looks((0, 50), (10, 70))
    assert (figures.rate, figures.failure_rate, figures.total.events) == (2.0, 0.2, 70)


def test_only_the_last_minute_counts() -> None:
    figures = measure_looks((0, 0), (30, 1000), (70, 1040))
    assert (figures.rate, figures.recent.events) == (1.0, 40)


def test_a_container_that_started_again_begins_again() -> None:
    assert measure_looks((0, 500), (10, 3)).rate is None


def test_of_looks_that_are_close_the_last_is_kept() -> None:
    assert measure_looks((0, 0), (1, 5), (2, 10), (2.5, 15)).rate == 6.0


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("26.11.24 18:06:59.833 (I)      processor Ready", "info"),
        ("26.11.24 18:06:59.833 (E)      processor Bad", "error"),
        ("2026-11-24 18:06:58.833284+00:00 [warning] <0.834.0> deprecated", "warn"),
        ("[WARNING]  (35) : Server is UP", "warn"),
        (json.dumps({"time": 1, "level": "debug", "message": "x"}), "debug"),
        ("[strange] thing", ""),
        ("Traceback (most recent call last):", ""),
    ],
)
def test_a_line_may_tell_its_level(line: str, level: str) -> None:
    assert read_level(line) == level


def test_a_line_has_its_time() -> None:
    told = read_line("c", "1970-01-01T00:00:02.500000001Z hello world")
    assert told == {"time": 2.5, "container": "c", "level": "", "text": "hello world"}
    assert read_line("c", "nonsense")["time"] == 0.0


def read_record(text: str) -> dict[str, Any]:
    return RecordReader().read(read_line("c", f"2026-01-01T00:00:00Z {text}"))


def test_long_line_says_how_much_is_left_out() -> None:
    line = read_record("x" * 5000)
    assert line["text"].endswith("x… (1000 characters more; Download has all)")
    assert read_record("x" * 4000)["text"] == "x" * 4000


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("26.11.24 18:06:59.833 (I)      processor Ready", "Ready"),
        ('{"time": 1, "level": "info", "name": "p", "message": "Called", "path": "/a"}', 'Called {"path":"/a"}'),
        ('{"level": "info"}', '{"level": "info"}'),
        ("{no JSON", "{no JSON"),
    ],
)
def test_a_record_says_its_message(line: str, text: str) -> None:
    assert read_record(line)["text"] == text


def test_lines_of_a_traceback_are_of_one_record() -> None:
    said = ("before", "Traceback (most recent call last):", "  File x", "ValueError: y", "after")
    reader = RecordReader()
    told = [reader.read(read_line("c", f"2026-01-01T00:00:0{place}Z {line}")) for place, line in enumerate(said)]
    assert len({one["record"] for one in told[:4]}) == 1
    assert told[4]["record"] != told[0]["record"]
    other = reader.read(read_line("d", "2026-01-01T00:00:05Z   indented"))
    assert other["record"] not in {one["record"] for one in told}
