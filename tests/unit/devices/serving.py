"""The service of devices served on a port of this machine, with a link that only remembers what it was given."""

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import uvicorn

from stack.devices.api import build_app, build_forget_routes, build_presence_routes, build_twin_routes
from stack.devices.client import DeviceService
from stack.devices.event import Connection
from stack.devices.link import Link, Publication
from stack.devices.presence import Presence
from stack.devices.store import open_store
from stack.devices.twin import Twins


@dataclass
class Served:
    """The service, and what it has had published."""

    presence: Presence
    twins: Twins
    service: DeviceService | None = None
    connected: list[Connection] = field(default_factory=list)
    published: list[str] = field(default_factory=list)

    def say(self, publications: Iterable[Publication]) -> None:
        self.published += [one.topic for one in publications]

    @property
    def client(self) -> DeviceService:
        assert self.service
        return self.service


@contextmanager
def serve_devices(folder: Path) -> Iterator[Served]:
    """Serve the service; every name is a device's."""
    store, connected = open_store(folder), list[Connection]()
    presence = Presence(store, lambda: connected, lambda _: True)
    twins = Twins(store, lambda _: True)
    served = Served(presence, twins, connected=connected)
    routes = [
        *build_presence_routes(presence),
        *build_twin_routes(twins, cast(Link, served)),
        *build_forget_routes(store, [presence.forget, twins.forget], say=served.say),
    ]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(build_app(routes), log_level="warning"))
        thread = threading.Thread(target=lambda sockets: server.run(sockets), args=([listener],))
        thread.start()
        served.service = DeviceService("127.0.0.1", listener.getsockname()[1])
        try:
            yield served
        finally:
            server.should_exit = True
            thread.join()
            store.close()


def ask(served: Served, method: str, path: str, body: object = None) -> Any:
    """Ask the service."""
    return served.client.ask(method, path, body)
