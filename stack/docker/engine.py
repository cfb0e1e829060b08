"""Docker, for one Compose file and project."""

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from docker.errors import NotFound
from python_on_whales import DockerClient
from python_on_whales.exceptions import DockerException

from stack.docker.client import (
    MINIMUM_COMPOSE,
    MINIMUM_ENGINE,
    docker_api,
    docker_cli,
    execute,
    explain,
    explained,
    follow_lines,
    print_lines,
    require_version,
)
from stack.docker.container import NEVER_RAN, PROJECT_LABEL, Container, confirm, read_container
from stack.errors import EngineError, HostError
from stack.plan.gateway import network_name
from stack.state.lock import compose_lock
from stack.state.workspace import list_files, make_folder, write_file

_LOG_LINES = 20
# What Docker says of a container that there is no need to remove.
_GOING = re.compile(r"No such container|removal of container \S+ is already in progress")


@dataclass(frozen=True)
class Engine:
    """Docker, for one Compose file and project."""

    project: str
    compose_file: Path

    def check(self) -> None:
        """Make sure that Docker can do what is needed to change the stack.

        Raises:
            EngineError: Docker or Compose is missing, too old, not running, or not permitted.
        """
        self.check_engine()
        require_version("Docker Compose", _find_compose_version(), MINIMUM_COMPOSE)

    def check_engine(self) -> None:
        """Make sure that the engine can tell what runs; Compose takes no part in that.

        Raises:
            EngineError: Docker is missing, too old, not running, or not permitted.
        """
        with explained():
            version = str(docker_api().version()["Version"])
        require_version("Docker Engine", version, MINIMUM_ENGINE)

    def root_folder(self) -> str:
        """Return where Docker keeps its images."""
        with explained():
            return str(docker_api().info()["DockerRootDir"])

    def containers(self) -> tuple[Container, ...]:
        """List the project's containers, running or not; where Docker's word may be old, functions are asked."""
        return confirm(self.listed())

    def listed(self) -> tuple[Container, ...]:
        """List the project's containers, running or not, as Docker tells of them, by one call."""
        own = {"label": f"{PROJECT_LABEL}={self.project}"}
        with explained():
            return tuple(map(read_container, docker_api().containers(all=True, filters=own)))

    def last_probes(self, containers: Sequence[Container]) -> dict[str, str]:
        """Return what the latest health check of each container printed, by the container's id."""
        logs = {one.id: _read_probes(one.id) for one in containers}
        return {id_: str(log[-1]["Output"]) for id_, log in logs.items() if log}

    def address(self, container: Container, network: str) -> str:
        """Return the address of a container on one of the project's networks; nothing where it has none."""
        return dict(container.network_addresses).get(network_name(self.project, network), "")

    def has_image(self, image: str) -> bool:
        """Return whether an image is here."""
        return bool(self.images([image]))

    def images(self, names: Iterable[str]) -> set[str]:
        """Return which of these images are here.

        Raises:
            EngineError: Docker does not answer.
        """
        return set(_inspect_images(names))

    def image_times(self, names: Iterable[str]) -> dict[str, datetime]:
        """Return when each of these images was made, of those that are here and tell it.

        Raises:
            EngineError: Docker does not answer.
        """
        times = {name: one.get("Created") for name, one in _inspect_images(names).items()}
        return {name: datetime.fromisoformat(time) for name, time in times.items() if time}

    def used_images(self) -> set[str]:
        """Return the images of all containers on this machine, of whatever project."""
        with explained():
            return {one["Image"] for one in docker_api().containers(all=True)}

    def image_ids(self) -> dict[str, str]:
        """Return the id of every image on this machine, by each of its names with a tag."""
        with explained():
            return {name: one["Id"] for one in docker_api().images() for name in one.get("RepoTags") or ()}

    def tag(self, image: str, name: str) -> None:
        """Give an image another name, which has a tag."""
        with explained():
            docker_cli.image.tag(image, name)

    def remove_images(self, images: Sequence[str]) -> None:
        """Remove names of images; what still has another name stays."""
        with suppress(DockerException):
            docker_cli.image.remove(list(images))

    def pull(self, image: str) -> Iterator[str]:
        """Pull an image and yield the lines of the log.

        Raises:
            BuildError: it failed.
        """
        lines = cast(Iterable[tuple[str, bytes]], docker_cli.image.pull(image, stream_logs=True))
        yield from follow_lines(
            (line.decode(errors="replace") for _, line in lines), f"The image {image} could not be pulled"
        )

    def save(self, image: str, file: Path) -> None:
        """Write an image into a tar.

        Raises:
            EngineError: there is no such image, or no room for it.
        """
        with explained():
            docker_cli.image.save(image, file)

    def load(self, file: Path) -> None:
        """Read the images of a tar.

        Raises:
            EngineError: it holds none.
        """
        with explained():
            docker_cli.image.load(file, quiet=True)

    def up(self, services: Sequence[str], *, scales: Mapping[str, int] | None = None, file: Path | None = None) -> None:
        """Create and start services of the rendered file, or of another; with scales older containers go on.

        Raises:
            EngineError: Compose refused.
        """
        with explained():
            self._compose(file).compose.up(
                list(services),
                detach=True,
                quiet=True,
                scales=dict(scales or {}),
                recreate=not scales,
                no_build=True,
                pull="never",
            )

    def down(self, *, volumes: bool) -> None:
        """Stop and remove everything of the project."""
        with explained():
            self._compose().compose.down(remove_orphans=True, volumes=volumes, quiet=True)

    def follow_logs(self, services: Sequence[str], *, follow: bool) -> int:
        """Print the logs of services as they are; return the exit status, which is 0 if the reader had enough."""
        if sys.stdout.isatty():
            # Compose itself writes into a pipe, and leaves colors out there.
            os.environ.setdefault("COMPOSE_ANSI", "always")
        client = DockerClient(compose_files=[self.compose_file], compose_project_name=self.project)
        return print_lines(client.compose.logs(list(services), follow=follow, stream=True))

    def _compose(self, file: Path | None = None) -> DockerClient:
        """Return a client of Compose whose commands hold a lock: others wait for what a killed task leaves."""
        lock = compose_lock(self.compose_file.parent / "state")
        make_folder(lock.parent)
        return DockerClient(
            client_call=["flock", "--shared", "--no-fork", str(lock), "docker"],
            compose_files=[file or self.compose_file],
            compose_project_name=self.project,
        )

    def halt(self, containers: Sequence[Container]) -> None:
        """Stop containers, each within its own grace period, and keep them."""
        with suppress(DockerException):
            docker_cli.container.stop([one.id for one in containers])

    def stop(self, containers: Sequence[Container]) -> None:
        """Stop containers, each within its own grace period, and remove them; what functions said last is kept.

        Raises:
            EngineError: one could not be removed; one that is gone already, or that somebody removes, is no failure.
        """
        names = [one.id for one in containers]
        self.halt(containers)
        self.keep_logs(containers)
        try:
            docker_cli.container.remove(names, force=True)
        except DockerException as error:
            if any(not _GOING.search(line) for line in (error.stderr or "").splitlines()):
                raise EngineError(explain(error.stderr or "")) from error

    def signal(self, container: Container, name: str) -> None:
        """Send a signal to a container's first process, by its own shell.

        After `docker kill`, whatever the signal, Docker takes the container for stopped by hand, and does not start it
        again when it fails.
        """
        execute(container.id, "bash", "-c", f"kill -{name} 1")

    def execute(self, container: Container, *command: str) -> str:
        """Run a command in a container and return what it printed; nothing if it could not be run."""
        try:
            return execute(container.id, *command)
        except EngineError:
            return ""

    def last_logs(self, container: Container) -> str:
        """Return the last lines that a container printed."""
        return _read_log(container.id, tail=_LOG_LINES).decode(errors="replace").strip()

    @property
    def logs_folder(self) -> Path:
        """Return where it is kept what containers said that are no more: the last of each function, in its folder."""
        return self.compose_file.parent / "state" / "logs"

    def keep_logs(self, containers: Sequence[Container]) -> None:
        """Keep the end of what containers of functions said, which somebody is about to remove, where there is room."""
        for one in containers:
            if one.function and "/" not in one.function and one.state != NEVER_RAN:
                with suppress(HostError, OSError, EngineError):
                    _keep_log(self.logs_folder / one.function, one)

    def kept_logs(self, name: str) -> list[Path]:
        """Return the files of what containers of a function said, the newest last."""
        return list_files(self.logs_folder / name)


# Of each function so many containers, and of each so much.
_MOST_FILES, _MOST_LINES, _MOST_BYTES = 5, 10_000, 1_000_000
_LETTERS = 12


def _keep_log(folder: Path, container: Container) -> None:
    said = _read_log(container.id, tail=_MOST_LINES, timestamps=True)
    if not said:
        return
    stamp = time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime())
    head = f"# {container.name}, of {container.image}, removed {stamp}\n".encode()
    make_folder(folder, 0o700)
    write_file(folder / f"{stamp}-{container.id[:_LETTERS]}.log", head + _cut(said), 0o600)
    for path in list_files(folder)[:-_MOST_FILES]:
        path.unlink(missing_ok=True)


def _cut(content: bytes) -> bytes:
    """Return the end of a log, from the beginning of a line on."""
    return content if len(content) <= _MOST_BYTES else content[-_MOST_BYTES:].partition(b"\n")[2]


def _read_log(container: str, *, tail: int, timestamps: bool = False) -> bytes:
    """Return the last lines of a container; nothing if it is gone."""
    with explained(), suppress(NotFound):
        return docker_api().logs(container, tail=tail, timestamps=timestamps)
    return b""


def _read_probes(container: str) -> list[dict[str, Any]]:
    """Return what the latest health checks of a container found; nothing if it is gone, or has none."""
    with explained(), suppress(NotFound):
        return docker_api().inspect_container(container)["State"].get("Health", {}).get("Log") or []
    return []


def _inspect_images(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    found = {}
    for name in sorted(set(names)):
        with explained(), suppress(NotFound):
            found[name] = docker_api().inspect_image(name)
    return found


def _find_compose_version() -> str:
    """Return the version of Compose; nothing if it is not installed."""
    try:
        return docker_cli.compose.version()
    except DockerException:
        return ""
