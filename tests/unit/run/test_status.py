"""Where the services of a stack are said to answer, and which are not there."""

from dataclasses import replace
from pathlib import Path

from stack.docker.container import Container
from stack.docker.stack import open_stack
from stack.run.stack import write_stack
from stack.run.status import find_address, find_missing, find_urls
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


def test_a_service_that_was_removed_is_told(tmp_path: Path) -> None:
    stack = open_stack(Workspace(tmp_path))
    write_stack(stack, stack.inputs)
    others = [GATEWAY, replace(GATEWAY, service="rabbitmq-mqtt")]
    assert find_missing(stack, others) == ["dashboard"]
    assert find_missing(stack, [*others, replace(GATEWAY, service="dashboard")]) == []
    assert find_missing(stack, []) == []


def test_a_spoiled_file_of_the_stack_hides_no_missing_broker(tmp_path: Path) -> None:
    stack = open_stack(Workspace(tmp_path))
    for content in (b"", b"{", b"services: {gateway: {}}", b"\x00"):
        stack.engine.compose_file.parent.mkdir(exist_ok=True)
        stack.engine.compose_file.write_bytes(content)
        assert find_missing(stack, [GATEWAY]) == ["rabbitmq-mqtt"]
