"""A step of provisioning, as data: what it is for, how to see that it is done, and the commands that do it."""

import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class DockerIsRecent:
    """Docker Engine, Compose and Buildx are installed, from anywhere, and new enough."""

    engine: str
    compose: str


@dataclass(frozen=True)
class PackagesInstalled:
    """All of these packages are installed."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class PackagesAbsent:
    """None of these packages is installed."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class FileExists:
    """The file is there."""

    path: PurePosixPath


@dataclass(frozen=True)
class SourceListed:
    """apt has this source: the file says just this, or another file names the same host."""

    path: PurePosixPath
    content: str
    host: str


@dataclass(frozen=True)
class PidIsOf:
    """The pid file is absent, or its process runs this program."""

    path: PurePosixPath
    program: str


@dataclass(frozen=True)
class EngineRuns:
    """Docker Engine answers."""


@dataclass(frozen=True)
class EngineIsOpen:
    """Docker Engine answers this very user, without sudo."""


@dataclass(frozen=True)
class UserInGroup:
    """The user is a member of the group, from the next login on."""

    user: str
    group: str


@dataclass(frozen=True)
class AnyOf:
    """One of the checks holds."""

    checks: tuple["Check", ...]


Check = (
    DockerIsRecent
    | PackagesInstalled
    | PackagesAbsent
    | FileExists
    | SourceListed
    | PidIsOf
    | EngineRuns
    | EngineIsOpen
    | UserInGroup
    | AnyOf
)


@dataclass(frozen=True)
class Command:
    """One command without a shell; its standard input is a text, or what a URL holds, or nothing."""

    arguments: tuple[str, ...]
    text: str = ""
    url: str = ""

    def __str__(self) -> str:
        """Return the command as a person would type it."""
        line = shlex.join(self.arguments)
        if self.url:
            return f"curl -fsSL {self.url} | {line}"
        if self.text:
            return f"{line} <<EOF\n{self.text}EOF"
        return line


@dataclass(frozen=True)
class Step:
    """Something that this machine needs.

    Commands run only while the check does not hold, and `wait` seconds after them it has to. `removes` names packages
    that go, so that the user is asked first, and `running` lists the containers that end with them. `diagnosis` shows
    why, where the check still does not hold.
    """

    name: str
    reason: str
    check: Check
    commands: tuple[Command, ...]
    removes: tuple[str, ...] = ()
    running: Command | None = None
    wait: float = 0
    diagnosis: Command | None = None


def describe_step(step: Step) -> list[str]:
    """Return the step as lines: its name and reason, then its commands."""
    lines = [f"{step.name}: {step.reason}"]
    for command in step.commands:
        lines += [f"    {line}" for line in str(command).splitlines()]
    return lines
