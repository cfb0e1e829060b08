"""Where the services of a stack are said to answer."""

from dataclasses import replace
from pathlib import Path

from stack.docker.container import Container
from stack.docker.stack import open_stack
from stack.run.status import find_address, find_urls
from stack.state.workspace import Workspace

GATEWAY = Container(
    *("id", "p-gateway-1", "image", "running", "Up 3 minutes"),
    "127.0.0.1:8080->8080/tcp, 127.0.0.1:9000->15672/tcp",
    *("gateway", "", "", "", ""),
)


def test_the_gateway_has_functions_with_tls_and_without(tmp_path: Path) -> None:
    stack = open_stack(Workspace(tmp_path))
    assert find_address(GATEWAY, find_urls(stack, [GATEWAY])) == "http://127.0.0.1:8080"
    ports = f"{GATEWAY.ports}, 0.0.0.0:8444->8444/tcp, 0.0.0.0:9443->9443/tcp"
    urls = find_urls(stack, [secure := replace(GATEWAY, ports=ports)])
    assert find_address(secure, urls) == "http://127.0.0.1:8080  https://127.0.0.1:8444"
    assert urls["rabbitmq-mqtt"] == "http://127.0.0.1:9000  https://127.0.0.1:9443"
