"""What dead letters are told apart by, and what is known of them."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from stack.plan.dead_letter import Letter

LETTER = Letter(1, "q.dead", {"x-nuclio-error": "ValueError: no", "mine": 1}, b"21.5", "id-1")


def test_key_stays_wherever_the_letter_is_in_its_queue() -> None:
    moved = replace(LETTER, number=7, headers=dict(reversed(list(LETTER.headers.items()))))
    assert moved.key == LETTER.key


@pytest.mark.parametrize(
    "other",
    [
        replace(LETTER, queue="r.dead"),
        replace(LETTER, body=b"21.6"),
        replace(LETTER, headers={"x-nuclio-error": "ValueError: no"}),
        replace(LETTER, properties="id-2"),
    ],
)
def test_key_tells_letters_apart(other: Letter) -> None:
    assert other.key != LETTER.key


def test_letter_came_from_the_queue_that_its_own_is_named_after() -> None:
    assert LETTER.target == "q"


def test_key_does_not_change_with_how_often_the_letter_was_looked_at() -> None:
    assert replace(LETTER, headers={**LETTER.headers, "x-delivery-count": 3}).key == LETTER.key


def test_any_header_can_be_shown_as_json() -> None:
    headers: dict[Any, Any] = {
        b"\xff": b"\xfe", "time": datetime(2026, 1, 1, tzinfo=UTC),
        "nan": float("nan"), "deep": [{b"\xff": Decimal(1)}],
        "\ud800": 2**70, "x-nuclio-attempts": {"odd": b""}, "x-nuclio-error": b"\xff",
    }  # fmt: skip
    letter = Letter(1, "q.dead", headers, b"\xff")
    assert len(letter.key) == 24
    about = letter.describe()
    assert json.loads(json.dumps(about, allow_nan=False).encode()) == about
    assert about["headers"]["\\xff"] == "\\xfe" and about["error"] == "\\xff"
    assert letter.matches("XFF")
