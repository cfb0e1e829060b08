"""The topic `presence`: how many devices are connected, and those that came or went last; and each device's twin."""

import asyncio
from collections.abc import Callable
from typing import Any

from stack.devices.client import find_device_service, name_path
from stack.docker.stack import Stack
from stack.errors import StackError
from stack.state.devices import list_logins

_PAUSE = 1.0
# Changes that are told: a page that was open a moment ago has the rest.
_SHOWN = 200
_PATIENCE = 5.0


class PresenceSource:
    """What the service of devices says of the last changes, which costs it one query; nothing where it is not."""

    pause = _PAUSE

    def __init__(self, stack: Callable[[], Stack]) -> None:
        self._stack = stack

    async def look(self) -> dict[str, Any]:
        """Return the count, and the devices by name."""
        return await asyncio.to_thread(self._look)

    async def rest(self) -> None:
        """Do nothing: nothing is open."""

    def _look(self) -> dict[str, Any]:
        try:
            stack = self._stack()
            if not list_logins(stack.workspace):
                return {"connected": None, "devices": {}}
            service = find_device_service(stack)
            found = service.ask("GET", "/presence", query={"last": _SHOWN}, timeout=_PATIENCE)
        except StackError:
            return {"connected": None, "devices": {}}
        devices = {name: {**one, "lastSeen": None} for name, one in found["devices"].items()}
        return {"connected": found["connected"], "devices": devices}


class TwinSource:
    """The twin of one device; None where the service does not answer."""

    pause = _PAUSE

    def __init__(self, stack: Callable[[], Stack], name: str) -> None:
        self._stack, self._name = stack, name

    async def look(self) -> dict[str, Any] | None:
        """Return the twin."""
        return await asyncio.to_thread(self._look)

    async def rest(self) -> None:
        """Do nothing: nothing is open."""

    def _look(self) -> dict[str, Any] | None:
        try:
            service = find_device_service(self._stack())
            return dict(service.ask("GET", name_path(self._name, "twin"), timeout=_PATIENCE))
        except StackError:
            return None
