"""The tutorial's commands, typed one after the other; each shows what the page says."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pika
import pytest

from tests.docker.workspace import ROOT, Workspace, list_images, run_docker, wait_until

TEXT = (ROOT / "docs" / "tutorial.md").read_text()
SECTIONS = dict(re.findall(r"^## (\d)\. .*?\n(.*?)(?=^## )", TEXT, re.S | re.M))
MISTAKE = re.findall(r"```python\n(raise .*?)\n```", SECTIONS["7"])[0]

LOGGER = "function-tidegate-logger"

Type = Callable[..., str]


@pytest.fixture
def type_line(workspace: Workspace, tmp_path: Path) -> Type:
    """Type a line in a shell whose .venv is active."""
    for name, command in {"invoke": workspace.command(), "python": [sys.executable]}.items():
        script = tmp_path / name
        script.write_text(f'#!/bin/sh\nexec {" ".join(command)} "$@"\n')
        script.chmod(0o755)
    environment = workspace.environment(PATH=f"{tmp_path}:{os.environ['PATH']}", PYTHONPATH=str(ROOT))

    def run(line: str) -> str:
        done = subprocess.run(
            ["sh", "-c", line], cwd=workspace.root, env=environment, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    return run


@pytest.fixture
def hot(workspace: Workspace) -> Iterator[Path]:
    """The folder of the function that the tutorial makes."""
    folder, images = workspace.root / "functions" / "hot", "nuclio/processor-hot"
    workspace.foreign.setdefault(images, list_images(images))
    yield folder
    workspace.invoke("delete-function", "hot", "--yes", check=False)
    shutil.rmtree(folder, ignore_errors=True)


def find_lines(number: int) -> list[str]:
    """Return what a section has to type."""
    blocks = re.findall(r"```sh\n(.*?)```", SECTIONS[str(number)], re.S)
    return [line for block in blocks for line in block.splitlines() if not line.startswith(". ")]


def empty(workspace: Workspace, queue: str) -> None:
    """Take away what other tests have left in a queue that does not outlive the broker."""
    with pika.BlockingConnection(pika.URLParameters(workspace.amqp_url)) as connection:
        channel = connection.channel()
        channel.queue_declare(queue, durable=False)
        channel.queue_purge(queue)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_reading_is_answered_and_one_is_published(type_line: Type, workspace: Workspace) -> None:
    empty(workspace, "iot/logs")
    type_line(find_lines(2)[0])
    _watch, device, *service = find_lines(3)
    type_line(device)
    assert type_line("invoke logger --count 5").count("Invoked Function amqpconsume on") == 5
    keep_lines(type_line, workspace, *service)
    printed = "".join(map(type_line, find_lines(4)))
    assert "send 21.5" in printed
    assert "Invoked Function amqpconsume on 21.5" in printed


def keep_lines(type_line: Type, workspace: Workspace, *lines: str) -> None:
    """Have the logger keep what is said, also while it is killed; what it kept is there when it is gone."""
    start, device, kept, stop = lines
    type_line(start)
    type_line(device)
    wait_until(lambda: type_line(kept).count("Invoked Function amqpconsume on") == 3, seconds=60, what="three lines")
    (logger,) = workspace.containers(LOGGER)
    run_docker("kill", logger)
    with pika.BlockingConnection(pika.URLParameters(workspace.people_url)) as connection:
        channel = connection.channel()
        # As any function or device declares it, though the logger consumes it.
        channel.queue_declare("iot/logs", durable=False)
        channel.basic_publish("", "iot/logs", b"said meanwhile")
    run_docker("start", logger)
    last = f"{kept} --count 1"
    wait_until(lambda: type_line(last).endswith("  said meanwhile\n"), seconds=60, what="what was said meanwhile")
    assert LOGGER in type_line("invoke status")
    assert "`invoke logger --kept`" in workspace.invoke("logger", "--count", "1", check=False).stderr
    type_line(stop)
    assert not workspace.containers(LOGGER)
    assert type_line(last).endswith("  said meanwhile\n")


def test_an_alert_is_made_changed_broken_and_mended(type_line: Type, hot: Path) -> None:
    *lines, logs = find_lines(5)
    assert "alert\n" in "".join(map(type_line, lines))
    wait_until(lambda: "Alert" in type_line(logs), seconds=60, what="an alert")

    replace(hot / "function.yaml", '"25"', '"20"')
    deploy, revisions = find_lines(6)
    type_line(deploy)
    assert "alert from 20 degrees" in type_line(revisions)
    assert "ready" in type_line("invoke rollback-function hot")

    # So that no one waits for three retries.
    replace(hot / "function.yaml", "      attributes:\n", "      attributes:\n        maxRetries: 0\n")
    start = "    try:\n"
    replace(hot / "main.py", start, f"    {MISTAKE}\n{start}")
    deploy, device, letters, show, mended, replay, _logs = find_lines(7)
    type_line(deploy)
    type_line(device)
    wait_until(lambda: type_line(letters).count("the sensor is not calibrated") == 2, seconds=60, what="dead letters")
    assert MISTAKE in type_line(show)
    replace(hot / "main.py", f"    {MISTAKE}\n", "")
    type_line(mended)
    type_line(replay)
    wait_until(lambda: "not calibrated" not in type_line(letters), seconds=60, what="no dead letters")
