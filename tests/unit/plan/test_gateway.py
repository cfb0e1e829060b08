"""The gateway's routes: which functions it leads to, and what it says of those that do not answer."""

from ipaddress import IPv4Address
from typing import Any

import pytest

from stack.config.network import Ports
from stack.config.settings import Processor, Settings
from stack.plan.gateway import find_url, find_version, plan_routes, render_gateway
from stack.plan.stack import Service, plan_service
from tests.unit.plan.samples import make_plan, make_vault


def make_service(kept: int | None = None, *, is_deployed: bool = True, **spec: Any) -> Service:
    plan = make_plan(**spec)
    return plan_service(plan, Settings(), image="i:1", vault=make_vault(), is_deployed=is_deployed, kept_replicas=kept)


@pytest.mark.parametrize(
    "spec",
    [
        {"disableDefaultHTTPTrigger": True},
        {"triggers": {"web": {"kind": "http", "attributes": {"disablePortPublishing": True}}}},
    ],
)
def test_function_that_is_not_published_has_no_route(spec: dict[str, Any]) -> None:
    service = make_service(**spec)
    assert plan_routes([service], Settings()) == ()
    assert find_url(service.plan, Settings()) == ""


def test_url_is_the_gateways() -> None:
    settings = Settings(bind=IPv4Address("10.0.0.7"), ports=Ports(gateway=81))
    assert find_url(make_service().plan, settings) == "http://10.0.0.7:81/thermo"
    assert find_url(make_service().plan, Settings(bind=IPv4Address("0.0.0.0"))) == "http://127.0.0.1:8080/thermo"


@pytest.mark.parametrize(
    ("service", "is_open", "advice"),
    [
        (make_service(), True, "invoke logs thermo"),
        (make_service(is_deployed=False), False, "invoke deploy-function thermo"),
        (make_service(0), False, "invoke scale-function thermo 1"),
        (make_service(disable=True), False, "disable: true"),
        (make_service(0, minReplicas=0, maxReplicas=2), True, "invoke logs thermo"),
    ],
)
def test_who_does_not_run_is_said_to_be_what_it_is(service: Service, is_open: bool, advice: str) -> None:
    (route,) = plan_routes([service], Settings())
    assert route.is_open is is_open
    assert advice in route.absence


def test_two_versions_have_slots_at_once() -> None:
    (route,) = plan_routes([make_service(minReplicas=1, maxReplicas=7)], Settings())
    assert route.slots >= 14


def test_version_is_in_the_files_and_changes_with_them() -> None:
    one, two = render_gateway([make_service()], Settings()), render_gateway([make_service(0)], Settings())
    assert find_version(one).encode() in one["gateway/haproxy.cfg"]
    assert find_version(one) != find_version(two)
    assert find_version(one) == find_version(render_gateway([make_service()], Settings()))


@pytest.mark.parametrize("processor", Processor)
def test_containers_are_found_by_dns_and_asked(processor: Processor) -> None:
    service = make_service(minReplicas=1, maxReplicas=2)
    lines = render_gateway([service], Settings(processor=processor))["gateway/haproxy.cfg"].decode().splitlines()
    (template,) = [line.split() for line in lines if "server-template" in line]
    assert template[1:4] == ["container", "1-8", f"{service.plan.host}:8080"]
    assert {"check", "8082", "resolvers"} < set(template)
    assert "    option httpchk GET /ready?gateway" in lines
