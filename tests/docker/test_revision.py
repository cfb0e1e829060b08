"""Revisions: listed, gone back to, pruned; and a deploy that is killed at any moment."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pika
import pytest

from stack.docker.driver import Driver
from stack.docker.stack import open_stack
from stack.state.workspace import Workspace as RunWorkspace
from tests.docker.test_deploy import answer, ask
from tests.docker.workspace import Workspace, fetch, list_images, run_docker, wait_until

Author = Callable[..., Path]


def revisions(workspace: Workspace, name: str) -> list[dict[str, Any]]:
    return list(json.loads(workspace.invoke("functions", name, "--json").stdout))


def deploy(workspace: Workspace, folder: Path, text: str, *options: str) -> None:
    (folder / "main.py").write_text(answer(text))
    workspace.invoke("deploy-function", folder.name, *options)


def test_rollback_is_a_deploy_of_an_older_image(workspace: Workspace, author: Author) -> None:
    folder = author("rolls", answer("one"))
    for text in ("one", "two"):
        deploy(workspace, folder, text, "--message", f"says {text}")
    (folder / "main.py").write_text("from nowhere import handler\n")
    result = workspace.invoke("rollback-function", "rolls")
    assert "building" not in result.stderr
    assert ask(workspace, "rolls") == "one"
    found = revisions(workspace, "rolls")
    assert [(one["revision"], one["is_current"], one["message"]) for one in found] == [
        (3, True, "rollback to 1"),
        (2, False, "says two"),
        (1, False, "says one"),
    ]
    assert found[0]["image"] == found[2]["image"]
    assert all(one["has_image"] and "@" in one["author"] for one in found)
    workspace.invoke("rollback-function", "rolls", "--to", "2")
    assert ask(workspace, "rolls") == "two"
    before = workspace.containers()
    assert "nothing was changed" in workspace.invoke("up").stderr
    assert workspace.containers() == before
    run_docker("image", "rm", "--force", found[2]["image"])
    refusals = {
        "9": "rolls has no revision 9. Older revisions that are kept: 3, 2, 1;",
        "4": "Revision 4 of rolls is what runs. Older revisions: 3, 2, 1.",
        "1": "The image of revision 1 of rolls, nuclio/processor-rolls:",
    }
    for number, message in refusals.items():
        refused = workspace.invoke("rollback-function", "rolls", "--to", number, check=False)
        assert refused.returncode == 1
        assert refused.stderr.startswith(message)
    assert ask(workspace, "rolls") == "two"
    assert not revisions(workspace, "rolls")[-1]["has_image"]


@pytest.mark.slow
def test_deploy_of_what_rests_changes_nothing(workspace: Workspace, author: Author) -> None:
    """Five deploys of one that is scaled to 0 would else leave no revision to go back to."""
    folder = author("rests", answer("one"))
    deploy(workspace, folder, "one")
    workspace.invoke("scale-function", "rests", "0")
    workspace.invoke("deploy-function", "rests")
    assert [one["revision"] for one in revisions(workspace, "rests")] == [1]
    assert workspace.containers("function-rests") == []
    deploy(workspace, folder, "two")
    assert [one["revision"] for one in revisions(workspace, "rests")] == [2, 1]


@pytest.mark.slow
def test_older_container_that_is_stopped_is_not_started_again(workspace: Workspace, author: Author) -> None:
    folder = author("stopped", answer("one"))
    deploy(workspace, folder, "one")
    (old,) = workspace.containers("function-stopped")
    workspace.docker("stop", old)
    began = str(time.time())
    deploy(workspace, folder, "two")
    filters = ["--filter", f"container={old}", "--filter", "event=start"]
    assert workspace.docker("events", "--since", began, "--until", str(time.time()), *filters).stdout == ""
    assert ask(workspace, "stopped") == "two"
    assert len(workspace.containers("function-stopped")) == 1
    stack = open_stack(RunWorkspace(workspace.root))
    for _ in range(5):
        (container,) = [one for one in stack.engine.listed() if one.function == "stopped"]
        Driver(stack.engine).halt([container])
        assert [one.is_stopped for one in stack.engine.listed() if one.id == container.id] == [True]
        workspace.docker("start", container.id)
    # One that is gone by then is as good as stopped.
    workspace.docker("rm", "--force", container.id)
    Driver(stack.engine).stop([container])


@pytest.mark.slow
def test_what_a_killed_deploy_left_is_no_replica(workspace: Workspace, author: Author) -> None:
    folder = author("halfway", answer("one"))
    workspace.invoke("deploy-function", "halfway")
    (folder / "main.py").write_text(answer("two"))
    process = workspace.start("deploy-function", "halfway")
    wait_until(lambda: len(workspace.containers("function-halfway")) == 2, seconds=60, what="the new container")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    workspace.invoke("scale-function", "halfway", "2")
    assert len(workspace.containers("function-halfway")) == 2
    assert {fetch(workspace.url("halfway")) for _ in range(10)} == {(200, "one")}
    assert (workspace.rendered / "state" / "attempts" / "halfway").is_file()
    workspace.invoke("up")
    assert not (workspace.rendered / "state" / "attempts" / "halfway").exists()


@pytest.mark.slow
def test_a_version_leaves_nothing_bound_that_the_next_does_not_want(workspace: Workspace, author: Author) -> None:
    config = """
spec:
  triggers:
    sensors: {{kind: mqtt, attributes: {{queueName: {}, subscriptions: [{{topic: plant/+/{}, qos: 1}}]}}}}
"""
    folder = author("turns", answer("one"), config.format("turns", "temperature"))
    workspace.invoke("deploy-function", "turns")
    with pika.BlockingConnection(pika.URLParameters(workspace.amqp_url)) as connection:
        channel = connection.channel()
        channel.queue_bind("turns", "amq.topic", "by.hand")
        (folder / "function.yaml").write_text(config.format("turns", "humidity"))
        workspace.invoke("deploy-function", "turns")
        assert bound(workspace, "turns") == {"by.hand", "plant.*.humidity"}
        workspace.invoke("rollback-function", "turns")
        assert bound(workspace, "turns") == {"by.hand", "plant.*.temperature"}
        channel.queue_unbind("turns", "amq.topic", "by.hand")
        (folder / "function.yaml").write_text(config.format("turns-2", "humidity"))
        assert "queue" not in workspace.invoke("deploy-function", "turns").stderr
        assert bound(workspace, "turns") is None
        workspace.invoke("scale-function", "turns", "0")
        channel.basic_publish("amq.topic", "plant.a.humidity", b"40")
        (folder / "function.yaml").write_text(config.format("turns-3", "humidity"))
        told = " ".join(workspace.invoke("deploy-function", "turns").stderr.split())
        assert "No function consumes the queue turns-2 any more. It is kept, since it still holds 1 message." in told
        assert bound(workspace, "turns-2") == set()
        channel.queue_purge("turns-2")
    workspace.invoke("delete-function", "turns", "--yes")
    assert bound(workspace, "turns-2") is bound(workspace, "turns-3") is None


def bound(workspace: Workspace, queue: str) -> set[str] | None:
    """Return what is bound to a queue; None where there is no such queue."""
    url = f"http://127.0.0.1:{workspace.settings.ports.management}/api/queues/%2F/{queue}"
    if fetch(url, user="guest", password="guest")[0] == 404:
        return None
    found = json.loads(fetch(f"{url}/bindings", user="guest", password="guest")[1])
    return {one["routing_key"] for one in found if one["source"]}


@pytest.fixture
def two_revisions(workspace: Workspace) -> Iterator[None]:
    """Only two revisions are kept."""
    before = (workspace.root / "stack.yaml").read_text()
    workspace.configure(revisions=2)
    yield
    (workspace.root / "stack.yaml").write_text(before)


@pytest.mark.usefixtures("two_revisions")
@pytest.mark.slow
def test_old_images_are_pruned(workspace: Workspace, author: Author) -> None:
    """Those of dropped revisions go, and those of versions that never ran; what a container uses stays."""
    others = list_images("nuclio/processor-prunes")
    folder = author("prunes", answer("one"))
    deploy(workspace, folder, "one")
    (first,) = (one["image"] for one in revisions(workspace, "prunes"))
    user = run_docker("create", first).stdout.strip()
    try:
        for text in ("two", "three"):
            deploy(workspace, folder, text)
        (folder / "main.py").write_text("from nowhere import handler\n")
        assert workspace.invoke("deploy-function", "prunes", check=False).returncode == 1
        deploy(workspace, folder, "four")
        kept = {one["image"] for one in revisions(workspace, "prunes")}
        assert len(kept) == 2
        images = list_images("nuclio/processor-prunes")
        assert images - others <= kept | {first, "nuclio/processor-prunes:latest"} <= images
    finally:
        run_docker("rm", "--force", user)
    workspace.invoke("delete-function", "prunes", "--yes")
    assert list_images("nuclio/processor-prunes") <= others


# Docker's name server goes on naming a container that ends, so a connection may come between its last look at its
# listener and the end of that; as any client would, it then asks once more.
ASKER = """
import sys, time, urllib.request

def ask():
    with urllib.request.urlopen(sys.argv[1], timeout=9) as answer:
        return answer.read().decode()

while True:
    try:
        try:
            print(ask(), flush=True)
        except OSError:
            print(ask(), flush=True)
    except OSError as error:
        print("failed:", error, flush=True)
    time.sleep(0.01)
"""


@contextmanager
def asking(workspace: Workspace, name: str) -> Iterator[list[str]]:
    """Ask a function without a pause from within the stack's network; give every answer, and every failure."""
    (container,) = workspace.containers(f"function-{name}")
    command = ["docker", "exec", container, "python3", "-c", ASKER, "http://function-killed:8080"]
    answers: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        reader = threading.Thread(target=lambda: answers.extend(line.strip() for line in process.stdout or ()))
        reader.start()
        wait_until(lambda: answers)
        yield answers
        process.kill()
        reader.join(10)


def test_deploy_that_is_killed_at_any_moment(workspace: Workspace, author: Author) -> None:
    """The old version answers throughout; the next deploy finds its way, and leaves nothing behind."""
    author("watcher", answer("watcher"))
    others = list_images("nuclio/processor-killed")
    folder = author("killed", answer("0"))
    for name in ("watcher", "killed"):
        workspace.invoke("deploy-function", name)
    seconds = (0.5, 0.9, 1.3, 1.8, 2.4)
    with asking(workspace, "watcher") as answers:
        for number, after in enumerate(seconds, start=1):
            (folder / "main.py").write_text(answer(str(number)))
            process = workspace.start("deploy-function", "killed")
            time.sleep(after)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate(timeout=60)
        (folder / "main.py").write_text(answer("last"))
        workspace.invoke("deploy-function", "killed")
        wait_until(lambda: answers[-1] == "last")
    assert [one for one in answers if one.startswith("failed")] == []
    assert len(workspace.containers("function-killed")) == 1
    assert list(workspace.rendered.glob("candidate.*")) == []
    kept = {one["image"] for one in revisions(workspace, "killed")}
    assert list_images("nuclio/processor-killed") - others <= kept | {"nuclio/processor-killed:latest"}
    assert "nothing was changed" in workspace.invoke("up").stderr


@pytest.mark.slow
def test_interruption_is_one_calm_line(workspace: Workspace, author: Author) -> None:
    folder = author("calm", answer("one"))
    workspace.invoke("deploy-function", "calm")
    old = workspace.containers("function-calm")
    (folder / "main.py").write_text("import time\ntime.sleep(60)\n" + answer("two"))
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = workspace.start("deploy-function", "calm")
        wait_until(lambda: len(workspace.containers("function-calm")) == 2, seconds=60, what="the new container")
        os.kill(process.pid, number)
        lines = process.communicate(timeout=60)[0].splitlines()
        assert (process.returncode, lines[-1]) == (status, "Interrupted; calm runs as before.")
        assert workspace.containers("function-calm") == old
    assert "nothing was changed" in workspace.invoke("up").stderr
