"""The stream's topics, and its events."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stack.dashboard.page import _encode, _encode_all, read_topics
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
    """Has one update after the other."""

    async def follow(self, _topics: object) -> AsyncIterator[Update]:
        for number in range(5):
            yield Update("stack", number, number, f"{number}")


def test_stream_ends_with_the_session_of_who_follows_it() -> None:
    may_see = iter([True, True, False])
    broadcaster: Any = Hub()

    async def follow() -> list[bytes]:
        return [event async for event in _encode_all(broadcaster, ["stack"], lambda: next(may_see))]

    assert [event[:5] for event in asyncio.run(follow())[1:]] == [b"id: 0", b"id: 1"]
