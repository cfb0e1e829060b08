"""The command docker: the program of that name, or something else that may lead to another engine."""

import os
import shutil
from pathlib import Path

_ELF = b"\x7fELF"
# Keys of Docker's configuration that name another engine, and more folders of plugins.
_ELSEWHERE = (b"currentContext", b"cliPluginsExtraDirs")


def own_folder() -> Path:
    """Return the folder of this user's configuration of Docker."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def is_plain() -> bool:
    """Say whether docker is Docker's own program, which is not configured to lead elsewhere.

    A script or a snap of that name may lead anywhere.
    """
    docker = shutil.which("docker")
    return docker is not None and Path(docker).resolve().name == "docker" and is_program(Path(docker)) and _is_here()


def is_program(path: Path) -> bool:
    """Say whether a file is a program that was compiled, which may be run."""
    if not os.access(path, os.X_OK):
        return False
    with path.open("rb") as file:
        return file.read(len(_ELF)) == _ELF


def _is_here() -> bool:
    if os.environ.get("DOCKER_CONTEXT"):
        return False
    try:
        configuration = (own_folder() / "config.json").read_bytes()
    except OSError:
        return True
    return not any(key in configuration for key in _ELSEWHERE)
