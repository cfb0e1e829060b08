import pytest
from main import handler

from stack.processor.testing import invoke


def test_celsius_becomes_fahrenheit():
    assert invoke(handler, body="21.5").body == {"celsius": 21.5, "fahrenheit": 70.7}


@pytest.mark.parametrize("body", ["warm", "nan", ""])
def test_what_is_no_number_is_refused(body):
    assert invoke(handler, body=body).status_code == 400
