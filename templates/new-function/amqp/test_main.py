import pytest
from main import handler

from stack.processor.testing import invoke


def test_lowest_and_highest_are_noted():
    for body in ("21.5", "18", "20"):
        answer = invoke(handler, body=body).body
    assert answer == b"18.0 to 21.5"


@pytest.mark.parametrize("body", ["warm", "nan"])
def test_what_is_no_temperature_is_passed_over(body):
    assert invoke(handler, body=body).body == b"no temperature"
