"""The base of the stack's images, made while Docker is being installed: mmdebstrap needs no Docker.

It is made where images will be built of packages, as far as that can be told yet. If it cannot be, `up` makes it, and
tells why that fails.
"""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from stack import console
from stack.config.settings import ImageSource, Settings, load_settings
from stack.docker.base_image import COMMAND, build_command, load_renewal
from stack.errors import StackError
from stack.plan.image import Archive, debian_image, find_registry
from stack.run.provision.machine import environment, is_reachable
from stack.state.host import read_archive
from stack.state.workspace import Workspace, open_workspace

# Not in /tmp, which may be in memory.
_FOLDER = "/var/tmp"
_STOP_SECONDS = 10


@dataclass(frozen=True)
class BegunBase:
    """A base image on its way: the process that writes its root filesystem to a file."""

    title: str
    name: str
    prefix: Sequence[str]
    process: subprocess.Popen[bytes]
    file: IO[bytes]

    def finish(self) -> None:
        """Wait for it, and give it to Docker, which runs by now."""
        with console.working(self.title):
            is_made = self.process.wait() == 0 and self._import()
        if not is_made:
            console.note("That was not possible; `up` tries it again, and says why if it fails.")

    def _import(self) -> bool:
        self.file.seek(0)
        command = [*self.prefix, "docker", "import", "--change", COMMAND, "-", self.name]
        return _run(command, stdin=self.file, stdout=subprocess.DEVNULL).wait() == 0

    def end(self) -> None:
        """See that nothing of it runs any more."""
        if self.process.poll() is None:
            # sudo may not be told to end, and does so with what it runs.
            with suppress(PermissionError, subprocess.TimeoutExpired):
                self.process.terminate()
                self.process.wait(_STOP_SECONDS)


@contextmanager
def base_begun(prefix: Sequence[str]) -> Iterator[BegunBase | None]:
    """Begin the base image, if images will be built of packages; `prefix` makes a command root's."""
    try:
        workspace = open_workspace()
        found = _find_base(workspace, load_settings(workspace.root))
    except StackError:
        # What needs the settings, or the archive, tells what is wrong with them.
        found = None
    if found is None:
        yield None
        return
    archive, name = found
    # Root's rights are there since the step before; nothing asks for a password from behind.
    prefix = [*prefix, "--non-interactive"] if prefix else []
    with tempfile.TemporaryFile(dir=_FOLDER) as file:
        process = _run([*prefix, *build_command(archive)], stdin=subprocess.DEVNULL, stdout=file)
        begun = BegunBase(f"Building a base image from the packages of {archive.codename}", name, prefix, process, file)
        try:
            yield begun
        finally:
            begun.end()


def _find_base(workspace: Workspace, settings: Settings) -> tuple[Archive, str] | None:
    source = settings.images.source
    registry = find_registry(f"{settings.images.mirror}{settings.images.rabbitmq}")
    if source is ImageSource.REGISTRY or (source is ImageSource.AUTO and is_reachable(f"https://{registry}/v2/")):
        return None
    archive = read_archive()
    return archive, debian_image(archive, load_renewal(workspace))


def _run(command: Sequence[str], *, stdin: int | IO[bytes], stdout: int | IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL, env=environment())
