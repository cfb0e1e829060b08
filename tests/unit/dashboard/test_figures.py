"""Figures in words."""

import pytest

from stack.dashboard.figures import draw_sparkline, write_bytes, write_count, write_milliseconds, write_rate

_NOTHING = "\u2013"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, _NOTHING), (0, "0/s"), (0.04, "<0.1/s"), (2.25, "2.2/s"), (12.6, "13/s"), (1234, "1\u2009234/s")],
)
def test_rates(value: float | None, text: str) -> None:
    assert write_rate(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, _NOTHING), (12, "12 B"), (1500, "1.5 kB"), (26_400_000, "26 MB"), (3e12, "3000 GB")]
)
def test_bytes(value: float | None, text: str) -> None:
    assert write_bytes(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, _NOTHING), (3.14, "3.1 ms"), (45.2, "45 ms"), (5030, "5.0 s")])
def test_milliseconds(value: float | None, text: str) -> None:
    assert write_milliseconds(value) == text


def test_counts() -> None:
    assert [write_count(value) for value in (None, 7, 1234567)] == [_NOTHING, "7", "1\u2009234\u2009567"]


def test_sparkline() -> None:
    assert draw_sparkline([1.0]) == ""
    assert 'd="M0.0 22.0L50.0 2.0L100.0 12.0"' in draw_sparkline([0, 2, 1])
    assert 'd="M0.0 12.0L100.0 12.0"' in draw_sparkline([3, 3])
