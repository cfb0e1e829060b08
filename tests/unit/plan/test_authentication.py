"""Which functions ask for which login, and what the gateway compares."""

import hashlib
from ipaddress import IPv4Address
from typing import Any

import pytest

from stack.config.settings import Gateway, Settings
from stack.errors import ConfigError
from stack.plan.function import FunctionPlan
from stack.plan.gateway import (
    GatewayLogin,
    check_login,
    find_default,
    find_guard,
    find_metrics_guard,
    find_open_ports,
    find_version,
    render_gateway,
)
from stack.plan.stack import Service, plan_service
from tests.unit.plan.samples import make_plan, make_vault

WIDE = Settings(bind=IPv4Address("0.0.0.0"))
CONFIG = "gateway/haproxy.cfg"


def make_function(**attributes: Any) -> FunctionPlan:
    return make_plan(triggers={"web": {"kind": "http", "attributes": attributes}})


def make_service(plan: FunctionPlan) -> Service:
    return plan_service(plan, Settings(), image="i:1", vault=make_vault(), is_deployed=True)


@pytest.mark.parametrize(
    ("bind", "login", "default"),
    [
        ("127.0.0.1", "auto", "none"),
        ("0.0.0.0", "auto", "any"),
        ("10.0.0.7", "auto", "any"),
        ("0.0.0.0", "none", "none"),
        ("127.0.0.1", "bearer", "bearer"),
    ],
)
def test_login_is_asked_for_where_other_machines_can_call(bind: str, login: str, default: str) -> None:
    settings = Settings.model_validate({"bind": bind, "gateway": {"login": login}})
    assert find_default(settings) == default
    assert find_metrics_guard(settings).authentication == default
    assert find_guard(make_plan(), settings).authentication == default


@pytest.mark.parametrize("authentication", ["none", "basic", "bearer", "any"])
def test_function_says_what_it_asks_for(authentication: str) -> None:
    plan = make_function(authentication=authentication)
    for settings in (Settings(), WIDE):
        assert find_guard(plan, settings).authentication == authentication


def test_local_stack_renders_no_login() -> None:
    text = render_gateway([make_service(make_plan())], Settings())[CONFIG].decode()
    assert "Authorization" not in text and "401" not in text


def test_guarded_function_never_sees_the_login() -> None:
    plan = make_function(authentication="basic")
    text = render_gateway([make_service(plan)], Settings())[CONFIG].decode()
    (refusal,) = (line for line in text.splitlines() if "return status 401" in line)
    assert "!{ var(txn.basic) -m bool }" in refusal and "txn.bearer" not in refusal
    assert "Basic realm" in refusal and "Bearer" not in refusal
    assert "del-header Authorization" in text
    # The broker's figures are asked for by this machine alone.
    assert text.index("return status 401") > text.index("backend function-thermo")


def test_pages_of_other_sites_may_ask_whether_they_may_ask() -> None:
    plan = make_function(authentication="bearer", cors={"enabled": True})
    assert find_guard(plan, Settings()).variables == ("bearer", "preflight")
    assert find_guard(make_function(authentication="bearer"), Settings()).variables == ("bearer",)


def test_login_changes_the_version() -> None:
    services = [make_service(make_plan())]
    versions = {find_version(render_gateway(services, WIDE, login=login)) for login in ("one", "two")}
    assert len(versions) == 2


def test_digests_are_written_as_haproxy_computes_them() -> None:
    digest = hashlib.sha256(b"caller:word").hexdigest()
    login = GatewayLogin((digest,), (), ("aa", "bb"))
    assert login.files == {"basic": f"{digest.upper()}\n".encode(), "bearer": b"", "own": b"AA\nBB\n"}
    assert login.version != GatewayLogin((digest,)).version


def test_login_that_no_one_has_is_refused() -> None:
    check_login([make_plan()], Settings(), has_login=False)
    check_login([make_function(authentication="basic")], WIDE, has_login=True)
    with pytest.raises(ConfigError, match=r"bind: 0.0.0.0 lets other machines call functions. Type `invoke"):
        check_login([], WIDE, has_login=False)
    with pytest.raises(ConfigError, match=r"gateway.login: basic needs a login"):
        check_login([], Settings(gateway=Gateway(login="basic")), has_login=False)
    with pytest.raises(ConfigError, match=r"attributes.authentication: bearer needs a login"):
        check_login([make_function(authentication="bearer")], Settings(), has_login=False)


def test_port_that_the_gateway_does_not_guard_is_told_of() -> None:
    plan = make_function(port=31000)
    (warning,) = find_open_ports([plan, make_plan()], WIDE)
    assert "port 31000 without a login" in warning
    assert find_open_ports([plan], Settings()) == []
    assert find_open_ports([make_function(port=31000, authentication="none")], WIDE) == []
