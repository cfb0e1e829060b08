"""Docker's volumes: which a project has, and what is in them.

A helper container, of an image that has the right tools and users, reads and writes a volume: its folder on this
machine is root's.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from python_on_whales.exceptions import DockerException, NoSuchVolume

from stack.docker.client import docker_api, execute
from stack.docker.container import PROJECT_LABEL
from stack.docker.driver import docker_cli, explained
from stack.errors import EngineError
from stack.state.workspace import PROGRAM

VOLUME_LABEL = "com.docker.compose.volume"
# Of helpers and of copies, so that what a killed task left is found: the project.
HELPER_LABEL = "tidegate.io/helper"


@dataclass(frozen=True)
class Volume:
    """A volume of a project: Docker's name of it, and Compose's, which is without the project."""

    name: str
    short_name: str


def list_volumes(project: str) -> tuple[Volume, ...]:
    """Return the volumes of a project.

    Raises:
        EngineError: Docker does not answer.
    """
    with explained():
        found = docker_api().volumes(filters={"label": f"{PROJECT_LABEL}={project}"})["Volumes"] or ()
    return tuple(Volume(one["Name"], one["Labels"].get(VOLUME_LABEL, "")) for one in found)


def create_volume(project: str, short_name: str) -> Volume:
    """Create a volume as Compose would, which takes it for its own then.

    Raises:
        EngineError: Docker refused.
    """
    name = f"{project}_{short_name}"
    with explained():
        docker_cli.volume.create(name, labels={PROJECT_LABEL: project, VOLUME_LABEL: short_name})
    return Volume(name, short_name)


def remove_volume(name: str) -> None:
    """Remove a volume; one that is not there is no error.

    Raises:
        EngineError: a container uses it.
    """
    with explained(), suppress(NoSuchVolume):
        docker_cli.volume.remove(name)


@contextmanager
def helper(project: str, image: str, mounts: Mapping[str, str]) -> Iterator[str]:
    """Yield the id of a container that does nothing, with volumes at folders: the way to execute commands there.

    Raises:
        EngineError: Docker refused.
    """
    with explained():
        container = docker_cli.container.run(
            image,
            ["infinity"],
            entrypoint="sleep",
            volumes=[(volume, folder) for folder, volume in mounts.items()],
            labels={HELPER_LABEL: project},
            networks=["none"],
            user="0",
            detach=True,
            remove=True,
        )
    try:
        yield container.id
    finally:
        with suppress(DockerException):
            docker_cli.container.remove(container.id, force=True)


@contextmanager
def copied_volume(project: str, volume: str, *, image: str, paused: Sequence[str] = ()) -> Iterator[tuple[str, float]]:
    """Yield a helper in whose folder /to there is a copy of a volume, as it was at one moment; and the seconds it took.

    The containers that write to it and run are paused for as long as the copy takes.

    Raises:
        EngineError: Docker refused, or there is no room for the copy.
    """
    with explained():
        copy = docker_cli.volume.create(labels={HELPER_LABEL: project}).name
    try:
        with helper(project, image, {"/from:ro": volume, "/to": copy}) as container:
            yield container, _copy(container, paused)
    finally:
        with suppress(EngineError):
            remove_volume(copy)


def clear_helpers(project: str) -> None:
    """Remove helpers and copies that a task left which was killed.

    Raises:
        EngineError: Docker does not answer.
    """
    left = {"label": f"{HELPER_LABEL}={project}"}
    with explained(), suppress(DockerException):
        docker_cli.container.remove([one["Id"] for one in docker_api().containers(all=True, filters=left)], force=True)
        docker_cli.volume.remove([one["Name"] for one in docker_api().volumes(filters=left)["Volumes"] or ()])


def has_data(volume: str, image: str, project: str) -> bool:
    """Return whether there is any file in a volume.

    Raises:
        EngineError: Docker refused.
    """
    with helper(project, image, {"/volume:ro": volume}) as container:
        return bool(execute(container, "find", "/volume", "-type", "f", "-print", "-quit").strip())


def _copy(container: str, paused: Sequence[str]) -> float:
    """Copy in a program and a session of its own, so that nothing that ends this task leaves a container paused."""
    command = [sys.executable, "-m", "stack.docker.volume", container, *paused]
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    process = subprocess.Popen(
        command, cwd=PROGRAM, stdin=null, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )
    try:
        seconds, errors = process.communicate()
    except BaseException:
        process.wait()
        raise
    if process.returncode:
        raise EngineError(errors.strip())
    return float(seconds)


def copy_paused(container: str, *paused: str) -> float:
    """Copy /from to /to in a helper and return the seconds it took; other containers are paused meanwhile.

    Those go on whatever happens.

    Raises:
        EngineError: Docker refused, or there is no room for the copy.
    """
    began = time.monotonic()
    try:
        if paused:
            with explained():
                docker_cli.container.pause(list(paused))
        execute(container, "cp", "-a", "/from/.", "/to/")
    finally:
        if paused:
            with explained():
                docker_cli.container.unpause(list(paused))
    return time.monotonic() - began


if __name__ == "__main__":
    try:
        print(copy_paused(*sys.argv[1:]))
    except EngineError as error:
        sys.exit(str(error))
