"""What Docker says when it refuses, turned into what to do. The texts are Docker's own."""

import pytest

from stack.docker.client import explain


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: "
            'Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.45/version": dial unix /var/run/docker.sock: connect: '
            "permission denied",
            "You may not use Docker's socket. Add yourself to its group with `sudo usermod -aG docker $USER`",
        ),
        (
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            "Docker is installed and its engine does not run. Type `./bootstrap provision`",
        ),
        (
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to '
            "swarm and try again.",
            "This machine is in no Swarm, or is no manager of it; `invoke nodes` says what to type",
        ),
        (
            "failed to register layer: write /usr/bin/python3: no space left on device",
            "There is no space left on Docker's disk. `docker system prune` frees",
        ),
        (
            "driver failed programming external connectivity on endpoint t-1: Bind for 127.0.0.1:5672 failed: "
            "port is already allocated",
            "Docker cannot publish 127.0.0.1:5672: another program uses it.",
        ),
        (
            "Error starting userland proxy: listen tcp4 0.0.0.0:1883: bind: address already in use",
            "Docker cannot publish 0.0.0.0:1883: another program uses it.",
        ),
        ("no such thing\n", "Docker refused: no such thing"),
        (
            'time="2026-11-24T19:37:20Z" level=warning msg="Found orphan containers ([t-function-a-1]) for this '
            'project."\n Container t-rabbitmq-mqtt-1  Running\n Container t-function-b-1  Creating\n'
            'Error response from daemon: invalid mount config for type "bind"',
            'Docker refused: Error response from daemon: invalid mount config for type "bind"',
        ),
        ("", "Docker refused: it said nothing."),
    ],
)
def test_explanation(text: str, advice: str) -> None:
    assert explain(text).startswith(advice)
