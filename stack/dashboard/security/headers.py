"""What browsers may do with answers: load nothing from elsewhere, run no script but our own files, frame nothing."""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stack.config.settings import IpNetwork
from stack.state.workspace import NAMES_VARIABLE

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# What a function answers is shown as it is, and does nothing.
_SANDBOX = "default-src 'none'; sandbox"
_INVOCATIONS = "/api/function_invocations"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Policy:
    """Adds the headers to every answer; what is no static file is kept by no cache."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = _SANDBOX if path.startswith(_INVOCATIONS) else _POLICY
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if not path.startswith("/static/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_policy)


_OWN = frozenset({"localhost", "dashboard"})
_MISDIRECTED = 421


class HostGuard:
    """Answers only requests whose Host is an address, localhost, or a name of this machine.

    A name such as *.plant.example, as certificates have it, is any with one part more. An address cannot be made to
    lead elsewhere, which is what DNS rebinding does with a name.
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
        _, _, above = name.partition(".")
        is_named = name in self._names or f"*.{above}" in self._names
        return is_named or name.endswith(".localhost") or _is_address(name)


def machine_names() -> tuple[str, ...]:
    """Return the names of this machine that were given by the one who started this program."""
    return tuple(os.environ.get(NAMES_VARIABLE, "").split())


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


_ROUTES = Path("/proc/net/route")
# The prefix of IPv6 that one customer has, each of whose addresses a client can take.
_PREFIX = 64
_DEFAULT = "00000000"
# The column of the mask.
_MASK = 7


def count_as(address: str) -> str:
    """Return as whom a client's address counts: an address of IPv6 as its network, what is no address as itself."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped) if mapped else str(IPv6Network((found, _PREFIX), strict=False))
    return str(found)


def find_proxies(networks: Sequence[IpNetwork], *, is_inside: bool, has_gateway: bool = False) -> list[str]:
    """Return the trusted proxies as uvicorn takes them.

    What comes from this machine comes to a container from its bridge's address: that is trusted where 127.0.0.1 is.
    The gateway speaks for others where it has TLS; on its network are programs of the stack's own alone, and the
    bridge, from which others may come.
    """
    found = [*map(str, networks)]
    if not is_inside:
        return found
    bridge = _find_bridge()
    if bridge and any(one.is_loopback for one in networks):
        found.append(bridge)
    if has_gateway:
        found += [str(one) for network in _find_networks() for one in _exclude(network, bridge)]
    return found


def _exclude(network: IPv4Network, bridge: str) -> Iterable[IPv4Network]:
    if bridge and IPv4Address(bridge) in network:
        return network.address_exclude(IPv4Network(bridge))
    return (network,)


def _read_routes() -> Iterator[list[str]]:
    """Yield the kernel's routes; addresses are little-endian, in hexadecimal."""
    try:
        rows = [line.split() for line in _ROUTES.read_text().splitlines()[1:]]
    except OSError:
        return
    yield from (row for row in rows if len(row) > _MASK)


def _find_bridge() -> str:
    """Return the address of the default route, or nothing."""
    gateways = (row[2] for row in _read_routes() if row[1] == _DEFAULT and row[2] != _DEFAULT)
    return next((str(_read_address(one)) for one in gateways), "")


def _find_networks() -> list[IPv4Network]:
    """Return the networks that a container is on itself."""
    own = (row for row in _read_routes() if row[1] != _DEFAULT and row[2] == _DEFAULT)
    return [IPv4Network(f"{_read_address(row[1])}/{_read_address(row[_MASK])}") for row in own]


def _read_address(text: str) -> IPv4Address:
    return IPv4Address(bytes.fromhex(text)[::-1])


API = "/api"


def is_api(scope: Scope) -> bool:
    """Return whether a request is one of Nuclio's API."""
    path = str(scope["path"])
    return path == API or path.startswith(f"{API}/")


async def refuse(
    scope: Scope, receive: Receive, send: Send, *, status: int, message: str, headers: dict[str, str] | None = None
) -> None:
    """Answer that a request is refused, and why."""
    answer: Response
    if is_api(scope):
        answer = JSONResponse({"error": message, "errorStackTrace": message}, status, headers)
    else:
        answer = PlainTextResponse(f"{message}\n", status, headers)
    await answer(scope, receive, send)


_METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
_EXPOSED = ("Content-Length", "X-Nuclio-Logs")
_HEADERS_CORS = (
    "Accept",
    "Authorization",
    "Content-Length",
    "Content-Type",
    "X-CSRF-Token",
    "X-Nuclio-Api-Gateway-Name",
    "X-Nuclio-Api-Gateway-Namespace",
    "X-Nuclio-Creation-State-Updated-Timeout",
    "X-Nuclio-Delete-Function-Ignore-State-Validation",
    "X-Nuclio-Delete-Function-With-Api-Gateways",
    "X-Nuclio-Delete-Project-Strategy",
    "X-Nuclio-Filter-Contains",
    "X-Nuclio-Function-Event-Name",
    "X-Nuclio-Function-Event-Namespace",
    "X-Nuclio-Function-Name",
    "X-Nuclio-Function-Namespace",
    "X-Nuclio-Invoke-Timeout",
    "X-Nuclio-Invoke-Url",
    "X-Nuclio-Invoke-Via",
    "X-Nuclio-Log-Level",
    "X-Nuclio-Path",
    "X-Nuclio-Project-Name",
    "X-Nuclio-Project-Namespace",
    "X-Nuclio-Wait-Function-Action",
)
# Nuclio's: how long a browser remembers what it may.
_SECONDS = 300
# What the scope is told of a request of such a page.
WELCOME = "is_welcome"


class Cors:
    """Answers browsers that ask whether a page of another site may use the API; of other sites it says nothing."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._welcoming = CORSMiddleware(
            app,
            allow_origins=tuple(origins),
            allow_methods=_METHODS,
            allow_headers=_HEADERS_CORS,
            expose_headers=_EXPOSED,
            allow_credentials=True,
            max_age=_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http" and is_api(scope) and Headers(scope=scope).get("origin") in self._origins:
            scope[WELCOME] = True
            await self._welcoming(scope, receive, send)
        else:
            await self._app(scope, receive, send)
