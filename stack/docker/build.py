"""Many builds by one client of BuildKit, which takes half of what a client for each build takes."""

import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stack.docker.command import PROVISION, run, stream
from stack.errors import BuildError, EngineError
from stack.state.host import PROXIES


@dataclass(frozen=True)
class Build:
    """What an image is built of; every path is absolute."""

    tags: tuple[str, ...]
    dockerfile: Path
    context: Path
    contexts: Mapping[str, Path]
    secrets: Mapping[str, Path]
    args: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    def command(self) -> list[str]:
        """Return the command that builds it."""
        command = ["docker", "buildx", "build", "--progress=plain", "--load", "--file", str(self.dockerfile)]
        command += [part for tag in self.tags for part in ("--tag", tag)]
        command += [part for name, path in self.contexts.items() for part in ("--build-context", f"{name}={path}")]
        command += [part for name, path in self.secrets.items() for part in ("--secret", f"id={name},src={path}")]
        command += [part for name, value in self.args.items() for part in ("--build-arg", f"{name}={value}")]
        command += [part for name in PROXIES if os.environ.get(name) for part in ("--build-arg", name)]
        return [*command, *self.flags, str(self.context)]


# A line of a log: the number of its step and, where the step begins, whose it is.
_LINE = re.compile(r"#(?P<step>\d+) (?:\[(?P<target>[\w-]+)[\] ])?")
# Later releases ask before they read files outside of the folder that they run in.
_NO_QUESTIONS = "BUILDX_BAKE_ENTITLEMENTS_FS=0"


@dataclass(frozen=True)
class Bake:
    """Builds by the name of what each is for; none has flags, which are of the command for one."""

    builds: Mapping[str, Build]

    def command(self) -> list[str]:
        """Return the command that builds them all; it reads the document from standard input."""
        return ["env", _NO_QUESTIONS, "docker", "buildx", "bake", "--progress=plain", "--file=-", *self._targets]

    def document(self) -> str:
        """Return what is to be built, in JSON."""
        targets = {target: _describe(self.builds[name]) for target, name in self._targets.items()}
        # Text is a template in these files.
        return json.dumps({"target": targets}).replace("${", "$${").replace("%{", "%%{")

    def sort(self, lines: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield whose each line of the log is, and the line with that name; one that is no one's is left out."""
        targets, owners = self._targets, dict[str, str]()
        for line in lines:
            if not (match := _LINE.match(line)):
                continue
            if name := targets.get(match["target"]):
                owners[match["step"]] = name
                line = line.replace(f"[{match['target']}", f"[{name}", 1)
            if owner := owners.get(match["step"]):
                yield owner, line

    @property
    def _targets(self) -> dict[str, str]:
        """Return whose each target is; a target's own name may have no dot."""
        return {f"t{number}": name for number, name in enumerate(self.builds)}


def _describe(build: Build) -> dict[str, Any]:
    proxies = {name: os.environ[name] for name in PROXIES if os.environ.get(name)}
    return {
        "context": str(build.context),
        "dockerfile": str(build.dockerfile),
        "contexts": {name: str(path) for name, path in build.contexts.items()},
        "args": {**build.args, **proxies},
        "secret": [f"id={name},src={path}" for name, path in build.secrets.items()],
        "tags": list(build.tags),
        "output": ["type=docker"],
    }


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
