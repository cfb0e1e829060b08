"""The Host header: a name that is not ours is refused, so that no other site's name can be made to lead here."""

import os
from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from stack.run.place import NAMES_VARIABLE

_OWN = frozenset({"localhost", "dashboard"})
_MISDIRECTED = 421


class HostGuard:
    """Answers only requests whose Host is an address, localhost, or a name of this machine.

    An address cannot be made to lead elsewhere, which is what DNS rebinding does with a name.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = _OWN | {name.lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or self._is_own(Headers(scope=scope).get("host", "")):
            await self._app(scope, receive, send)
            return
        message = "This name is not one of this machine's; list it under dashboard.hosts in stack.yaml.\n"
        await PlainTextResponse(message, _MISDIRECTED)(scope, receive, send)

    def _is_own(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return name in self._names or name.endswith(".localhost") or _is_address(name)


def machine_names() -> tuple[str, ...]:
    """Return the names of this machine that whoever started this program told of."""
    return tuple(os.environ.get(NAMES_VARIABLE, "").split())


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
