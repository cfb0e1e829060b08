"""A step of provisioning, as data: what it is for, how to see that it is done, and the commands that do it."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from stack.errors import HostError


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
class SwarmPortsBound:
    """Ports of a Swarm's services listen at this address of this machine."""

    address: str


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
    | SwarmPortsBound
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


ARCHITECTURES = ("amd64", "arm64")


@dataclass(frozen=True)
class Release:
    """A release of Ubuntu or Debian; `packages` are its own Docker packages, empty where they are too old."""

    system: str
    version: str
    codename: str
    packages: tuple[str, ...]

    def __str__(self) -> str:
        """Return the name that people use."""
        return f"{self.system.capitalize()} {self.version}"


_UBUNTU = ("docker.io", "docker-compose-v2", "docker-buildx")
_DEBIAN = ("docker.io", "docker-cli", "docker-compose", "docker-buildx", "iptables")

# Debian 12 has Engine 20.10 and Compose 1.29, so nothing of its own will do.
RELEASES = (
    Release("ubuntu", "22.04", "jammy", _UBUNTU),
    Release("ubuntu", "24.04", "noble", _UBUNTU),
    Release("ubuntu", "26.04", "resolute", _UBUNTU),
    Release("debian", "12", "bookworm", ()),
    Release("debian", "13", "trixie", _DEBIAN),
)


def parse_os_release(text: str) -> dict[str, str]:
    """Return the assignments of an os-release file, which quotes as a shell does."""
    assignments = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            assignments[name] = "".join(shlex.split(value))
    return assignments


def find_release(facts: Mapping[str, str], architecture: str) -> Release:
    """Return the release that os-release's assignments tell of.

    Raspberry Pi OS in 64 bits calls itself Debian and takes Debian's packages. Derivatives such as Linux Mint, whose
    version and codename are their own, are not supported by Docker's repository either.

    Raises:
        HostError: the system, its release or its architecture is not supported.
    """
    name = facts.get("PRETTY_NAME") or facts.get("ID") or "this system"
    for release in RELEASES:
        if (release.system, release.version) == (facts.get("ID"), facts.get("VERSION_ID")):
            if architecture in ARCHITECTURES:
                return release
            name = f"{name} on {architecture}"
    raise HostError(
        f"{name} is not supported by provision, which knows {', '.join(map(str, RELEASES))} on amd64 and arm64 "
        "(so Raspberry Pi OS in 64 bits too). Install Docker Engine, Compose and Buildx as "
        "docs.docker.com/engine/install tells; then all the other tasks work here."
    )
