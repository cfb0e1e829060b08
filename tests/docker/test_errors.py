"""What goes wrong on a machine: each case has its own message, and nothing is started."""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from stack.config.settings import FILE
from tests.docker.workspace import Workspace, listening, run_docker

# Tasks that need Docker.
TASKS = (
    ("up",),
    ("down",),
    ("status", "--json"),
    ("logs",),
    ("functions",),
    ("deploy-function", "one"),
    ("delete-function", "one", "--yes"),
)
HANDLER = "def handler(context, event):\n    return 'one'\n"

# Answers some commands otherwise, and is Docker for the rest.
OLD_DOCKER = """#!/bin/sh
case "$*" in
    {pattern}) {answer} ;;
    *) exec {docker} "$@" ;;
esac
"""


def refuse(workspace: Workspace, *arguments: str, **options: object) -> str:
    """Run a task that must fail with a message and without output; return the message."""
    result = workspace.invoke(*arguments, check=False, **options)  # type: ignore[arg-type]
    assert result.returncode == 1, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert "defect" not in result.stderr
    assert "\x1b" not in result.stderr
    return result.stderr.strip()


def fake_docker(folder: Path, pattern: str, answer: str) -> dict[str, str]:
    """Put another `docker` before the real one; return the environment that finds it."""
    script = folder / "docker"
    script.parent.mkdir()
    script.write_text(OLD_DOCKER.format(pattern=pattern, answer=answer, docker=shutil.which("docker")))
    script.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.fixture
def forbidden_socket(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """A socket that may not be connected to, and what takes root's right to do so all the same away."""
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        path.chmod(0)
        yield f"unix://{path}", without_rights()


def without_rights() -> list[str]:
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


@pytest.mark.parametrize("task", TASKS, ids=" ".join)
def test_docker_is_not_installed(fresh_workspace: Workspace, tmp_path: Path, task: tuple[str, ...]) -> None:
    fresh_workspace.write_function("one", HANDLER)
    message = refuse(fresh_workspace, *task, env={"PATH": str(tmp_path)})
    assert message.startswith("Docker is not installed. Type `./bootstrap provision`")


@pytest.mark.parametrize("task", TASKS, ids=" ".join)
def test_engine_is_down(fresh_workspace: Workspace, tmp_path: Path, task: tuple[str, ...]) -> None:
    fresh_workspace.write_function("one", HANDLER)
    message = refuse(fresh_workspace, *task, env={"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    assert message.startswith("Docker is installed and its engine does not run. Type `./bootstrap provision`")
    assert f"unix://{tmp_path}/none.sock, where DOCKER_HOST or Docker's context leads" in message


@pytest.mark.parametrize("task", TASKS, ids=" ".join)
def test_socket_is_forbidden(
    fresh_workspace: Workspace, forbidden_socket: tuple[str, list[str]], task: tuple[str, ...]
) -> None:
    fresh_workspace.write_function("one", HANDLER)
    address, prefix = forbidden_socket
    message = refuse(fresh_workspace, *task, env={"DOCKER_HOST": address}, prefix=prefix)
    assert message.startswith("You may not use Docker's socket.")
    assert "usermod -aG docker" in message


@pytest.mark.parametrize(
    ("pattern", "answer", "expected"),
    [
        ("compose\\ version*", "echo 2.19.1", "Docker Compose 2.19.1 is too old; 2.20 or newer is needed."),
        ("compose\\ version*", "exit 1", "Docker Compose is not installed; 2.20 or newer is needed."),
        ("buildx*", "exit 1", "Docker Buildx, which builds images, is not installed."),
    ],
)
def test_docker_is_too_old(
    fresh_workspace: Workspace, tmp_path: Path, pattern: str, answer: str, expected: str
) -> None:
    fresh_workspace.write_function("one", HANDLER, f"spec: {{description: {uuid4()}}}")
    message = refuse(fresh_workspace, "deploy-function", "one", env=fake_docker(tmp_path / "bin", pattern, answer))
    *_, line = message.splitlines()
    assert expected in line
    assert "./bootstrap provision" in line
    assert fresh_workspace.containers() == []


@pytest.mark.parametrize("key", ["amqp", "mqtt", "management", "metrics"])
def test_port_is_in_use(fresh_workspace: Workspace, key: str) -> None:
    port = fresh_workspace.settings.ports.model_dump()[key]
    with listening("127.0.0.1", port):
        message = refuse(fresh_workspace, "up")
    assert message.startswith(f"Port {port} (ports.{key}) on 127.0.0.1 is in use by another program.")
    assert FILE in message
    assert fresh_workspace.containers() == []


def test_several_ports_are_in_use(fresh_workspace: Workspace) -> None:
    ports = fresh_workspace.settings.ports
    with listening("127.0.0.1", ports.amqp), listening("0.0.0.0", ports.mqtt):
        message = refuse(fresh_workspace, "up")
    assert message.startswith(f"Ports {ports.amqp} (ports.amqp), {ports.mqtt} (ports.mqtt) on 127.0.0.1 are in use")


def test_wide_bind_with_guest(fresh_workspace: Workspace) -> None:
    fresh_workspace.configure(bind="0.0.0.0")
    for task in ("up", "render"):
        message = refuse(fresh_workspace, task)
        assert message.startswith("stack.yaml: bind: 0.0.0.0 lets other machines log in as guest/guest.")
        assert "`invoke credentials`" in message
    assert fresh_workspace.containers() == []


def test_all_mistakes_of_the_settings_at_once(fresh_workspace: Workspace) -> None:
    (fresh_workspace.root / FILE).write_text("bnd: 1.2.3.4\nports: {amqp: many, mqtt: 0}\nimages: {source: hub}\n")
    for task in TASKS:
        problems = refuse(fresh_workspace, *task).splitlines()
        assert sorted(problem.split(": ")[1] for problem in problems) == [
            "bnd",
            "images.source",
            "ports.amqp",
            "ports.mqtt",
        ]


def test_all_mistakes_of_the_functions_at_once(fresh_workspace: Workspace) -> None:
    fresh_workspace.write_function("first", HANDLER, "spec: {triggers: {a: {kind: kafka}}, handlr: main:handler}")
    fresh_workspace.write_function("second", HANDLER, "spec: {env: {A: b}}")
    fresh_workspace.write_function("third", HANDLER, "spec: [1")
    for task in ("up", "render", "plan"):
        *problems, way_on = refuse(fresh_workspace, task).splitlines()
        assert way_on.startswith("Mend this, or move the folder out of functions/")
        assert [problem.partition(":")[0] for problem in problems] == [
            "functions/first/function.yaml",
            "functions/first/function.yaml",
            "functions/second/function.yaml",
            "functions/third/function.yaml",
        ]
    assert fresh_workspace.containers() == []


def test_wrong_function_hides_no_other(fresh_workspace: Workspace) -> None:
    fresh_workspace.write_function("right", HANDLER)
    fresh_workspace.write_function("wrong", HANDLER, "spec: {handlr: main:handler}")
    result = fresh_workspace.invoke("functions", "--json")
    assert [one["name"] for one in json.loads(result.stdout)] == ["right"]
    assert result.stderr.startswith("warning: functions/wrong/function.yaml: spec.handlr: ")


def test_project_of_another_workspace(fresh_workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> None:
    fresh_workspace.invoke("up")
    running = fresh_workspace.containers()
    other = tmp_path_factory.mktemp("other")
    shutil.copy(fresh_workspace.root / FILE, other)
    fresh_workspace.write_function("one", HANDLER)
    shutil.copytree(fresh_workspace.root / "functions", other / "functions")
    for task in (("up",), ("plan",), ("down",), ("deploy-function", "one")):
        message = refuse(fresh_workspace, *task, env={"TIDEGATE_WORKSPACE": str(other)})
        assert message.endswith(
            f"The project {fresh_workspace.project} runs from {fresh_workspace.root}. Choose another `project`, and "
            f"other ports, in {other / FILE}; or type `invoke down` there first."
        )
    assert fresh_workspace.containers() == running
    # As after its folder was renamed.
    compose = fresh_workspace.rendered / "compose.yaml"
    hidden = compose.rename(other / "hidden")
    planned = fresh_workspace.invoke("plan", env={"TIDEGATE_WORKSPACE": str(other)}, check=False)
    hidden.rename(compose)
    assert planned.returncode == 2, planned.stderr


def test_unknown_function(fresh_workspace: Workspace) -> None:
    fresh_workspace.write_function("one", HANDLER)
    message = refuse(fresh_workspace, "deploy-function", "oen")
    assert message == "There is no functions/oen/function.yaml. Functions here: one."
    message = refuse(fresh_workspace, "delete-function", "oen", "--yes")
    assert message == "oen is not deployed. Deployed functions: none."


def test_deploy_of_nothing(fresh_workspace: Workspace) -> None:
    fresh_workspace.write_function("one", HANDLER)
    assert "add --all or --image-file: invoke deploy-function NAME" in refuse(fresh_workspace, "deploy-function")
    told = refuse(fresh_workspace, "deploy-function", "one", "--all")
    assert "Give only one of NAME, --all and --image-file" in told


def test_nothing_runs(fresh_workspace: Workspace) -> None:
    assert fresh_workspace.invoke("status", "--json").stdout == "[]\n"
    assert fresh_workspace.invoke("functions", "--json").stdout == "[]\n"
    assert "`invoke up`" in fresh_workspace.invoke("status").stderr
    fresh_workspace.invoke("down")
    assert refuse(fresh_workspace, "logs") == "There is no container of this stack. What runs: nothing."


@pytest.mark.slow
def test_image_of_a_deployed_function_is_gone(fresh_workspace: Workspace) -> None:
    fresh_workspace.write_function("lost", HANDLER)
    fresh_workspace.invoke("deploy-function", "lost")
    fresh_workspace.note_images()
    fresh_workspace.invoke("down")
    run_docker("image", "rm", "--force", *fresh_workspace.images, "nuclio/processor-lost:latest")
    fresh_workspace.write_function("lost", HANDLER + "# changed since\n")
    message = "The image of lost is gone. Build it again: invoke deploy-function lost."
    assert message in fresh_workspace.invoke("up").stderr
    assert fresh_workspace.containers("rabbitmq-mqtt")
    assert not fresh_workspace.containers("function-lost")
    fresh_workspace.invoke("down")
    fresh_workspace.invoke("deploy-function", "lost")
    assert fresh_workspace.functions()["lost"]["state"] == "ready"


def test_remembered_deployment_is_damaged(fresh_workspace: Workspace) -> None:
    folder = fresh_workspace.rendered / "state" / "functions"
    folder.mkdir(parents=True)
    (folder / "one.json").write_text("{")
    assert "Write it again: invoke deploy-function one." in fresh_workspace.invoke("up").stderr


def test_folder_cannot_be_written(fresh_workspace: Workspace) -> None:
    fresh_workspace.write_function("one", HANDLER)
    fresh_workspace.root.chmod(0o555)
    try:
        for task in (("render",), ("up",), ("credentials",), ("deploy-function", "one")):
            message = refuse(fresh_workspace, *task, prefix=without_rights())
            assert f"Check who owns {fresh_workspace.root}" in message
    finally:
        fresh_workspace.root.chmod(0o755)


def test_workspace_is_no_folder(fresh_workspace: Workspace) -> None:
    message = refuse(fresh_workspace, "status", env={"TIDEGATE_WORKSPACE": "/nowhere"})
    assert message.startswith("TIDEGATE_WORKSPACE names /nowhere, which is no folder")


def test_certificates_are_missing(fresh_workspace: Workspace) -> None:
    fresh_workspace.configure(images={"source": "debian", "ca": "/nowhere/ca.pem"})
    assert refuse(fresh_workspace, "up") == "stack.yaml: images.ca: there is no file /nowhere/ca.pem."


@pytest.mark.slow
def test_volume_of_a_function_is_missing(fresh_workspace: Workspace) -> None:
    config = (
        "spec: {volumes: [{volume: {name: v, hostPath: {path: /nowhere/data}}, "
        "volumeMount: {name: v, mountPath: /data}}]}"
    )
    fresh_workspace.write_function("one", HANDLER, config)
    fresh_workspace.allow(Path("/nowhere/data"))
    message = refuse(fresh_workspace, "deploy-function", "one")
    assert "/nowhere/data" in message
    assert fresh_workspace.containers("function-one") == []
