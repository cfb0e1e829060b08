"""What is warned of before it is deployed."""

import pytest

from stack.docker.stack import warn_ignored
from tests.unit.plan.samples import make_function


def test_a_broker_at_localhost_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    function = make_function("lost", triggers={"t": {"kind": "rabbit-mq", "url": "amqp://localhost:5672"}})
    warn_ignored([function, function])
    said = " ".join(capsys.readouterr().err.split())
    assert (
        said.count("functions/lost/function.yaml: spec.triggers.t.url: localhost is the function's own container") == 1
    )
