"""A workspace of the tests' own: its project, its ports, its functions; and the command line that runs in it."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from uuid import uuid4

import yaml

from stack.config.environment import SecretContent
from stack.config.settings import FILE, Settings, load_settings
from stack.plan.account import administrator
from stack.run.image import revision_repository
from stack.state.credentials import load_credentials
from stack.state.vault import load_stack_key
from stack.state.workspace import Workspace as StackWorkspace
from tests.docker.forked_invoke import Task
from tests.ports import free_ports

ROOT = Path(__file__).parents[2]
Result = subprocess.CompletedProcess[str]

_SEARCH = ("--search-root", str(ROOT))
_BROKER = "rabbitmq-mqtt"
# Seconds for what takes one or two by itself: a machine that has other work may stand still for some.
PATIENCE = 60.0
# A request to this machine asks no proxy.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Workspace:
    """A folder with a stack.yaml of its own; `invoke` runs Tidegate's tasks in it."""

    root: Path
    images: set[str] = field(default_factory=set)
    # The images of written functions that were there before.
    foreign: dict[str, set[str]] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return load_settings(self.root)

    @property
    def project(self) -> str:
        return self.settings.project

    @property
    def rendered(self) -> Path:
        return self.root / ".stack"

    @property
    def amqp_url(self) -> str:
        """Return the broker's URL for Tidegate's own account, which may use every queue."""
        key = SecretContent(load_stack_key(StackWorkspace(self.root)))
        return administrator(key).url("127.0.0.1", self.settings.ports.amqp)

    @property
    def people_url(self) -> str:
        """Return the broker's URL for the account of people and devices."""
        credentials = load_credentials(StackWorkspace(self.root))
        return credentials.url("127.0.0.1", self.settings.ports.amqp)

    def configure(self, **settings: Any) -> None:
        """Change keys of stack.yaml."""
        path = self.root / FILE
        document = yaml.safe_load(path.read_text()) | settings
        path.write_text(yaml.safe_dump(document, sort_keys=False))

    def allow(self, *paths: Path) -> None:
        """Let functions have folders of this machine, besides those that they may have already."""
        known = self.settings.allow.host_paths
        self.configure(allow={"host_paths": [*known, *(str(one) for one in paths if str(one) not in known)]})

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "invoke", *_SEARCH, *arguments]

    def environment(self, **variables: str) -> dict[str, str]:
        return {**os.environ, "TIDEGATE_WORKSPACE": str(self.root), **variables}

    def invoke(
        self,
        *arguments: str,
        check: bool = True,
        timeout: float = 300,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> Result:
        """Run a task to its end; with `check` a failure is the test's failure and shows what was printed."""
        environment = self.environment(**(env or {}))
        if prefix or input is not None:
            result = subprocess.run(
                [*prefix, *self.command(*arguments)],
                cwd=self.root,
                env=environment,
                input=input,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        else:
            result = Task((*_SEARCH, *arguments), self.root, environment).run(timeout=timeout)
        if check and result.returncode:
            raise AssertionError(f"invoke {' '.join(arguments)}: {result.returncode}\n{result.stdout}{result.stderr}")
        return result

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a task in a process group of its own."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.root,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def docker(self, *arguments: str, check: bool = True) -> Result:
        return run_docker(*arguments, check=check)

    def containers(self, service: str = "") -> list[str]:
        """List the ids of the project's containers, or of one service's, running or not."""
        labels = [f"label=com.docker.compose.project={self.project}"]
        labels += [f"label=com.docker.compose.service={service}"] if service else []
        filters = [part for label in labels for part in ("--filter", label)]
        return self.docker("ps", "--all", "--quiet", "--no-trunc", *filters).stdout.split()

    def inspect(self, service: str) -> dict[str, Any]:
        """Return what Docker knows of the one container of a service."""
        (container,) = self.containers(service)
        (document,) = json.loads(self.docker("inspect", container).stdout)
        return dict(document)

    def execute(self, service: str, *command: str) -> Result:
        """Run a command in the one container of a service."""
        (container,) = self.containers(service)
        return self.docker("exec", container, *command, check=False)

    def functions(self) -> dict[str, dict[str, Any]]:
        """Return what `functions --json` says, by name."""
        return {one["name"]: one for one in json.loads(self.invoke("functions", "--json").stdout)}

    def url(self, name: str) -> str:
        """Return where the gateway has a function; what `functions` lists is compared with it elsewhere."""
        return f"http://127.0.0.1:{self.settings.ports.gateway}/{name}"

    def write_function(self, name: str, code: str, config: str = "", files: Mapping[str, str] | None = None) -> Path:
        """Write functions/NAME: its function.yaml and main.py, and other files."""
        repository = f"nuclio/processor-{name.lower()}"
        self.foreign.setdefault(repository, list_images(repository))
        folder = self.root / "functions" / name
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in {"function.yaml": config or "{}\n", "main.py": code, **(files or {})}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return folder

    def note_images(self) -> None:
        """Remember which images the deployments of now stand on, to remove them at the end."""
        for path in (self.rendered / "state" / "functions").glob("*.json"):
            self.images.update(re.findall(r'"image": ?"([^"]+)"', path.read_text()))
            self.images.add(f"nuclio/processor-{path.stem.lower()}:latest")

    def tell_logs(self, lines: int = 25) -> Iterator[tuple[str, str]]:
        """Yield each container's name and the end of its log."""
        for container in self.containers():
            name = self.docker("inspect", "--format", "{{.Name}} {{.State.Status}}", container).stdout.strip()
            log = self.docker("logs", "--tail", str(lines), container, check=False)
            yield name, log.stdout + log.stderr

    def clean_up(self) -> set[str]:
        """Remove every trace of the project, whatever state its files are in; return its images, which stay."""
        self.note_images()
        label = f"label=com.docker.compose.project={self.project}"
        for noun, options in (("container", ["--force", "--volumes"]), ("network", []), ("volume", [])):
            every = ["--all"] if noun == "container" else []
            found = run_docker(noun, "ls", *every, "--quiet", "--filter", label).stdout.split()
            if found:
                run_docker(noun, "rm", *options, *found, check=False)
        self.images |= list_images(revision_repository(self.project))
        for repository, foreign in self.foreign.items():
            self.images |= list_images(repository) - foreign
        return self.images


@dataclass(frozen=True)
class Broker:
    """The workspace's RabbitMQ, which a test may stop and start."""

    workspace: Workspace
    amqp_url: str
    mqtt_host: str
    mqtt_port: int
    management_url: str

    def stop(self) -> None:
        (container,) = self.workspace.containers(_BROKER)
        run_docker("stop", container)

    def start(self) -> None:
        """Start it and wait until it is healthy."""
        (container,) = self.workspace.containers(_BROKER)
        run_docker("start", container)
        deadline = time.monotonic() + 90
        while run_docker("inspect", "--format", "{{.State.Health.Status}}", container).stdout.strip() != "healthy":
            assert time.monotonic() < deadline, "RabbitMQ does not become healthy"
            time.sleep(0.2)

    @property
    def is_running(self) -> bool:
        (container,) = self.workspace.containers(_BROKER)
        return run_docker("inspect", "--format", "{{.State.Running}}", container).stdout.strip() == "true"


def make_workspace(root: Path, *, functions: bool) -> Workspace:
    """Write a workspace: random project name, free ports, and the repository's functions if asked for."""
    root.mkdir(parents=True, exist_ok=True)
    names = ("amqp", "mqtt", "management", "metrics", "gateway", "dashboard", "data")
    document = {
        "project": f"tidegate-test-{uuid4().hex[:8]}",
        "ports": dict(zip(names, free_ports(len(names)), strict=True)),
        "images": {"source": "debian"},
    }
    (root / FILE).write_text(yaml.safe_dump(document, sort_keys=False))
    (root / "functions").mkdir()
    if functions and (ROOT / "functions").is_dir():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "functions", root / "functions", ignore=ignored, dirs_exist_ok=True)
    return Workspace(root)


@contextmanager
def authoring(workspace: Workspace) -> Iterator[Callable[..., Path]]:
    """Write functions into a workspace; they are deleted with their containers at the end."""
    written: set[str] = set()

    def write(name: str, code: str, config: str = "", files: Mapping[str, str] | None = None) -> Path:
        written.add(name)
        return workspace.write_function(name, code, config, files)

    yield write
    workspace.note_images()
    for name in written:
        workspace.invoke("delete-function", name, "--yes", check=False)
        for container in workspace.containers(f"function-{name}"):
            run_docker("rm", "--force", container)
        shutil.rmtree(workspace.root / "functions" / name)


def run_docker(*arguments: str, check: bool = True) -> Result:
    result = subprocess.run(["docker", *arguments], capture_output=True, text=True, errors="replace", check=False)
    if check and result.returncode:
        raise AssertionError(f"docker {' '.join(arguments)}: {result.stderr}")
    return result


def fetch(
    url: str, body: bytes | None = None, *, timeout: float = PATIENCE, user: str = "", password: str = ""
) -> tuple[int, str]:
    """Send an HTTP request; return the status and the text of the answer."""
    request = urllib.request.Request(url, data=body)
    if user:
        request.add_header("Authorization", "Basic " + b64encode(f"{user}:{password}".encode()).decode())
    try:
        with _OPENER.open(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def list_images(repository: str) -> set[str]:
    """List the images of a repository, each as its name and tag."""
    return set(run_docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository).stdout.split())


def wait_until(condition: Any, *, seconds: float = PATIENCE, what: str = "the condition") -> None:
    """Ask again and again until it holds, but no more than half of the time where it takes long to ask."""
    deadline = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        if condition():
            return
        now = time.monotonic()
        assert now < deadline, f"{what} did not come true within {seconds:g} s"
        time.sleep(max(0.1, now - asked))


@contextmanager
def listening(address: str, port: int) -> Iterator[socket.socket]:
    """Hold a port of this machine."""
    with socket.create_server((address, port)) as server:
        yield server
