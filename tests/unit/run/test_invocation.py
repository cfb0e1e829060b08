"""Why a function cannot be called, before it is."""

import pytest

from stack.run.function_status import FunctionStatus
from stack.run.invocation import _explain

_URL = "http://127.0.0.1:8080/thermo"


@pytest.mark.parametrize(
    ("state", "url", "replicas", "reason"),
    [
        ("ready", _URL, 1, ""),
        ("scaledToZero", _URL, 0, ""),
        ("scaledToZero", "", 0, "has no http trigger that is published"),
        ("ready", "", 1, "has no http trigger that is published"),
        ("not deployed", "", 0, "is not deployed. Type `invoke deploy-function thermo`"),
        ("standby", _URL, 0, "is disabled"),
        ("stopped", _URL, 0, "does not run. Type `invoke up`"),
        ("unhealthy", _URL, 1, "is unhealthy. `invoke logs thermo`"),
    ],
)
def test_reason(state: str, url: str, replicas: int, reason: str) -> None:
    status = FunctionStatus("thermo", "default", state, url, "image:1", replicas, ())
    assert _explain(status)[: len(reason) or None] == reason
