"""Docker's own listing."""

from pathlib import Path
from typing import Any

import pytest

from stack.docker.container import read_container
from stack.docker.engine import Engine

_LISTED: dict[str, Any] = {
    "Id": "abc", "Names": ["/p-function-f-1"], "Image": "i", "State": "running", "Status": "Up 3 minutes (healthy)",
    "Ports": [{"IP": "127.0.0.1", "PrivatePort": 8080, "PublicPort": 80, "Type": "tcp"}, {"PrivatePort": 1}],
    "Labels": {
        "com.docker.compose.service": "function-f",
        "com.docker.compose.project": "p",
        "io.tidegate.definition": "h",
        "com.docker.compose.project.working_dir": "/w/.stack",
        "nuclio.io/function-name": "f",
    },
    "NetworkSettings": {"Networks": {"none": {"IPAddress": ""}, "p_default": {"IPAddress": "10.0.0.3"}}},
}  # fmt: skip


def test_listing_is_read() -> None:
    container = read_container(_LISTED)
    assert (container.name, container.service, container.function) == ("p-function-f-1", "function-f", "f")
    assert (container.definition, container.folder) == ("h", "/w/.stack")
    assert container.is_ready
    assert container.address(8080) == "127.0.0.1:80"
    assert container.network_address == "10.0.0.3"
    cut_off = read_container({**_LISTED, "NetworkSettings": {"Networks": {}}})
    assert (cut_off.network_address, cut_off.condition, cut_off.is_ready) == ("", "cut off", False)


@pytest.mark.parametrize(
    ("service", "networks", "is_cut_off"),
    [
        ("function-f", ["p_default"], False),
        ("function-f", ["p_control"], True),
        ("dashboard", ["p_control"], False),
        ("scaler", ["p_default"], True),
        ("gateway", ["p_default", "p_control"], False),
        ("rabbitmq-mqtt", ["p_control"], True),
    ],
)
def test_each_service_has_its_networks(service: str, networks: list[str], is_cut_off: bool) -> None:
    labels = {**_LISTED["Labels"], "com.docker.compose.service": service}
    found = {"Networks": {name: {"IPAddress": f"10.0.0.{n}"} for n, name in enumerate(networks)}}
    container = read_container({**_LISTED, "Labels": labels, "NetworkSettings": found})
    assert container.is_cut_off is is_cut_off
    assert Engine("p", Path("compose.yaml")).address(container, networks[-1][2:]) == f"10.0.0.{len(networks) - 1}"


def test_service_on_the_machines_own_network_is_ready() -> None:
    labels = {**_LISTED["Labels"], "com.docker.compose.service": "mdns"}
    networks = {"Networks": {"host": {"IPAddress": ""}}}
    assert read_container({**_LISTED, "Labels": labels, "NetworkSettings": networks}).is_ready
