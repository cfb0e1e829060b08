"""Deploys of several functions at once, one of which waits long for its function."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docker.hanging import DATA, HANG, SECONDS
from tests.docker.test_revision import bound
from tests.docker.workspace import Workspace, fetch, wait_until

Author = Callable[..., Path]

# Tells its secret.
HANGING = f'{HANG}\ndef handler(context, event):\n    return os.environ["WORD"]\n'
TRIGGERS = """
  triggers:
    http: {kind: http}
    queue: {kind: rabbit-mq, attributes: {queueName: sd-queue, exchangeName: sd-sides, topics: [sd.side]}}
"""
HANGING_CONFIG = """
spec:
  readinessTimeoutSeconds: 300
  env: [{{name: WORD, valueFrom: {{secretKeyRef: {{name: sides, key: word}}}}}}]
""" + DATA.lstrip("\n")


@pytest.fixture(scope="module")
def secret(workspace: Workspace) -> Iterator[None]:
    """What sd-hanging tells."""
    set_secret(workspace)
    yield
    workspace.invoke("secret", "remove", "sides", "word", "--force")


def set_secret(workspace: Workspace) -> None:
    workspace.invoke("secret", "set", "sides", "word", input="told")


@pytest.fixture
def hang(workspace: Workspace, author: Author, secret: None, tmp_path: Path) -> Iterator[Path]:
    """A file that has sd-hanging hang, which no one has deployed."""
    tmp_path.chmod(0o777)
    workspace.allow(tmp_path)
    author("sd-hanging", HANGING, HANGING_CONFIG.format(folder=tmp_path) + TRIGGERS)
    path = tmp_path / "hang"
    path.touch()
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture
def other(workspace: Workspace, author: Author) -> None:
    """Deploy sd-other, which has the same queue as sd-hanging."""
    author("sd-other", answer("one"), f"spec:{TRIGGERS}")
    workspace.invoke("deploy-function", "sd-other")


def answer(text: str) -> str:
    return f"def handler(context, event):\n    return {text!r}\n"


@contextmanager
def deploying(workspace: Workspace) -> Iterator["subprocess.Popen[str]"]:
    """Deploy sd-hanging, up to where its container is waited for."""
    process = workspace.start("deploy-function", "sd-hanging")
    try:
        wait_until(lambda: workspace.containers("function-sd-hanging"), seconds=60, what="its container")
        yield process
    finally:
        process.kill()
        process.communicate(timeout=60)


def test_others_are_deployed_rolled_back_and_deleted_while_one_hangs(
    workspace: Workspace, author: Author, other: None, hang: Path
) -> None:
    with deploying(workspace) as deploy:
        began = time.monotonic()
        author("sd-other", answer("two"), "spec: {maxReplicas: 1}\n")
        workspace.invoke("deploy-function", "sd-other")
        assert fetch(workspace.url("sd-other")) == (200, "two")
        assert bound(workspace, "sd-queue") == {"sd.side"}
        workspace.invoke("rollback-function", "sd-other")
        assert fetch(workspace.url("sd-other")) == (200, "one")
        workspace.invoke("scale-function", "sd-other", "1")
        workspace.invoke("delete-function", "sd-other", "--yes")
        assert time.monotonic() - began < SECONDS
        assert bound(workspace, "sd-queue") == {"sd.side"}
        assert (workspace.rendered / "secrets/mounted/sides.word").is_file()
        assert deploy.poll() is None
        hang.unlink()
        printed = deploy.communicate(timeout=120)[0]
        assert deploy.returncode == 0, printed
    assert fetch(workspace.url("sd-hanging")) == (200, "told")
    assert list(workspace.rendered.glob("candidate.*")) == []


@pytest.mark.slow
def test_deploy_removes_what_another_prepared_that_was_killed(workspace: Workspace, author: Author, hang: Path) -> None:
    with deploying(workspace) as deploy:
        assert len(list(workspace.rendered.glob("candidate.*"))) == 1
        os.kill(deploy.pid, signal.SIGKILL)
        deploy.wait(60)
    author("sd-other", answer("two"), "spec: {maxReplicas: 1}\n")
    workspace.invoke("deploy-function", "sd-other")
    assert list(workspace.rendered.glob("candidate.*")) == []
    workspace.invoke("up")
    assert workspace.containers("function-sd-hanging") == []


def test_up_waits_for_a_deploy_that_hangs(workspace: Workspace, hang: Path) -> None:
    with deploying(workspace) as deploy, workspace.start("up") as up:
        assert up.stdout
        next(line for line in up.stdout if "Another task is working on stack; waiting for it." in line)
        with pytest.raises(subprocess.TimeoutExpired):
            up.wait(1)
        hang.unlink()
        assert deploy.wait(120) == 0
        up.stdout.read()
    assert fetch(workspace.url("sd-hanging")) == (200, "told")


@pytest.mark.slow
def test_of_several_those_count_that_are_ready_while_another_hangs(
    workspace: Workspace, author: Author, other: None, hang: Path
) -> None:
    author("sd-other", answer("two"), f"spec:{TRIGGERS}")
    record = workspace.rendered / "state/functions/sd-other.json"
    assert '"revision": 1,' in record.read_text()
    deploy = workspace.start("deploy-function", "--all")
    try:
        wait_until(lambda: '"revision": 2,' in record.read_text(), seconds=SECONDS, what="the new version")
        wait_until(lambda: len(workspace.containers("function-sd-other")) == 1, what="the end of the older")
        assert deploy.poll() is None
        assert fetch(workspace.url("sd-other")) == (200, "two")
        assert fetch(workspace.url("sd-hanging"), timeout=SECONDS)[0] == 503
        os.kill(deploy.pid, signal.SIGINT)
        printed = deploy.communicate(timeout=60)[0]
    finally:
        deploy.kill()
        deploy.communicate(timeout=60)
    assert "sd-other: ready (" in printed
    assert printed.splitlines()[-1] == "Interrupted; what is not ready yet is as it was before."
    assert workspace.containers("function-sd-hanging") == []
    assert len(workspace.containers("function-sd-other")) == 1
    assert workspace.functions()["sd-other"]["state"] == "ready"


@pytest.mark.slow
def test_each_of_several_has_its_own_time_to_be_ready(workspace: Workspace, author: Author, hang: Path) -> None:
    config = HANGING_CONFIG.format(folder=hang.parent).replace("300", "3")
    author("sd-hanging", HANGING, config)
    author("sd-slow", f"import time\ntime.sleep(8)\n{answer('slow')}", "spec: {readinessTimeoutSeconds: 60}\n")
    failed = workspace.invoke("deploy-function", "--all", check=False)
    assert failed.returncode == 1
    assert "function-sd-hanging was not ready within 3 s" in failed.stderr
    assert fetch(workspace.url("sd-slow")) == (200, "slow")


@pytest.mark.slow
def test_secret_of_a_function_on_its_way_is_used(workspace: Workspace, hang: Path) -> None:
    with deploying(workspace) as deploy:
        refused = workspace.invoke("secret", "remove", "sides", "word", check=False)
        assert (refused.returncode, "sides.word is used by sd-hanging." in refused.stderr) == (1, True)
        workspace.invoke("secret", "remove", "sides", "word", "--force")
        hang.unlink()
        assert deploy.wait(120) == 0
    assert fetch(workspace.url("sd-hanging")) == (200, "told")
    set_secret(workspace)
