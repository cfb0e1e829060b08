"""What the store is asked."""

from collections.abc import Mapping
from typing import Any

import pytest

from stack.victoriametrics.client import Store


@pytest.mark.parametrize(("seconds", "text"), [(15, "15s"), (0.5, "0.5s"), (1_123_200, "1123200s")])
def test_a_step_is_written_as_the_store_reads_it(seconds: float, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, str] = {}

    def ask(_: Store, path: str, fields: Mapping[str, str]) -> dict[str, Any]:
        asked.update(fields)
        return {"data": {"result": []}}

    monkeypatch.setattr(Store, "_ask", ask)
    Store("http://tidegate:x@127.0.0.1:1").query_range("a", 0, 1, seconds)
    assert asked["step"] == text
