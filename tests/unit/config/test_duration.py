"""Durations as Go writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stack.config.value import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10),
        ("500ms", 0.5),
        ("1h30m", 5400),
        ("1.5m", 90),
        (".5s", 0.5),
        ("1m0.5s", 60.5),
        ("7µs", 7e-6),
        ("0", 0),
    ],
)
def test_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "10", "s", "-5s", "10 s", "1d", "10s!", "ten", "1e3s", "5s5", "٣s"])
def test_not_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="should be a duration such as"):
        parse_duration(text)


@pytest.mark.parametrize("text", [f"{'9' * 400}h", "99999999h", "2562047h1s"])
def test_too_long_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match=f"should be a duration of at most 2562047h, not '{text[:40]}"):
        parse_duration(text)


def test_longest_duration() -> None:
    assert parse_duration("2562047h") == 2562047 * 3600


@given(
    some.lists(some.tuples(some.integers(0, 10**5), some.sampled_from(["h", "m", "s", "ms"])), min_size=1, max_size=20)
)
def test_parts_add_up(parts: list[tuple[int, str]]) -> None:
    factors = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
    total = sum(number * factors[unit] for number, unit in parts)
    assert parse_duration("".join(f"{number}{unit}" for number, unit in parts)) == pytest.approx(total)
