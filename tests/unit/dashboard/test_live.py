"""The stream's topics, and its events."""

import json

import pytest

from stack.dashboard.live import _encode, read_topics
from stack.run.live.topic import Update


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
