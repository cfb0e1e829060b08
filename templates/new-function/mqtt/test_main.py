import pytest
from main import LIMIT, handler

from stack.processor.testing import invoke, open_context


class Alerts:
    """Stands in for the connection to the broker."""

    def __init__(self):
        self.sent = []

    def send(self, alert):
        self.sent.append(alert)


@pytest.fixture
def context():
    context = open_context()
    context.user_data.alerts = Alerts()
    return context


def test_what_is_above_the_limit_makes_an_alert(context):
    assert invoke(handler, body=str(LIMIT + 1), context=context).body == b"alert"
    assert context.user_data.alerts.sent == [{"value": LIMIT + 1, "limit": LIMIT}]


@pytest.mark.parametrize("body", [str(LIMIT), "-3", "warm", ""])
def test_what_is_not_makes_none(body, context):
    assert invoke(handler, body=body, context=context).status_code == 200
    assert not context.user_data.alerts.sent
