"""Docker's own listing of containers, in JSON, with addresses, for which each would have to be inspected."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import quote

from stack.config.function import FUNCTION_LABEL
from stack.plan.network import find_networks, network_name
from stack.plan.python import PYTHON_LABEL, WANTED_LABEL
from stack.plan.stack import FILES_LABEL, SECRETS_LABEL
from stack.run.docker.container import FOLDER_LABEL, HASH_LABEL, PROJECT_LABEL, SERVICE_LABEL, Container
from stack.run.docker.probe import find_ready
from stack.run.docker.socket import ask_engine


class Listed(Protocol):
    """One container of Docker's listing: what JSON has, by its name there."""

    def __getitem__(self, key: str, /) -> Any:
        """Return a part of it."""


def list_containers(project: str) -> tuple[Container, ...] | None:
    """List a project's containers, running or not; nothing where only the command docker knows which engine it is."""
    filters = quote(json.dumps({"label": [f"{PROJECT_LABEL}={project}"]}))
    listing = ask_engine(f"/containers/json?all=1&filters={filters}")
    return None if listing is None else tuple(map(read_container, json.loads(listing)))


def confirm(listed: Sequence[Container], addresses: Mapping[str, str]) -> tuple[Container, ...]:
    """Ask those containers of which there is an address, by id, whether they are ready; return all with their word."""
    ready = find_ready(addresses)
    return tuple(replace(one, answers=True) if one.id in ready else one for one in listed)


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
        config_hash=labels.get(HASH_LABEL, ""),
        files=labels.get(FILES_LABEL, ""),
        secrets=labels.get(SECRETS_LABEL, ""),
        function=labels.get(FUNCTION_LABEL, ""),
        wanted_python=labels.get(WANTED_LABEL, ""),
        python=labels.get(PYTHON_LABEL, ""),
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
