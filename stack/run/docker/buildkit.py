"""BuildKit: builds of images, one by one or together, all of which end with their task."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from stack.errors import BuildError, EngineError
from stack.run.docker.bake import Bake
from stack.run.docker.build import Build
from stack.run.docker.command import run, stream
from stack.run.docker.refusal import PROVISION


@dataclass
class BuildKit:
    """Docker's builder, and the clients of it that run."""

    _running: "set[subprocess.Popen[str]]" = field(default_factory=set)

    def build(self, build: Build) -> Iterator[str]:
        """Build an image and yield the lines of the log as they come.

        Raises:
            BuildError: it failed; the message ends with the last lines.
        """
        with _blaming_buildx():
            failure = f"The image {build.tags[0]} could not be built"
            yield from stream(build.command(), failure, self._running)

    def bake(self, bake: Bake) -> Iterator[tuple[str, str]]:
        """Build several images together, and yield the lines of the log with whose they are.

        Raises:
            BuildError: one or more failed, and others may not have been tried.
        """
        with _blaming_buildx():
            failure = "The images could not be built together"
            yield from bake.sort(stream(bake.command(), failure, self._running, text=bake.document()))

    def cancel(self) -> None:
        """Make the builds of other threads end."""
        for process in tuple(self._running):
            process.terminate()


@contextmanager
def _blaming_buildx() -> Iterator[None]:
    """Tell a missing Buildx, which is not asked for before each build, from a build that fails."""
    try:
        yield
    except BuildError:
        if run(["docker", "buildx", "version"]).returncode:
            raise EngineError(f"Docker Buildx, which builds images, is not installed. {PROVISION}") from None
        raise
