"""The examples in the middle of their work: broker, container and network break, and nothing is lost."""

import json
import subprocess
from collections.abc import Callable

import pytest

from stack.processor.in_flight import MOST_DEATHS
from tests.docker.chaos import drain, open_channel
from tests.docker.workspace import Broker, Workspace, run_docker, wait_until

_FUNCTION = "amqpconsume"
_SERVICE = f"function-{_FUNCTION}"
_QUEUE = "iot/sensors"
_READINGS, _RATE = 400, 50
# Seconds until the broker gives back what it sent to a client whose network was cut, and more for a busy machine.
_GIVEN_BACK = 120.0


def test_broker_restarts_in_the_middle_of_a_stream(
    workspace: Workspace, broker: Broker, deployed: Callable[..., None]
) -> None:
    deployed(_FUNCTION)
    before = count_events(workspace)
    device = send_half(workspace)
    (container,) = workspace.containers("rabbitmq-mqtt")
    run_docker("restart", container)
    wait_for_health(container)
    output, _ = device.communicate(timeout=90)
    assert device.returncode == 0, output
    assert f"{_READINGS} readings over AMQP" in output
    wait_until(lambda: count_events(workspace) >= before + _READINGS, seconds=60, what="the last event")
    # What was handled twice is counted twice, so that some may be on their way still.
    wait_until(lambda: count_waiting(broker) == 0, seconds=60, what="an empty queue")
    assert find_dead(broker) == []
    run_demo(workspace)


@pytest.mark.slow
def test_killed_function_goes_on_where_it_was(
    workspace: Workspace, broker: Broker, deployed: Callable[..., None]
) -> None:
    deployed(_FUNCTION)
    device = send_half(workspace)
    (container,) = workspace.containers(_SERVICE)
    run_docker("kill", container)
    output, _ = device.communicate(timeout=90)
    assert device.returncode == 0, output
    assert count_waiting(broker) > 0
    run_docker("start", container)
    wait_until(lambda: count_waiting(broker) == 0, seconds=60, what="an empty queue")
    assert find_dead(broker) == []
    run_demo(workspace)


@pytest.mark.slow
def test_what_was_sent_into_a_cut_network_is_delivered_again(
    workspace: Workspace, broker: Broker, deployed: Callable[..., None]
) -> None:
    deployed(_FUNCTION)
    (container,) = workspace.containers(_SERVICE)
    network = f"{workspace.project}_default"
    wait_until(lambda: count_consumers(broker) > 0, seconds=60, what="a consumer")
    run_docker("network", "disconnect", network, container)
    try:
        with open_channel(broker.amqp_url) as channel:
            channel.basic_publish("", _QUEUE, b"into the cut", mandatory=True)
            assert count_waiting(broker) == 0, "the broker should have sent it to the function"
            method, _, body = next(channel.consume(_QUEUE, inactivity_timeout=_GIVEN_BACK))
            assert body == b"into the cut", "the broker should have found out that the function is gone"
            channel.basic_ack(method.delivery_tag)
    finally:
        run_docker("network", "connect", "--alias", _SERVICE, network, container)
    wait_for_health(container)
    run_demo(workspace)


GREEDY = """\
import time

def handler(context, event):
    if event.body == b"wait":
        context.logger.info("waiting")
        time.sleep(300)
    if event.body == b"eat":
        eaten = bytearray(400_000_000)
        return len(eaten)
    context.logger.info("modest")
"""
GREEDY_CONFIG = """\
spec:
  resources: {limits: {memory: 128Mi}}
  triggers:
    meals: {kind: rabbit-mq, attributes: {queueName: test/meals, queueType: classic, maxRetries: 0}}
"""


@pytest.mark.slow
def test_worker_that_is_out_of_memory_takes_no_other_with_it(
    workspace: Workspace, broker: Broker, author: Callable[..., object]
) -> None:
    author("greedy", GREEDY, GREEDY_CONFIG)
    workspace.invoke("deploy-function", "greedy")
    (container,) = workspace.containers("function-greedy")
    with open_channel(broker.amqp_url) as channel:
        for body in ("eat", "crumb"):
            channel.basic_publish("", "test/meals", body.encode(), mandatory=True)
    wait_until(lambda: "modest" in read_log(container), seconds=60, what="the other message")
    dead: list[bytes] = []

    def has_died() -> bool:
        dead.extend(find_dead(broker, "test/meals"))
        return bool(dead)

    wait_until(has_died, seconds=60, what="the dead letter")
    assert dead == [b"eat"]
    assert workspace.containers("function-greedy") == [container]
    assert run_docker("inspect", "--format", "{{.RestartCount}}", container).stdout.strip() == "0"
    assert_ends_with_its_container(broker, container)


def assert_ends_with_its_container(broker: Broker, container: str) -> None:
    """A classic queue does not count how often it delivers what is in progress each time that the container ends."""
    with open_channel(broker.amqp_url) as channel:
        channel.basic_publish("", "test/meals", b"wait", mandatory=True)
    for number in range(1, MOST_DEATHS + 1):
        wait_until(lambda number=number: read_log(container).count("waiting") == number, seconds=60, what="the message")
        run_docker("kill", container)
        run_docker("start", container)
    dead: list[bytes] = []

    def has_failed() -> bool:
        dead.extend(find_dead(broker, "test/meals"))
        return bool(dead)

    wait_until(has_failed, seconds=60, what="the dead letter")
    assert dead == [b"wait"]


def send_half(workspace: Workspace) -> "subprocess.Popen[str]":
    """Start a device, and return when it has sent half of its readings."""
    device = workspace.start("client", "--count", str(_READINGS), "--rate", str(_RATE))
    assert device.stdout
    for _ in range(_READINGS // 2):
        assert device.stdout.readline(), "the device ended before its last reading"
    return device


def count_events(workspace: Workspace) -> int:
    """Return how many events the function has handled without a failure."""
    containers = json.loads(workspace.invoke("status", "--json").stdout)
    (found,) = [one for one in containers if one["service"] == _SERVICE]
    return int(found["events"]) - int(found["failures"])


def count_waiting(broker: Broker) -> int:
    with open_channel(broker.amqp_url) as channel:
        return int(channel.queue_declare(_QUEUE, passive=True).method.message_count)


def count_consumers(broker: Broker) -> int:
    with open_channel(broker.amqp_url) as channel:
        return int(channel.queue_declare(_QUEUE, passive=True).method.consumer_count)


def find_dead(broker: Broker, queue: str = _QUEUE) -> list[bytes]:
    with open_channel(broker.amqp_url) as channel:
        return [body for _, body in drain(channel, f"{queue}.dead")]


def read_log(container: str) -> str:
    log = run_docker("logs", container)
    return log.stdout + log.stderr


def wait_for_health(container: str) -> None:
    form = "{{.State.Health.Status}}"
    wait_until(lambda: run_docker("inspect", "--format", form, container).stdout.strip() == "healthy", seconds=90)


def run_demo(workspace: Workspace) -> None:
    """Make sure that every reading has its feedback again."""
    verdict = json.loads(workspace.invoke("demo", "--count", "10", "--json").stdout)
    assert (verdict["handled"], verdict["lost"]) == (10, 0)
