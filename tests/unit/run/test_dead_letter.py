"""Orders about dead letters that cannot be followed."""

import pytest

from stack.errors import FunctionError
from stack.run.dead_letter import DeadLetterRequest, handle_dead_letters


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (DeadLetterRequest(replay=True, purge=True), "Give one of --show, --replay and --purge"),
        (DeadLetterRequest(count=-1), "--count -1: should be 1 or more, or 0 for all"),
        (DeadLetterRequest(replay=True, count=-1), "--count -1: should be 1 or more, or 0 for all"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(order: DeadLetterRequest, message: str) -> None:
    with pytest.raises(FunctionError, match=message):
        handle_dead_letters("", order, yes=True, as_json=False)
