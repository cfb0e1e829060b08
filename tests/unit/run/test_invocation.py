"""Why a function cannot be called, before it is."""

import pytest

from stack.errors import FunctionError
from stack.run.function_status import FunctionStatus
from stack.run.invocation import _explain, read_headers

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


@pytest.mark.parametrize("header", ["nonsense", ": a", "X-Grün: a", "X Y: a"])
def test_header_whose_name_http_has_not_is_refused(header: str) -> None:
    with pytest.raises(FunctionError, match="should be like 'Name: value'"):
        read_headers([header])
    assert read_headers(["X-A: grün", "b:"]) == {"X-A": "grün", "b": ""}
