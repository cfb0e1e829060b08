"""The systems that provisioning knows: their releases, and what their Docker packages are called."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from stack.errors import HostError

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
