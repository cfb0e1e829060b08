"""A container of the project, as one listing tells of it, and how `docker ps` is asked for that."""

import json
import re
from dataclasses import dataclass

from stack.config.function import FUNCTION_LABEL
from stack.plan.python import PYTHON_LABEL, WANTED_LABEL, Python
from stack.plan.stack import FILES_LABEL, SECRETS_LABEL

# By which Compose finds its containers again.
PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
HASH_LABEL = "com.docker.compose.config-hash"
FOLDER_LABEL = "com.docker.compose.project.working_dir"

_PORT = re.compile(r"(?P<host>[0-9.]+):(?P<published>\d+)->(?P<target>\d+)/tcp")
_HEALTH = re.compile(r"\((?:health: )?(healthy|unhealthy|starting)\)")

_FIELDS = {
    "id": ".ID",
    "name": ".Names",
    "image": ".Image",
    "state": ".State",
    "status": ".Status",
    "ports": ".Ports",
    "service": f'(.Label "{SERVICE_LABEL}")',
    "config_hash": f'(.Label "{HASH_LABEL}")',
    "files": f'(.Label "{FILES_LABEL}")',
    "secrets": f'(.Label "{SECRETS_LABEL}")',
    "function": f'(.Label "{FUNCTION_LABEL}")',
    "wanted_python": f'(.Label "{WANTED_LABEL}")',
    "python": f'(.Label "{PYTHON_LABEL}")',
    "folder": f'(.Label "{FOLDER_LABEL}")',
}


@dataclass(frozen=True)
class Container:
    """One container; `status` is Docker's own sentence, such as `Up 3 minutes (healthy)`."""

    id: str
    name: str
    image: str
    state: str
    status: str
    ports: str
    service: str
    config_hash: str
    files: str
    secrets: str
    function: str
    wanted_python: str = ""
    python: str = ""
    folder: str = ""
    """Where the Compose file is that it was started with."""
    network_address: str = ""
    """Where it is in Docker's network, as far as the listing says; nothing if it does not run."""
    is_cut_off: bool = False
    """Whether it was taken off one of its networks, as far as the listing says."""
    network_addresses: tuple[tuple[str, str], ...] = ()
    """Where it is on each network, by Docker's name of it, as far as the listing says."""
    answers: bool = False
    """Whether the function itself said that it is ready, which Docker may find out only later."""

    @staticmethod
    def format() -> tuple[str, str]:
        """Return the arguments that make `docker ps` print one JSON document a line."""
        pairs = ", ".join(f'"{name}": {{{{json {expression}}}}}' for name, expression in _FIELDS.items())
        return ("--format", f"{{{pairs}}}")

    @property
    def health(self) -> str:
        """Return healthy, unhealthy, starting, or nothing."""
        match = _HEALTH.search(self.status)
        return "healthy" if self.answers else match[1] if match else ""

    @property
    def python_of_function(self) -> Python:
        """Return the Python that a function runs on, and the one that its author asked for."""
        return Python(self.image, self.python, self.wanted_python)

    @property
    def is_running(self) -> bool:
        """Say whether its process runs."""
        return self.state == "running"

    @property
    def is_stopped(self) -> bool:
        """Say whether it does nothing until somebody starts it, unlike one that Docker is about to start again."""
        return self.state in ("created", "exited", "dead")

    @property
    def is_doubtful(self) -> bool:
        """Say whether it is a function that may do its work although Docker's checks have not found that it does."""
        return bool(self.function) and self.is_running and not self.is_ready

    @property
    def is_ready(self) -> bool:
        """Say whether it does its work."""
        return self.is_running and self.health == "healthy" and not self.is_cut_off

    @property
    def has_failed(self) -> bool:
        """Say whether its process ended; Docker may be about to start it again."""
        return self.state in ("exited", "dead", "restarting")

    @property
    def condition(self) -> str:
        """Return a word or two for a person: its health, or its state."""
        if self.is_running and self.is_cut_off:
            return "cut off"
        return self.health if self.is_running and self.health else self.state

    def address(self, target: int) -> str:
        """Return the address on this machine that leads to a port of the container, such as 127.0.0.1:8080."""
        for match in _PORT.finditer(self.ports):
            if int(match["target"]) == target:
                host = "127.0.0.1" if match["host"] == "0.0.0.0" else match["host"]
                return f"{host}:{match['published']}"
        return ""


def read_containers(listing: str) -> tuple[Container, ...]:
    """Read what `docker ps` printed."""
    return tuple(Container(**json.loads(line)) for line in listing.splitlines())
