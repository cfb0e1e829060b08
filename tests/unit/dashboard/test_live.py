"""The stream's topics, and its events."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from stack.dashboard.live import Follower, Fragment, Parts, _encode, find_changed_rows, read_topics
from stack.dashboard.services import Services
from stack.errors import FunctionError, StackError
from stack.live.channel import Update


@pytest.mark.parametrize(
    ("query", "topics"),
    [
        ("topics=stack,functions", ["stack", "functions"]),
        ("topics=logs%3Aa,traffic%3Aqueue%3Aiot%2Fa%2Cb", ["logs:a", "traffic:queue:iot/a,b"]),
        ("other=1&topics=stack&topics=broker", ["stack", "broker"]),
        ("topics=,", []),
        ("", []),
    ],
)
def test_topics_are_quoted_each_for_itself(query: str, topics: list[str]) -> None:
    assert read_topics(query) == topics


def test_an_event_is_written_once_for_all_pages() -> None:
    update = Update("logs:a\nevent: b", 3, {"text": "a\nb"}, json.dumps({"text": "a\nb"}))
    event = _encode(update)
    assert event == b'id: 3\r\nevent: logs:aevent: b\r\ndata: {"text": "a\\nb"}\r\n\r\n'
    assert _encode(update) is event


class Hub:
    """Has one update after the other of each topic."""

    async def follow(self, topics: Sequence[str]) -> AsyncIterator[Update]:
        for number in range(5):
            for topic in topics:
                yield Update(topic, number, number // 2, f"{number // 2}")


def follow(
    *topics: str,
    fragments: Sequence[Fragment] = (),
    parts: Sequence[str] = (),
    may_see: Callable[[], bool] = lambda: True,
) -> list[bytes]:
    """Return the events of a stream after its first comment."""
    services: Any = SimpleNamespace(broadcaster=Hub())

    async def collect() -> list[bytes]:
        known = Parts(services, fragments)
        shown = {name: part for name in parts if (part := known.find(name))}
        follower = Follower(services, known, shown, frozenset(topics))
        return [event async for event in follower.run(may_see)]

    return asyncio.run(collect())[1:]


def test_stream_ends_with_the_session_of_who_follows_it() -> None:
    may_see = iter([True, True, False])
    events = follow("stack", may_see=lambda: next(may_see))
    assert [event[:5] for event in events] == [b"id: 0", b"id: 1"]


def test_a_part_is_sent_when_all_that_it_shows_is_known_and_again_when_it_differs() -> None:
    def describe(_: Services, subject: str, known: Mapping[str, Any]) -> dict[str, Any]:
        return {"dead": f"{subject} {known['a']} {known['b:']}"}

    some = Fragment("some:", "_dead_count.html", ("a", "b:"), describe)
    events = follow(fragments=[some], parts=["some:x"])
    texts = [event.decode().split("\r\n")[:2] for event in events]
    assert [name for name, _ in texts] == ["event: some:x"] * len(texts)
    told = [text.partition('"')[2].partition('"')[0] for _, text in texts]
    assert told == ["x 0 0", "x 1 0", "x 1 1", "x 2 1", "x 2 2"]


def test_a_part_that_cannot_be_read_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> dict[str, Any]:
        raise StackError("stack.yaml is wrong")

    some = Fragment("some", "_dead_count.html", ("a",), fail)
    assert follow(fragments=[some], parts=["some"]) == []
    assert "".join(capsys.readouterr()).count("stack.yaml is wrong") == 1


def test_a_part_of_a_function_that_is_gone_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> dict[str, Any]:
        raise FunctionError("There is no such function")

    head = Fragment("head:", "_dead_count.html", ("a",), fail)
    assert follow(fragments=[head], parts=["head:gone"]) == []
    assert "There is no such function" not in "".join(capsys.readouterr())


def test_only_rows_that_differ_are_sent_where_nothing_else_does() -> None:
    before = '<p>2</p><tr id="a"><td>1</td></tr><tr id="b"><td>1</td></tr>'
    assert find_changed_rows(before, before.replace('"b"><td>1', '"b"><td>2')) == (
        '<tr hx-swap-oob="morph" id="b"><td>2</td></tr>'
    )
    assert find_changed_rows(before, before.replace("<p>2", "<p>3")) == ""
    assert find_changed_rows(before, before.replace('id="b"', 'id="c"')) == ""
    assert find_changed_rows(before, f'{before}<tr id="c"></tr>') == ""
