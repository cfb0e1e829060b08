"""What changes things in Docker: python-on-whales, which runs the command docker, a process for each call."""

import os
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psutil
from python_on_whales import ClientNotFoundError, DockerClient
from python_on_whales.client_config import ParsingError
from python_on_whales.exceptions import DockerException

from stack.docker import client
from stack.docker.client import PROVISION, explain, require_version
from stack.docker.container import Container
from stack.docker.engine import Engine
from stack.errors import BuildError, EngineError
from stack.plan.image import split_reference
from stack.state.lock import compose_lock
from stack.state.workspace import make_folder

# An engine keeps a trace of each build that its client traces, a quarter of its time where many are built together.
os.environ.setdefault("OTEL_TRACES_SAMPLER", "always_off")
docker_cli = DockerClient()


@contextmanager
def explained() -> Iterator[None]:
    """Turn what either client raises into a message that says what to do next.

    Raises:
        EngineError: Docker refused, does not answer, or is not installed.
    """
    try:
        with client.explained():
            yield
    except ClientNotFoundError as error:
        raise EngineError(f"Docker is not installed. {PROVISION}") from error
    except DockerException as error:
        raise EngineError(explain(error.stderr or "")) from error
    except ParsingError as error:
        raise EngineError(f"Docker's answer is not understood: {error}") from error


def end_commands() -> None:
    """Have the commands of Docker that this task has started end: python-on-whales leaves them to themselves."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if child.name().startswith("docker"):
                child.terminate()


# Lines of a log that a message ends with; lines of what the step of a build said that failed, whose reason may stand
# above the few that BuildKit repeats, as npm says much after it; and how many are kept for that.
_LOG_LINES, _STEP_LINES, _KEPT_LINES = 20, 50, 200
_FAILED = re.compile(r"#(?P<step>\d+) ERROR: ")
# What BuildKit has before and behind the lines that it repeats.
_RULE = "------"


def follow_lines(lines: Iterable[str], failure: str) -> Iterator[str]:
    """Yield the lines of a command; it ends if its reader does.

    Raises:
        BuildError: it failed; the message is `failure` and the last lines.
    """
    last: deque[str] = deque(maxlen=_KEPT_LINES)
    try:
        for line in lines:
            last.append(line.rstrip())
            yield last[-1]
    except DockerException as error:
        text = "\n".join(f"  {line}" for line in _find_end(list(last)))
        raise BuildError(f"{failure}. The log ends with:\n{text}") from error
    except BaseException:
        end_commands()
        raise


def _find_end(lines: Sequence[str]) -> Sequence[str]:
    """Return the end of a log, with more of the step that failed, if one has."""
    failed = next((match["step"] for line in reversed(lines) if (match := _FAILED.match(line))), None)
    rules = [number for number, line in enumerate(lines) if line == _RULE]
    if failed is None or len(rules) < 2:
        return lines[-_LOG_LINES:]
    said = re.compile(rf"#{failed} (\d+\.\d+ .*)")
    step = [match[1] for line in lines if (match := said.fullmatch(line))]
    return [lines[rules[-2] + 1], *step[-_STEP_LINES:], *lines[rules[-1] :]]


# Compose 2.26 erases a terminal's line before each line of a log, also in a pipe.
_ERASE = "\x1b[2K"


def print_lines(lines: Iterable[tuple[str, bytes]]) -> int:
    """Print what a command prints, as it comes; return the exit status, which is 0 if the reader had enough."""
    try:
        for _, line in lines:
            print(line.decode(errors="replace").removeprefix(_ERASE), end="", flush=True)
    except DockerException as error:
        return error.return_code
    except (KeyboardInterrupt, BrokenPipeError) as end:
        end_commands()
        if isinstance(end, BrokenPipeError):
            # Python would complain of the lost pipe once more at its own end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


MINIMUM_COMPOSE = (2, 20)
# What Docker says of a container that there is no need to remove.
_GOING = re.compile(r"No such container|removal of container \S+ is already in progress")


@dataclass(frozen=True)
class Driver:
    """Changes what an engine has: images, and the containers of its Compose file."""

    engine: Engine

    def check(self) -> None:
        """Make sure that Docker can do what is needed to change the stack.

        Raises:
            EngineError: Docker or Compose is missing, too old, not running, or not permitted.
        """
        self.engine.check_engine()
        require_version("Docker Compose", _find_compose_version(), minimum=MINIMUM_COMPOSE)

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

    def push(self, image: str) -> str:
        """Push an image to the registry of its name; return its name with the digest that the registry told.

        Raises:
            EngineError: the registry is not there, or refused.
        """
        with explained():
            docker_cli.image.push(image, quiet=True)
            known = docker_cli.image.inspect(image).repo_digests
        repository = split_reference(image)[0]
        return next((one for one in known if one.partition("@")[0] == repository), image)

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
        client = DockerClient(compose_files=[self.engine.compose_file], compose_project_name=self.engine.project)
        return print_lines(client.compose.logs(list(services), follow=follow, stream=True))

    def _compose(self, file: Path | None = None) -> DockerClient:
        """Return a client of Compose whose commands hold a lock: others wait for what a killed task leaves."""
        lock = compose_lock(self.engine.compose_file.parent / "state")
        make_folder(lock.parent)
        return DockerClient(
            client_call=["flock", "--shared", "--no-fork", str(lock), "docker"],
            compose_files=[file or self.engine.compose_file],
            compose_project_name=self.engine.project,
        )

    def prune(self) -> None:
        """Remove what the engine keeps of what was deployed before; Compose keeps nothing."""

    def halt(self, containers: Sequence[Container]) -> None:
        """Stop containers, each within its own grace period, and keep them."""
        names = [one.id for one in containers]
        with suppress(DockerException):
            docker_cli.container.stop(names)
            # Docker's list calls a container running for a moment more; to inspect it waits until its end is written.
            docker_cli.container.inspect(names)

    def stop(self, containers: Sequence[Container]) -> None:
        """Stop containers, each within its own grace period, and remove them; what functions said last is kept.

        Raises:
            EngineError: one could not be removed; one that is gone already, or that somebody removes, is no failure.
        """
        self.halt(containers)
        self.engine.keep_logs(containers)
        try:
            docker_cli.container.remove([one.id for one in containers], force=True)
        except DockerException as error:
            if any(not _GOING.search(line) for line in (error.stderr or "").splitlines()):
                raise EngineError(explain(error.stderr or "")) from error


def _find_compose_version() -> str:
    """Return the version of Compose; nothing if it is not installed."""
    try:
        return docker_cli.compose.version()
    except DockerException:
        return ""
