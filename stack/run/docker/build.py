"""One call of BuildKit."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# Handed to builds as BuildKit's predefined arguments, which it keeps out of the image's history.
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


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
