"""Docker's volumes: which a project has, and what is in them.

A helper container, of an image that has the right tools and users, reads and writes a volume: its folder on this
machine is root's.
"""

import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from stack.docker.command import require_success, run
from stack.docker.container import PROJECT_LABEL

VOLUME_LABEL = "com.docker.compose.volume"
# Of helpers and of copies, so that what a killed task left is found: the project.
HELPER_LABEL = "tidegate.io/helper"

# Pauses a container, copies a volume by a helper, and goes on whatever happens; not even Ctrl-C ends it in between.
_COPY_PAUSED = """
trap 'docker unpause "$1" >/dev/null' EXIT
docker pause "$1" >/dev/null && docker exec "$2" cp -a /from/. /to/
"""


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
    own = ["--filter", f"label={PROJECT_LABEL}={project}"]
    listing = require_success(run(["docker", "volume", "ls", *own, "--format", "{{json .}}"]))
    found = (json.loads(line) for line in listing.splitlines())
    return tuple(Volume(one["Name"], _read_labels(one["Labels"]).get(VOLUME_LABEL, "")) for one in found)


def create_volume(project: str, short_name: str) -> Volume:
    """Create a volume as Compose would, which takes it for its own then.

    Raises:
        EngineError: Docker refused.
    """
    name = f"{project}_{short_name}"
    labels = {PROJECT_LABEL: project, VOLUME_LABEL: short_name}
    require_success(run(["docker", "volume", "create", *_write_labels(labels), name]))
    return Volume(name, short_name)


def remove_volume(name: str) -> None:
    """Remove a volume; one that is not there is no error.

    Raises:
        EngineError: a container uses it.
    """
    require_success(run(["docker", "volume", "rm", "--force", name]))


@contextmanager
def helper(project: str, image: str, mounts: Mapping[str, str]) -> Iterator[str]:
    """Yield the id of a container that does nothing, with volumes at folders: the way for `docker exec`.

    Raises:
        EngineError: Docker refused.
    """
    volumes = [part for folder, volume in mounts.items() for part in ("--volume", f"{volume}:{folder}")]
    label = f"{HELPER_LABEL}={project}"
    command = ["docker", "run", "--detach", "--rm", "--network", "none", "--user", "0", "--label", label]
    command += [*volumes, "--entrypoint", "sleep", image, "infinity"]
    container = require_success(run(command)).strip()
    try:
        yield container
    finally:
        run(["docker", "rm", "--force", container])


@contextmanager
def copied_volume(project: str, volume: str, image: str, paused: str = "") -> Iterator[tuple[str, float]]:
    """Yield a helper in whose folder /to there is a copy of a volume, as it was at one moment; and the seconds it took.

    The container that writes to it, if it runs, is paused for as long as the copy takes.

    Raises:
        EngineError: Docker refused, or there is no room for the copy.
    """
    clear_helpers(project)
    label = f"{HELPER_LABEL}={project}"
    copy = require_success(run(["docker", "volume", "create", "--label", label])).strip()
    try:
        with helper(project, image, {"/from:ro": volume, "/to": copy}) as container:
            began = time.monotonic()
            _copy(container, paused)
            yield container, time.monotonic() - began
    finally:
        run(["docker", "volume", "rm", "--force", copy])


def clear_helpers(project: str) -> None:
    """Remove helpers and copies that a task left which was killed."""
    label = f"label={HELPER_LABEL}={project}"
    for noun, extra in (("container", ["--all"]), ("volume", [])):
        found = run(["docker", noun, "ls", *extra, "--quiet", "--filter", label]).stdout.split()
        if found:
            run(["docker", noun, "rm", "--force", *found])


def has_data(volume: str, image: str, project: str) -> bool:
    """Return whether there is any file in a volume.

    Raises:
        EngineError: Docker refused.
    """
    with helper(project, image, {"/volume:ro": volume}) as container:
        found = run(["docker", "exec", container, "find", "/volume", "-type", "f", "-print", "-quit"])
        return bool(require_success(found).strip())


def _copy(container: str, paused: str) -> None:
    copy: Sequence[str] = ["docker", "exec", container, "cp", "-a", "/from/.", "/to/"]
    if paused:
        copy = ["sh", "-c", _COPY_PAUSED, "sh", paused, container]
    # In a session of its own and never ended, so that nothing that ends this task keeps a container paused.
    null, pipe = subprocess.DEVNULL, subprocess.PIPE
    process = subprocess.Popen(copy, stdin=null, stdout=null, stderr=pipe, text=True, start_new_session=True)
    try:
        _, errors = process.communicate()
    except BaseException:
        process.wait()
        raise
    require_success(subprocess.CompletedProcess(copy, process.returncode, "", errors))


def _read_labels(text: str) -> dict[str, str]:
    return dict(pair.partition("=")[::2] for pair in text.split(",") if pair)


def _write_labels(labels: dict[str, str]) -> list[str]:
    return [part for name, value in labels.items() for part in ("--label", f"{name}={value}")]
