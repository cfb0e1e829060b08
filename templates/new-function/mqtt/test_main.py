import pytest
from main import LIMIT, handler

from stack.processor.testing import invoke


def test_what_is_above_the_limit_makes_an_alert():
    result = invoke(handler, body=str(LIMIT + 1))
    assert result.body == b"alert"
    assert result.outputs.alerts == [{"value": LIMIT + 1, "limit": LIMIT}]


@pytest.mark.parametrize("body", [str(LIMIT), "-3", "warm", "nan", ""])
def test_what_is_not_makes_none(body):
    result = invoke(handler, body=body)
    assert result.status_code == 200
    assert result.outputs.alerts == []
