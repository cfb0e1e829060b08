"""Topics, keys and bodies."""

import pytest

from stack.plan.message import read_number, read_text


@pytest.mark.parametrize(
    ("body", "number"),
    [
        (b"21.5", 21.5),
        (b" -3 ", -3),
        (b'{"value": 7, "battery": 80}', 7),
        (b'{"humidity": 40, "room": "hall"}', 40),
        (b'{"x": 1, "y": 2}', None),
        (b"true", None),
        (b"NaN", None),
        (b"1e999", None),
        (b"warm", None),
        (b"[1]", None),
        (b"\xff\xfe", None),
        (b"[" * 100_000, None),
    ],
)
def test_a_body_may_be_a_number(body: bytes, number: float | None) -> None:
    assert read_number(body) == number


def test_a_body_is_shown_as_far_as_it_is_text() -> None:
    assert read_text("grüß".encode(), 10) == "grüß"
    assert read_text(b"abcdef", 3) == "abc… (3 characters more)"
    assert read_text(b"\xff\x00", 10) == "2 bytes that are no text"
