"""Docker, for one Compose file and project."""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from docker.errors import NotFound

from stack.docker.client import MINIMUM_ENGINE, docker_api, execute, explained, require_version
from stack.docker.container import NEVER_RAN, PROJECT_LABEL, Container, confirm, read_container
from stack.errors import EngineError, HostError
from stack.plan.gateway import network_name
from stack.state.workspace import list_files, make_folder, write_file

_LOG_LINES = 20


@dataclass(frozen=True)
class Engine:
    """Docker, for one Compose file and project."""

    project: str
    compose_file: Path

    @property
    def is_swarm(self) -> bool:
        """Return whether Docker Swarm updates services itself, and takes back what does not come up."""
        return False

    def check_engine(self) -> None:
        """Make sure that the engine can tell what runs; Compose takes no part in that.

        Raises:
            EngineError: Docker is missing, too old, not running, or not permitted.
        """
        with explained():
            version = str(docker_api().version()["Version"])
        require_version("Docker Engine", version, minimum=MINIMUM_ENGINE)

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

    def last_logs(self, container: Container, *, lines: int = _LOG_LINES) -> str:
        """Return the last lines that a container printed."""
        return self.read_log(container, tail=lines).decode(errors="replace").strip()

    def read_log(self, container: Container, *, tail: int, timestamps: bool = False) -> bytes:
        """Return the last lines of a container; nothing if it is gone."""
        with explained(), suppress(NotFound):
            return docker_api().logs(container.id, tail=tail, timestamps=timestamps)
        return b""

    @property
    def logs_folder(self) -> Path:
        """Return where it is kept what containers said that are no more: the last of each function, in its folder."""
        return self.compose_file.parent / "state" / "logs"

    def keep_logs(self, containers: Sequence[Container]) -> None:
        """Keep the end of what containers of functions said, which somebody is about to remove, where there is room."""
        for one in containers:
            if one.function and "/" not in one.function and one.state != NEVER_RAN:
                with suppress(HostError, OSError, EngineError):
                    said = self.read_log(one, tail=_MOST_LINES, timestamps=True)
                    _keep_log(self.logs_folder / one.function, one, said=said)

    def kept_logs(self, name: str) -> list[Path]:
        """Return the files of what containers of a function said, the newest last."""
        return list_files(self.logs_folder / name)


# Of each function so many containers, and of each so much.
_MOST_FILES, _MOST_LINES, _MOST_BYTES = 5, 10_000, 1_000_000
_LETTERS = 12


def _keep_log(folder: Path, container: Container, *, said: bytes) -> None:
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
