"""What dead letters are told apart by, and what is known of them."""

from dataclasses import replace

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


def test_what_is_sent_again_forgets_its_failures() -> None:
    assert LETTER.fresh_headers == {"mine": 1}
    assert LETTER.target == "q"
