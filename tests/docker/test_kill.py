"""What the broker has confirmed is kept, whatever is killed: the broker alone, or all containers at once."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docker.confirmed import CODE, CONFIG, NAME, Ledger, publishing, read_handled
from tests.docker.workspace import Broker, Workspace, fetch, run_docker, wait_until

_BROKER = "rabbitmq-mqtt"
# Seconds of load before a kill; kills of the broker in the usual run, and where chaos is asked for.
_LOAD, _KILLS, _MANY_KILLS = 3.0, 3, 10
# Seconds without a message being handled, after which none is waited for any more.
_STILL = 30.0


@pytest.fixture
def scoreboard(workspace: Workspace, author: Callable[..., Path]) -> None:
    author(NAME, CODE, CONFIG)
    workspace.invoke("deploy-function", NAME)


@pytest.fixture
def restarting(workspace: Workspace) -> Iterator[None]:
    """Have what is killed run again, whatever becomes of the test."""
    yield
    run_docker("start", *workspace.containers(), check=False)
    wait_until(lambda: is_healthy(workspace), seconds=120, what="a healthy stack")


@pytest.mark.timeout(0)
@pytest.mark.usefixtures("scoreboard", "restarting")
@pytest.mark.slow
def test_a_killed_broker_keeps_what_it_confirmed(
    workspace: Workspace, broker: Broker, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    kills = _MANY_KILLS if request.config.getoption("--chaos-minutes") else _KILLS
    (container,) = workspace.containers(_BROKER)
    with publishing(broker) as ledger:
        for _ in range(kills):
            wait_for_load(ledger)
            run_docker("kill", "--signal", "KILL", container)
            run_docker("start", container)
        wait_for_load(ledger)
    account(workspace, ledger, f"{kills} kills of the broker", capsys)


@pytest.mark.timeout(0)
@pytest.mark.usefixtures("scoreboard", "restarting")
@pytest.mark.slow
def test_all_come_back_after_all_were_killed(
    workspace: Workspace, broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    containers = workspace.containers()
    (last,) = workspace.containers(_BROKER)
    with publishing(broker) as ledger:
        wait_for_load(ledger)
        run_docker("kill", "--signal", "KILL", *containers)
        # In any order, as the engine starts them: the broker, which all wait for, comes last.
        others = [one for one in containers if one != last]
        run_docker("start", *random.sample(others, len(others)))
        run_docker("start", last)
        wait_for_load(ledger)
    account(workspace, ledger, "all containers killed", capsys)
    assert describe_queue(broker, f"nuclio-nuclio-{NAME}") == ("quorum", "tidegate-queues-quorum")
    wait_until(lambda: is_healthy(workspace), seconds=120, what="a healthy stack")
    assert fetch(workspace.url(NAME))[0] == 200


@pytest.mark.timeout(0)
@pytest.mark.usefixtures("scoreboard", "restarting")
def test_all_come_back_after_the_engine_was_killed(
    workspace: Workspace, broker: Broker, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    if not request.config.getoption("--chaos-engine"):
        pytest.skip("it kills this machine's Docker Engine: `invoke test --chaos --engine`")
    before = run_docker("version", "--format", "{{.Server.Version}}").stdout
    with publishing(broker) as ledger:
        wait_for_load(ledger)
        kill_engine(workspace)
        # Where no systemd starts it again, provision does; it does nothing to the stack.
        workspace.invoke("provision", "--yes")
        assert run_docker("version", "--format", "{{.Server.Version}}").stdout == before
        wait_for_load(ledger)
    account(workspace, ledger, "engine and all containers killed", capsys)
    wait_until(lambda: is_healthy(workspace), seconds=120, what="a healthy stack")
    assert fetch(workspace.url(NAME))[0] == 200


def kill_engine(workspace: Workspace) -> None:
    """Kill, as a power cut would, the engine, what it runs containers with, and the project's processes."""
    form = "{{.State.Pid}}"
    processes = run_docker("inspect", "--format", form, *workspace.containers()).stdout.split()
    subprocess.run(["pkill", "-KILL", "-x", "dockerd|containerd|containerd-shim.*"], check=True)
    subprocess.run(["kill", "-KILL", *(one for one in processes if one != "0")], check=False)


def describe_queue(broker: Broker, name: str) -> tuple[str, str]:
    """Return the type of a queue, and the policy that bounds it."""
    address = f"{broker.management_url}/api/queues/%2F/{name}"
    status, text = fetch(address, user="guest", password="guest")
    assert status == 200, text
    found = json.loads(text)
    return found["type"], found["policy"]


def wait_for_load(ledger: Ledger) -> None:
    """Wait until messages were confirmed again for a while, which they are as soon as the broker is back."""
    before = ledger.count
    wait_until(lambda: ledger.count > before + 50, seconds=120, what="confirms")
    time.sleep(random.uniform(_LOAD / 2, _LOAD))


def account(workspace: Workspace, ledger: Ledger, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wait until every message that was confirmed was handled.

    What was on its way at a kill comes again, and may come behind later ones: order is told, and not promised.
    """
    lost, duplicates, mixed = wait_for_messages(workspace, ledger)
    with capsys.disabled():
        print(
            f"\n{what}: {ledger.count} confirmed, {len(lost)} lost, {duplicates} duplicates, "
            f"{len(mixed)} of {len(ledger.confirmed)} publishers' messages out of order",
            file=sys.stderr,
        )
    assert not lost


def wait_for_messages(workspace: Workspace, ledger: Ledger) -> tuple[set[str], int, list[str]]:
    """Return what became of the messages once all were handled, or none has been for a while."""
    known, since = 0, time.monotonic()
    while True:
        handled = read_handled(workspace)
        found = ledger.compare(handled)
        if len(handled) > known:
            known, since = len(handled), time.monotonic()
        if not found[0] or time.monotonic() > since + _STILL:
            return found
        time.sleep(0.5)


def is_healthy(workspace: Workspace) -> bool:
    """Return whether every container of the project that has a health check passes it."""
    form = "{{with .State.Health}}{{.Status}}{{else}}{{$.State.Status}}{{end}}"
    found = run_docker("inspect", "--format", form, *workspace.containers()).stdout.split()
    return set(found) <= {"healthy", "running"}
