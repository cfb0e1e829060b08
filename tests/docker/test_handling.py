"""What callers are told of a function's failures, and where failures are told to those who run it."""

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pika
import pytest

from tests.docker.workspace import Workspace, run_docker, wait_until
from tests.unit.dashboard.serving import Client

CODE = """
import time

def handler(context, event):
    context.logger.info("asked")
    if event.path == "/stay":
        time.sleep(300)
    if event.path == "/fail":
        raise ValueError("secret of the house")
    if event.path == "/wrong":
        return context.Response("text")
    return "fine"
"""
GROWING, FULL = "handling/growing", "handling/full"
CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}


def ask(workspace: Workspace, path: str, **headers: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", workspace.settings.ports.gateway, timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode(), answer.headers.get("x-nuclio-logs", "")
    connection.close()
    return found


@pytest.mark.slow
def test_failures_are_told_to_those_who_run_the_function(workspace: Workspace, author: Callable[..., Path]) -> None:
    author("failing", CODE)
    author("staying", CODE)
    for name in ("failing", "staying"):
        workspace.invoke("deploy-function", name)
    # It takes a minute until a worker counts as stuck; the rest is looked at meanwhile.
    with staying(workspace):
        check_failures(workspace)
        check_growing_queue(workspace)
        check_full_queue(workspace)
        wait_for_trouble(workspace, "staying", "a worker has been at one event for")


@contextmanager
def staying(workspace: Workspace) -> Iterator[None]:
    """Have an event in the only worker of `staying`."""
    connection = http.client.HTTPConnection("127.0.0.1", workspace.settings.ports.gateway, timeout=30)
    connection.request("GET", "/staying/stay")
    yield
    connection.close()


def check_growing_queue(workspace: Workspace) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(workspace.amqp_url))
    channel = connection.channel()
    channel.queue_declare(GROWING, durable=True)

    def grow() -> None:
        for _ in range(300):
            channel.basic_publish("", GROWING, b"x")

    try:
        wait_for_trouble(workspace, f"queue {GROWING}", "grows, and no one consumes it", grow)
    finally:
        channel.queue_delete(GROWING)
        connection.close()


def check_full_queue(workspace: Workspace) -> None:
    """A policy of a user's own, with a limit that is reached soon."""
    policy = ("--priority", "9", "handling-full", f"^{FULL}$", '{"max-length-bytes":1000,"overflow":"reject-publish"}')
    assert not workspace.execute("rabbitmq-mqtt", "rabbitmqctl", "set_policy", *policy).returncode
    connection = pika.BlockingConnection(pika.URLParameters(workspace.amqp_url))
    channel = connection.channel()
    channel.queue_declare(FULL, durable=True)
    try:
        for _ in range(20):
            channel.basic_publish("", FULL, b"x" * 100)
        wait_for_trouble(workspace, f"queue {FULL}", "and the broker refuses more")
    finally:
        channel.queue_delete(FULL)
        connection.close()
        workspace.execute("rabbitmq-mqtt", "rabbitmqctl", "clear_policy", "handling-full")


def wait_for_trouble(
    workspace: Workspace, subject: str, what: str, meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Wait until the overview tells of it, and see that `status` does too."""
    client = Client(workspace.settings.ports.dashboard)

    def is_told() -> bool:
        meanwhile()
        page = client.send("GET", "/overview/troubles").body.decode()
        return subject in page and what in page

    wait_until(is_told, seconds=150, what=f"the overview to tell of {subject}")
    status = workspace.invoke("status")
    assert what in " ".join((status.stdout + status.stderr).split())


def check_failures(workspace: Workspace) -> None:
    hidden = "The handler failed; the reason is in the function's log."
    assert ask(workspace, "/failing/fail", **{"X-Nuclio-Log-Level": "debug"}) == (500, hidden, "")
    told = workspace.invoke("invoke-function", "failing", "--path", "/fail", check=False).stdout
    assert "ValueError: secret of the house" in told and "main.py" in told
    wrong = workspace.invoke("invoke-function", "failing", "--path", "/wrong", check=False).stdout
    assert 'return context.Response("text")' in wrong and "should be a dict, not 'text'" in wrong
    check_sites(workspace)
    check_dashboard(workspace)
    (container,) = workspace.containers("function-failing")
    assert run_docker("exec", container, "printenv", "TIDEGATE_EVENT_TIMEOUT").stdout.strip() == "600"


def check_sites(workspace: Workspace) -> None:
    status, body, _ = ask(workspace, "/failing/", **CROSS_SITE)
    assert status == 403 and "may not call this function" in body
    assert ask(workspace, "/failing/", **{"Sec-Fetch-Site": "same-origin"})[:2] == (200, "fine")
    assert ask(workspace, "/failing/")[:2] == (200, "fine")


def check_dashboard(workspace: Workspace) -> None:
    client = Client(workspace.settings.ports.dashboard)
    calls = {"X_Nuclio_Function_Name": "failing", "X_Nuclio_Log_Level": "debug"}
    answer = client.send("GET", "/api/function_invocations", X_Nuclio_Path="fail", **calls)
    assert answer.status == 500 and b"secret of the house" in answer.body
    assert "asked" in answer.headers["x-nuclio-logs"]

    def find_message() -> str:
        return str(client.send("GET", "/api/functions/failing").json["status"].get("message", ""))

    wait_until(lambda: "of its last" in find_message(), what="the function's state to tell its failures")
    wait_until(lambda: b"events failed." in client.send("GET", "/overview/troubles").body, what="the overview to tell")
    status = workspace.invoke("status")
    assert "events failed." in status.stdout + status.stderr
    found = json.loads(workspace.invoke("status", "--json").stdout)
    (one,) = [one for one in found if one["service"] == "function-failing"]
    assert one["problems"][0]["subject"] == "failing"
