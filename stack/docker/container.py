"""A container of the project, as Docker's listing tells of it, and as it says itself when it is asked.

Docker's own checks cost much more than short questions, and are rare.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from stack.config.function import FUNCTION_LABEL
from stack.contract import HEALTH_PORT, PYTHON
from stack.plan.function import service_name
from stack.plan.gateway import CONTAINERS_PATH, CONTROL_PORT, SERVICE, find_networks, network_name
from stack.plan.image import RUNTIME_LABEL, VERSION_LABEL, WANTED_LABEL, RuntimeVersion
from stack.plan.stack import DEFINITION_LABEL, FILES_LABEL, SECRETS_LABEL
from stack.state.http_client import explain, open_local_pool
from stack.state.workspace import is_inside

# By which Compose finds its containers again.
PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
FOLDER_LABEL = "com.docker.compose.project.working_dir"

# How the name of every function's service begins.
_FUNCTION = service_name("")

# The state of a container whose process was never started.
NEVER_RAN = "created"

_PORT = re.compile(r"(?P<host>[0-9.]+):(?P<published>\d+)->(?P<target>\d+)/tcp")
_HEALTH = re.compile(r"\((?:health: )?(healthy|unhealthy|starting)\)")


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
    definition: str
    files: str
    secrets: str
    function: str
    wanted_version: str = ""
    version: str = ""
    runtime: str = PYTHON
    folder: str = ""
    """Where the Compose file is that it was started with."""
    network_address: str = ""
    """Where it is in Docker's network, as far as the listing says; nothing if it does not run."""
    is_cut_off: bool = False
    """Whether it was taken off one of its networks, as far as the listing says."""
    network_addresses: tuple[tuple[str, str], ...] = ()
    """Where it is on each network, by Docker's name of it, as far as the listing says."""
    task: str = ""
    """The id of its task, where it is Docker Swarm's."""
    node: str = ""
    """The machine that it runs on, where it is another than this one."""
    answers: bool = False
    """Whether the function itself said that it is ready, which Docker may find out only later."""

    @property
    def health(self) -> str:
        """Return healthy, unhealthy, starting, or nothing."""
        match = _HEALTH.search(self.status)
        return "healthy" if self.answers else match[1] if match else ""

    @property
    def runtime_version(self) -> RuntimeVersion:
        """Return the version of the runtime that a function runs on, and the one that its author asked for."""
        return RuntimeVersion(self.image, self.version, self.wanted_version, self.runtime)

    @property
    def is_running(self) -> bool:
        """Return whether its process runs."""
        return self.state == "running"

    @property
    def is_stopped(self) -> bool:
        """Return whether it does nothing until somebody starts it, unlike one that Docker is about to start again."""
        return self.state in (NEVER_RAN, "exited", "dead")

    @property
    def is_doubtful(self) -> bool:
        """Return whether it is a function that may do its work although Docker's checks have not found that it does.

        Tidegate's own, such as the recorder, are functions by their service alone.
        """
        return self.service.startswith(_FUNCTION) and self.is_running and not self.is_ready

    @property
    def is_ready(self) -> bool:
        """Return whether it does its work."""
        return self.is_running and self.health == "healthy" and not self.is_cut_off

    @property
    def has_failed(self) -> bool:
        """Return whether its process ended; Docker may be about to start it again."""
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


class Listed(Protocol):
    """One container of Docker's listing: what JSON has, by its name there."""

    def __getitem__(self, key: str, /) -> Any:
        """Return a part of it."""


def describe_by_labels(labels: Mapping[str, str]) -> dict[str, Any]:
    """Return what a container is told to be by its labels, whatever started it."""
    return {
        "definition": labels.get(DEFINITION_LABEL, ""),
        "files": labels.get(FILES_LABEL, ""),
        "secrets": labels.get(SECRETS_LABEL, ""),
        "function": labels.get(FUNCTION_LABEL, ""),
        "wanted_version": labels.get(WANTED_LABEL, ""),
        "version": labels.get(VERSION_LABEL, ""),
        "runtime": labels.get(RUNTIME_LABEL, PYTHON),
    }


def read_container(document: Listed) -> Container:
    """Read one container of Docker's listing."""
    labels, networks = document["Labels"], document["NetworkSettings"]["Networks"]
    addresses = tuple((name, one.get("IPAddress") or "") for name, one in sorted(networks.items()))
    return Container(
        id=document["Id"],
        name=next(iter(document["Names"] or ()), "").lstrip("/"),
        image=document["Image"],
        state=document["State"],
        status=document["Status"],
        ports=", ".join(_write_ports(document["Ports"])),
        service=labels.get(SERVICE_LABEL, ""),
        **describe_by_labels(labels),
        folder=labels.get(FOLDER_LABEL, ""),
        network_address=next((address for _, address in addresses if address), ""),
        is_cut_off=_is_cut_off(labels, networks),
        network_addresses=addresses,
    )


def _is_cut_off(labels: Mapping[str, str], networks: Collection[str]) -> bool:
    """Return whether a container is not on all of the networks that its service is to be on."""
    wanted = {network_name(labels.get(PROJECT_LABEL, ""), one) for one in find_networks(labels.get(SERVICE_LABEL, ""))}
    return not networks or (PROJECT_LABEL in labels and not wanted <= set(networks))


def _write_ports(ports: Iterable[dict[str, Any]]) -> list[str]:
    """Write ports as `docker ps` does."""
    return [
        f"{one['IP']}:{one['PublicPort']}->{one['PrivatePort']}/{one['Type']}" for one in ports if "PublicPort" in one
    ]


_DEFAULT_REGISTRY = re.compile(r"^(docker\.io/)?(library/)?")


def shorten(image: str) -> str:
    """Return an image's name as Docker tells it."""
    name, _, digest = _DEFAULT_REGISTRY.sub("", image).partition("@")
    folder, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return f"{folder}{slash}{last}@{digest}" if digest else f"{folder}{slash}{last}:{tag or 'latest'}"


def find_url(host: str, port: int, path: str = "") -> str:
    """Return where to ask a container's port, by its address or its service's name."""
    if is_inside():
        return f"http://{SERVICE}:{CONTROL_PORT}{CONTAINERS_PATH}{host}/{port}{path}"
    return f"http://{host}:{port}{path}"


_TIMEOUT_SECONDS = 0.2


def ask(url: str, timeout: float) -> BaseHTTPResponse:
    """Ask for a page, and read it to its end.

    Raises:
        OSError: no one answers, or not in HTTP.
    """
    try:
        with open_local_pool() as pool:
            return pool.request("GET", url, timeout=timeout)
    except HTTPError as error:
        raise ConnectionError(explain(error)) from error


def confirm(listed: Sequence[Container]) -> tuple[Container, ...]:
    """Return containers with the word of those functions of which Docker's may be old."""
    ready = find_ready({one.id: one.network_address for one in listed if one.is_doubtful})
    return tuple(replace(one, answers=True) if one.id in ready else one for one in listed)


def find_ready(addresses: Mapping[str, str]) -> set[str]:
    """Return the ids of those containers that are ready, of a mapping from ids to addresses.

    Where this machine does not reach them none is, and Docker's word is waited for.
    """
    return {id_ for id_, address in addresses.items() if address and _is_ready(address)}


def _is_ready(address: str) -> bool:
    try:
        return ask(find_url(address, HEALTH_PORT, "/ready"), _TIMEOUT_SECONDS).status == 200
    except OSError:
        return False
