"""Backup and restore of a real stack: what was confirmed is there again, in order, with all that belongs to it."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pika
import pytest

from stack.config.network import SECURE
from tests.docker.workspace import Workspace, fetch, make_workspace, run_docker, wait_until
from tests.ports import free_ports

NAME = "bk-failing"
WORD = {"TIDEGATE_PASSPHRASE": "correct horse battery"}
HANDLER = """
from pathlib import Path

def handler(context, event):
    if event.trigger.kind == "http":
        Path("/data/called").write_text("once")
        return "{}"
    raise ValueError("no")
"""
CONFIG = """
spec:
  env: [{name: WORD, valueFrom: {secretKeyRef: {name: bk, key: word}}}]
  volumes: [{volume: {name: d, persistentVolumeClaim: {claimName: bk}}, volumeMount: {name: d, mountPath: /data}}]
  triggers:
    http: {kind: http}
    in: {kind: rabbit-mq, attributes: {exchangeName: bk, topics: [bad], queueName: bk-queue, maxRetries: 0}}
"""
EVENT = "metadata: {name: one, labels: {}}\nspec: {displayName: one, body: '21.5'}\n"
MESSAGES, LETTERS = 200, 5


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, foundation: None, used_images: set[str]) -> Iterator[Workspace]:
    """A stack with a function that was rolled back, a secret, dead letters, a saved event and waiting messages."""
    workspace = make_workspace(tmp_path_factory.mktemp("source") / "workspace", functions=True)
    try:
        workspace.invoke("secret", "set", "bk", "word", input="told")
        for text in ("one", "two"):
            workspace.write_function(NAME, HANDLER.format(text), CONFIG)
            workspace.invoke("deploy-function", NAME)
        workspace.invoke("rollback-function", NAME)
        assert fetch(workspace.url(NAME)) == (200, "one")
        events = workspace.root / "functions/.events" / NAME
        events.mkdir(parents=True)
        (events / "one.yaml").write_text(EVENT)
        publish(workspace)
        wait_until(lambda: len(list_letters(workspace)) == LETTERS, seconds=60, what="the dead letters")
        yield workspace
    finally:
        used_images |= workspace.clean_up()


@pytest.fixture(scope="module")
def backup(source: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("backup") / "stack.tar.gz"
    document = json.loads(source.invoke("backup", str(path), "--json", env=WORD).stdout)
    assert document["functions"] == {NAME: 3}
    # What was published in the last second counts twice at most: the figures are that old.
    queues = {name: document["queues"][name] for name in ("bk-queue.dead", "bk-quorum", "bk-classic")}
    assert queues["bk-queue.dead"] in range(LETTERS, 2 * LETTERS + 1)
    assert all(queues[name] in range(MESSAGES, 2 * MESSAGES + 1) for name in ("bk-quorum", "bk-classic"))
    assert path.stat().st_mode & 0o777 == 0o600
    return path


@pytest.fixture
def target(tmp_path: Path, used_images: set[str]) -> Iterator[Workspace]:
    """An empty workspace, but for a project and ports of its own."""
    workspace = make_workspace(tmp_path / "target", functions=False)
    (workspace.root / "functions").rmdir()
    yield workspace
    used_images |= workspace.clean_up()


def publish(workspace: Workspace) -> None:
    with pika.BlockingConnection(pika.URLParameters(workspace.amqp_url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for number in range(LETTERS):
            channel.basic_publish("bk", "bad", f"letter {number}".encode(), pika.BasicProperties(delivery_mode=2))
        channel.queue_declare("bk-quorum", durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_declare("bk-classic", durable=True, arguments={"x-queue-type": "classic"})
        for queue in ("bk-quorum", "bk-classic"):
            for number in range(MESSAGES):
                headers = {"number": number, "bytes": b"\xff\0", "table": {"a": [1, "b"]}}
                properties = pika.BasicProperties(
                    delivery_mode=2,
                    headers=headers,
                    message_id=str(number),
                    priority=3,
                    content_type="x/y",
                    timestamp=7,
                )
                channel.basic_publish("", queue, b"\xfe%d" % number, properties)


def list_letters(workspace: Workspace) -> list[dict[str, Any]]:
    return list(json.loads(workspace.invoke("dead-letters", "--json").stdout))


def take(workspace: Workspace, queue: str) -> list[tuple[bytes, Any]]:
    found = []
    with pika.BlockingConnection(pika.URLParameters(workspace.amqp_url)) as connection:
        channel = connection.channel()
        while (got := channel.basic_get(queue, auto_ack=True))[0]:
            found.append((got[2], got[1]))
    return found


def list_revisions(workspace: Workspace) -> list[Any]:
    return list(json.loads(workspace.invoke("functions", NAME, "--json").stdout))


def test_restored_stack_is_as_it_was(source: Workspace, backup: Path, target: Workspace) -> None:
    letters, revisions = list_letters(source), list_revisions(source)
    # The image of the revision that does not run comes out of the backup.
    older = revisions[1]["image"]
    run_docker("image", "rm", older, f"nuclio/processor-{NAME}:latest", check=False)
    target.invoke("restore", str(backup), "--keep-settings", env=WORD)
    assert list_letters(target) == letters
    assert list_revisions(target) == revisions
    assert all(one["has_image"] for one in revisions)
    assert target.execute(f"function-{NAME}", "cat", "/data/called").stdout == "once"
    assert fetch(target.url(NAME)) == (200, "one")
    target.invoke("rollback-function", NAME, "--to", "2")
    assert fetch(target.url(NAME)) == (200, "two")
    assert (target.rendered / "secrets/bk.word").read_text() == "told"
    assert (target.root / "functions/.events" / NAME / "one.yaml").read_text() == EVENT
    for queue in ("bk-quorum", "bk-classic"):
        found = take(target, queue)
        assert [body for body, _ in found] == [b"\xfe%d" % number for number in range(MESSAGES)]
        assert all(one.headers["number"] == number for number, (_, one) in enumerate(found))
        last = found[-1][1]
        assert (last.headers["bytes"], last.headers["table"]) == (b"\xff\0", {"a": [1, "b"]})
        assert (last.message_id, last.priority, last.content_type, last.timestamp) == (str(MESSAGES - 1), 3, "x/y", 7)
    verdict = json.loads(target.invoke("demo", "--count", "5", "--rate", "20", "--json").stdout)
    assert verdict["lost"] == 0
    # The source lost nothing by it, and a stack is not restored over another.
    assert list_letters(source) == letters
    refused = target.invoke("restore", str(backup), "--keep-settings", "--force", env=WORD, check=False)
    assert (refused.returncode, "invoke down --volumes --yes" in refused.stderr) == (1, True)


@pytest.mark.slow
def test_backup_is_restored_on_trial(source: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    done = source.invoke("backup", str(path), "--verify", "--no-images", "--json", env=WORD)
    document = json.loads(done.stdout)
    assert (document["verified"], document["images"]) == (True, [])
    assert len(document["missing_images"]) == 2
    assert "tidegate-trial" not in run_docker("ps", "--all", "--format", "{{.Names}}").stdout
    assert "tidegate-trial" not in run_docker("volume", "ls", "--format", "{{.Name}}").stdout


@pytest.mark.slow
def test_stack_with_tls_and_a_device_is_restored(source: Workspace, target: Workspace, tmp_path: Path) -> None:
    for one in (source, target):
        ports = one.settings.ports.model_dump() | dict(zip(SECURE, free_ports(len(SECURE)), strict=True))
        one.configure(tls={"enabled": True}, ports=ports)
    source.invoke("device", "add", "bk-pump")
    source.invoke("up")
    path = tmp_path / "b.tar.gz"
    done = source.invoke("backup", str(path), "--verify", "--no-images", "--json", env=WORD)
    assert json.loads(done.stdout)["verified"]
    target.invoke("restore", str(path), "--keep-settings", env=WORD)
    authorities = [(one.rendered / "secrets/tls/mounted/authority.pem").read_bytes() for one in (source, target)]
    assert authorities[0] == authorities[1]


def test_wrong_passphrase_and_cut_off_file_change_nothing(backup: Path, target: Workspace, tmp_path: Path) -> None:
    other = {"TIDEGATE_PASSPHRASE": "another word"}
    refused = target.invoke("restore", str(backup), "--keep-settings", env=other, check=False)
    assert (refused.returncode, "The passphrase is not that of this backup" in refused.stderr) == (1, True)
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(backup.read_bytes()[: backup.stat().st_size // 2])
    refused = target.invoke("restore", str(cut), "--keep-settings", env=WORD, check=False)
    assert (refused.returncode, "is damaged or cut off" in refused.stderr) == (1, True)
    assert [one.name for one in target.root.iterdir() if one.name != ".stack"] == ["stack.yaml"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a disk that is small")
@pytest.mark.slow
def test_full_disk_leaves_no_half_backup(source: Workspace, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small], check=True)
    try:
        refused = source.invoke("backup", str(small / "b.tar.gz"), env=WORD, check=False)
        assert (refused.returncode, list(small.iterdir())) == (1, [])
        assert "No space left on device. Make room there" in refused.stderr
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.slow
def test_backup_that_is_killed_keeps_no_broker_paused(source: Workspace, tmp_path: Path) -> None:
    (broker,) = source.containers("rabbitmq-mqtt")
    events = ["docker", "events", "--filter", f"container={broker}", "--filter", "event=pause"]
    with subprocess.Popen([*events, "--format", "{{.Action}}"], stdout=subprocess.PIPE, text=True) as pauses:
        backup = subprocess.Popen(
            source.command("backup", str(tmp_path / "b.tar.gz")),
            env=source.environment(**WORD),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert pauses.stdout
        assert pauses.stdout.readline() == "pause\n"
        os.kill(backup.pid, signal.SIGKILL)
        backup.wait(30)
        pauses.terminate()
    wait_until(lambda: _state(source) == "running", seconds=60, what="the broker's end of the pause")
    source.invoke("backup", str(tmp_path / "c.tar.gz"), "--no-images", env=WORD)
    assert _helpers(source) == []


def _helpers(workspace: Workspace) -> list[str]:
    return run_docker(
        "ps", "--all", "--quiet", "--filter", f"label=tidegate.io/helper={workspace.project}"
    ).stdout.split()


def _state(workspace: Workspace) -> str:
    return str(workspace.inspect("rabbitmq-mqtt")["State"]["Status"])


@pytest.mark.parametrize("content", [b"", b'{"name": "bk-'])
@pytest.mark.slow
def test_half_file_of_one_function_keeps_no_other_from_its_task(source: Workspace, content: bytes) -> None:
    before = source.containers(f"function-{NAME}")
    for folder in ("functions", "copies"):
        (source.rendered / "state" / folder / f"{NAME}.json").write_bytes(content)
    (source.rendered / "state/replicas").mkdir(exist_ok=True)
    (source.rendered / "state/replicas" / NAME).write_bytes(content)
    try:
        source.write_function("bk-other", f'def handler(context, event):\n    return "{time.time()}"\n')
        deployed = source.invoke("deploy-function", "bk-other")
        assert f"Write it again: invoke deploy-function {NAME}." in " ".join(deployed.stderr.split())
        for task in (("status",), ("functions",), ("up",), ("dead-letters",)):
            source.invoke(*task)
        assert source.containers(f"function-{NAME}") == before
    finally:
        source.invoke("deploy-function", NAME)
        (source.rendered / "state/replicas" / NAME).unlink(missing_ok=True)
    assert fetch(source.url(NAME)) == (200, "two")
    assert "cannot be read" not in source.invoke("functions").stderr
