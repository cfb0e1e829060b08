"""What the listing tells of a container."""

import pytest

from stack.docker.container import Container


def make(**content: str) -> Container:
    keys = ("id", "name", "image", "state", "status", "ports", "service", "definition", "files", "secrets", "function")
    return Container(**(dict.fromkeys(keys, "") | content))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "status", "health", "condition", "is_ready", "has_failed"),
    [
        ("running", "Up 3 minutes (healthy)", "healthy", "healthy", True, False),
        ("running", "Up 1 second (health: starting)", "starting", "starting", False, False),
        ("running", "Up 3 minutes (unhealthy)", "unhealthy", "unhealthy", False, False),
        ("running", "Up 3 minutes", "", "running", False, False),
        ("exited", "Exited (1) 3 seconds ago", "", "exited", False, True),
        ("restarting", "Restarting (1) 3 seconds ago", "", "restarting", False, True),
        ("created", "Created", "", "created", False, False),
    ],
)
def test_state(state: str, status: str, health: str, condition: str, is_ready: bool, has_failed: bool) -> None:
    container = make(state=state, status=status)
    assert (container.health, container.condition) == (health, condition)
    assert (container.is_ready, container.has_failed) == (is_ready, has_failed)


@pytest.mark.parametrize(
    ("ports", "address"),
    [
        ("", ""),
        ("8080/tcp", ""),
        ("127.0.0.1:32768->8080/tcp", "127.0.0.1:32768"),
        ("0.0.0.0:31000->8080/tcp, [::]:31000->8080/tcp", "127.0.0.1:31000"),
        ("10.0.0.7:1883->1883/tcp, 10.0.0.7:81->8080/tcp", "10.0.0.7:81"),
    ],
)
def test_address(ports: str, address: str) -> None:
    assert make(ports=ports).address(8080) == address


@pytest.mark.parametrize(
    ("service", "status", "is_doubtful"),
    [
        ("function-hot", "Up 1 second (health: starting)", True),
        ("function-tidegate-recorder", "Up 1 second (health: starting)", True),
        ("function-hot", "Up 3 minutes (healthy)", False),
        ("gateway", "Up 1 second (health: starting)", False),
    ],
)
def test_a_function_may_be_ready_before_docker_knows(service: str, status: str, is_doubtful: bool) -> None:
    assert make(service=service, state="running", status=status).is_doubtful is is_doubtful
