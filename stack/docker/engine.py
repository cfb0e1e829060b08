"""The one door to Docker.

python-on-whales does the work; what it does slowly (an inspect for each container) or not at all (`config --hash`,
logs that end with their reader) is a call of the same command line here.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from python_on_whales import DockerClient
from python_on_whales.exceptions import DockerException

from stack.docker.build import BuildKit
from stack.docker.command import (
    MINIMUM_COMPOSE,
    MINIMUM_ENGINE,
    explain,
    relay,
    require_success,
    require_version,
    run,
    stream,
)
from stack.docker.compose import HashMemory, find_command, make_key
from stack.docker.container import PROJECT_LABEL, Container, confirm, is_told, list_containers, read_containers
from stack.docker.kept_log import keep_logs
from stack.docker.probe import ask_engine
from stack.errors import EngineError
from stack.plan.gateway import network_name
from stack.state.workspace import write_file

if TYPE_CHECKING:
    from python_on_whales import DockerClient

_LOG_LINES = 20
# Of each container, a line with its id and the log of its health checks, if it has one.
_PROBES = "{{.Id}} {{with .State.Health}}{{json .Log}}{{end}}"
_ADDRESS = "{{.Id}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
# Of each image, lines with its names, by tag and by digest, and with its id; Docker leaves out the address and the
# folder of its own registry.
_NAMES = "{{json .RepoTags}}\n{{json .RepoDigests}}\n[{{json .Id}}]"
_ABSENT = "No such image"
# The socket tells of one image at a time, which is sooner than one call for all only of so many.
_FEW = 3
# What Docker says of a container that there is no need to remove.
_GOING = re.compile(r"No such container|removal of container \S+ is already in progress")


@dataclass
class Engine:
    """Docker, for one Compose file and project."""

    project: str
    compose_file: Path
    buildkit: BuildKit = field(default_factory=BuildKit)

    def check(self) -> None:
        """Make sure that Docker can do what is needed; asked once for each program that is called docker.

        Raises:
            EngineError: Docker or Compose is missing or too old.
        """
        memory = self.compose_file.parent / "state" / "docker"
        program = shutil.which("docker")
        stamp = f"{program} {Path(program).stat().st_mtime_ns if program else 0}\n".encode()
        if not memory.is_file() or memory.read_bytes() != stamp:
            self.verify()
            write_file(memory, stamp, is_durable=False)

    def prepare(self) -> None:
        """Load now what takes a while to import, for who is in a hurry later."""
        _ = self._client

    def verify(self) -> None:
        """Ask Docker now whether it can do what is needed.

        Raises:
            EngineError: Docker or Compose is missing, too old, not running, or not permitted.
        """
        with ThreadPoolExecutor() as pool:
            compose = pool.submit(run, ["docker", "compose", "version", "--short"])
            result = run(["docker", "version", "--format", "{{json .Server}}"])
        if result.returncode:
            raise EngineError(explain(result.stderr))
        require_version("Docker Engine", str(json.loads(result.stdout).get("Version", "")), MINIMUM_ENGINE)
        require_version("Docker Compose", compose.result().stdout.strip(), MINIMUM_COMPOSE)

    def root_folder(self) -> str:
        """Return where Docker keeps its images."""
        return run(["docker", "info", "--format", "{{.DockerRootDir}}"]).stdout.strip()

    def containers(self) -> tuple[Container, ...]:
        """List the project's containers, running or not; where Docker's word may be old, functions are asked."""
        return self.confirmed(self.listed())

    def confirmed(self, listed: Sequence[Container]) -> tuple[Container, ...]:
        """Return containers that were listed with the word of those functions of which Docker's may be old."""
        doubtful = [one for one in listed if one.is_doubtful]
        return confirm(listed, self.addresses(doubtful)) if doubtful else tuple(listed)

    def listed(self) -> tuple[Container, ...]:
        """List the project's containers, running or not, as Docker tells of them, by one call."""
        found = list_containers(self.project)
        return self._list_slowly() if found is None else found

    def config_hashes(self, compose: bytes) -> dict[str, str]:
        """Return Compose's hash of each service of a Compose file's content, as it labels containers with."""
        place = ["--project-name", self.project, "--project-directory", str(self.compose_file.parent), "--file", "-"]
        command = [*find_command(), *place, "config", "--hash", "*"]
        memory = HashMemory(self.compose_file.parent / "state" / "hashes.json")
        return memory.find(make_key(command, compose), lambda: require_success(run(command, text=compose.decode())))

    def has_image(self, image: str) -> bool:
        """Return whether an image is here."""
        return bool(self.images([image]))

    def images(self, names: Iterable[str]) -> set[str]:
        """Return which of these images are here, by one call, or at the socket where they are few.

        Raises:
            EngineError: Docker does not answer.
        """
        wanted = sorted(set(names))
        if not wanted:
            return set()
        if len(wanted) <= _FEW and all(ask_engine(f"/images/{quote(name)}/json") for name in wanted):
            return set(wanted)
        result = run(["docker", "image", "inspect", "--format", _NAMES, *wanted])
        if not result.returncode:
            return set(wanted)
        if any(line for line in result.stderr.splitlines() if _ABSENT not in line):
            require_success(result)
        found = {name for line in result.stdout.split("\n") if line for name in json.loads(line) or ()}
        return {name for name in wanted if is_told(name, found)}

    def image_times(self, names: Iterable[str]) -> dict[str, datetime]:
        """Return when each of these images was made, of those that are here.

        Raises:
            EngineError: Docker does not answer.
        """
        wanted = sorted(self.images(names))
        if not wanted:
            return {}
        lines = self._ask("image", "inspect", "--format", "{{.Created}}", *wanted).split()
        return {name: datetime.fromisoformat(line) for name, line in zip(wanted, lines, strict=True)}

    def used_images(self) -> set[str]:
        """Return the images of all containers on this machine, of whatever project."""
        return set(self._ask("ps", "--all", "--no-trunc", "--format", "{{.Image}}").split())

    def image_ids(self) -> dict[str, str]:
        """Return the id of every image on this machine, by each of its names with a tag."""
        listing = ask_engine("/images/json")
        if listing is None:
            lines = self._ask("image", "ls", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").splitlines()
            return dict(line.split(" ", 1) for line in lines if "<none>" not in line)
        return {name: one["Id"] for one in json.loads(listing) for name in one.get("RepoTags") or ()}

    def tag(self, image: str, name: str) -> None:
        """Give an image another name, which has a tag."""
        repository, _, tag = name.rpartition(":")
        path = f"/images/{quote(image)}/tag?repo={quote(repository)}&tag={quote(tag)}"
        if ask_engine(path, method="POST") is None:
            self._ask("tag", image, name)

    def remove_images(self, images: Sequence[str]) -> None:
        """Remove names of images; what still has another name stays."""
        if images:
            run(["docker", "image", "rm", *images])

    def save(self, image: str, file: Path) -> None:
        """Write an image into a tar.

        Raises:
            EngineError: there is no such image, or no room for it.
        """
        self._ask("save", "--output", str(file), image)

    def load(self, file: Path) -> None:
        """Read the images of a tar.

        Raises:
            EngineError: it holds none.
        """
        self._ask("load", "--quiet", "--input", str(file))

    def up(self, services: Sequence[str], *, scales: Mapping[str, int] | None = None) -> None:
        """Create and start services of the rendered file; older containers make way first, but with scales go on.

        Without `--no-deps`, by which Compose would label containers with another hash than `config --hash` tells.

        Raises:
            EngineError: Compose refused.
        """
        with self._explained():
            self._client.compose.up(
                list(services),
                detach=True,
                quiet=True,
                scales=dict(scales or {}),
                recreate=not scales,
                no_build=True,
                pull="never",
            )

    def up_candidate(self, file: Path, services: Sequence[str], scales: Mapping[str, int]) -> None:
        """Create and start services of a candidate; with scales, older containers go on beside the new.

        By the command itself, which starts sooner than python-on-whales is imported, and inherits the locks of this
        task: should the task be killed, the next one waits until Compose has ended too.

        Raises:
            EngineError: Compose refused.
        """
        command = [*find_command(), "--project-name", self.project, "--file", str(file)]
        command += ["up", "--detach", "--no-build", "--pull", "never", *(["--no-recreate"] if scales else [])]
        command += [part for name, count in scales.items() for part in ("--scale", f"{name}={count}")]
        require_success(run([*command, *services], close_fds=False))

    def down(self, *, volumes: bool) -> None:
        """Stop and remove everything of the project."""
        with self._explained():
            self._client.compose.down(remove_orphans=True, volumes=volumes, quiet=True)

    def stop(self, containers: Sequence[Container]) -> None:
        """Stop containers, each within its own grace period, and remove them; what functions said last is kept."""
        if containers:
            names = [one.id for one in containers]
            # One that is gone already, or that somebody else is removing, is no failure.
            run(["docker", "stop", *names])
            self.keep_logs(containers)
            result = run(["docker", "rm", "--force", *names])
            if any(line for line in result.stderr.splitlines() if not _GOING.search(line)):
                require_success(result)

    @property
    def logs_folder(self) -> Path:
        """Return where it is kept what containers said that are no more."""
        return self.compose_file.parent / "state" / "logs"

    def keep_logs(self, containers: Sequence[Container]) -> None:
        """Keep what containers of functions said, which somebody is about to remove."""
        keep_logs(self.logs_folder, containers)

    def signal(self, container: Container, name: str) -> None:
        """Send a signal to a container's first process, by its own shell.

        After `docker kill`, whatever the signal, Docker takes the container for stopped by hand, and does not start it
        again when it fails.
        """
        self._ask("exec", container.id, "bash", "-c", f"kill -{name} 1")

    def last_logs(self, container: Container) -> str:
        """Return the last lines that a container printed."""
        result = subprocess.run(
            ["docker", "logs", "--tail", str(_LOG_LINES), container.id],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
        )  # fmt: skip
        return result.stdout.strip()

    def execute(self, container: Container, *command: str) -> str:
        """Run a command in a container and return what it printed; nothing if it could not be run."""
        result = run(["docker", "exec", container.id, *command])
        return "" if result.returncode else result.stdout

    def last_probes(self, containers: Sequence[Container]) -> dict[str, str]:
        """Return what the latest health check of each container printed, by the container's id."""
        if not containers:
            return {}
        result = run(["docker", "inspect", "--format", _PROBES, *(one.id for one in containers)])
        pairs = [line.partition(" ") for line in result.stdout.splitlines()]
        return {id_: str(log[-1]["Output"]) for id_, _, text in pairs if (log := json.loads(text or "null"))}

    def addresses(self, containers: Sequence[Container]) -> dict[str, str]:
        """Return the address of each container in Docker's network, by the container's id."""
        known = {one.id: one.network_address for one in containers if one.network_address}
        unknown = [one.id for one in containers if one.id not in known]
        if not unknown:
            return known
        result = run(["docker", "inspect", "--format", _ADDRESS, *unknown])
        pairs = [line.split() for line in result.stdout.splitlines()]
        return known | {pair[0]: pair[1] for pair in pairs if len(pair) > 1}

    def address(self, container: Container, network: str) -> str:
        """Return the address of a container on one of the project's networks; nothing where it has none."""
        name = network_name(self.project, network)
        if not container.network_addresses:
            template = f'{{{{with index .NetworkSettings.Networks "{name}"}}}}{{{{.IPAddress}}}}{{{{end}}}}'
            return run(["docker", "inspect", "--format", template, container.id]).stdout.strip()
        return dict(container.network_addresses).get(name, "")

    def follow_logs(self, services: Sequence[str], *, follow: bool) -> int:
        """Print the logs of services as they are; return the exit status, which is 0 if the reader had enough."""
        command = ["docker", "compose", *self._compose_arguments(), "logs"]
        command += [*(["--follow"] if follow else []), *services]
        return relay(command)

    def pull(self, image: str) -> Iterator[str]:
        """Pull an image and yield the lines of the log.

        Raises:
            BuildError: it failed.
        """
        yield from stream(["docker", "pull", image], f"The image {image} could not be pulled")

    @cached_property
    def _client(self) -> "DockerClient":
        return DockerClient(compose_files=[self.compose_file], compose_project_name=self.project)

    def _list_slowly(self) -> tuple[Container, ...]:
        own = ["--filter", f"label={PROJECT_LABEL}={self.project}"]
        return read_containers(self._ask("ps", "--all", "--no-trunc", *own, *Container.format()))

    def _compose_arguments(self) -> list[str]:
        return ["--project-name", self.project, "--file", str(self.compose_file)]

    def _ask(self, *arguments: str) -> str:
        return require_success(run(["docker", *arguments]))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DockerException as error:
            raise EngineError(explain(error.stderr or str(error))) from error
