"""What is read of the gateway's statistics, and when it reads its configuration again."""

from unittest.mock import Mock

import pytest

from stack.config.settings import Settings
from stack.docker import gateway
from stack.docker.gateway import Traffic, read_traffic, settle_gateway

STATS = """# pxname,svname,qcur,scur,status,addr,
control,FRONTEND,,1,OPEN,,
container,any,0,0,no check,0.0.0.0:0,
container,BACKEND,0,0,UP,,
function-one,container1,0,2,UP,10.0.0.2:8080,
function-one,container2,0,1,DOWN,10.0.0.3:8080,
function-one,container3,0,0,UP 1/2,10.0.0.4:8080,
function-one,again,0,3,no check,127.0.0.1:8404,
function-one,next,0,0,no check,127.0.0.1:8080,
function-one,BACKEND,0,9,UP,,
function-none,BACKEND,0,0,UP,,
"""


def test_requests_that_wait_count_once_and_who_is_down_gets_none() -> None:
    traffic = read_traffic(STATS)
    assert traffic == {"one": Traffic(6, frozenset({"10.0.0.2", "10.0.0.4"})), "none": Traffic()}


def test_one_that_ends_does_not_have_to_take_another_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no certificate where there is to be TLS, and would be waited for in vain."""
    monkeypatch.setattr(gateway, "_read_version", lambda _: "older")
    monkeypatch.setattr(gateway, "find_version", lambda _: "newer")
    engine = Mock(is_swarm=False, **{"listed.return_value": [Mock(service="gateway", is_running=True)]})
    settle_gateway(engine, Settings(), files={}, is_ending=True)
    engine.signal.assert_not_called()
