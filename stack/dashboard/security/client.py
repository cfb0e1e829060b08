"""Who asks: the client behind the proxies that stack.yaml trusts, and as whom an address counts."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path

from stack.config.settings import IpNetwork

_ROUTES = Path("/proc/net/route")
# The prefix of IPv6 that one customer has, each of whose addresses a client can take.
_PREFIX = 64
_DEFAULT = "00000000"


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


def find_proxies(networks: Sequence[IpNetwork], *, is_inside: bool) -> list[str]:
    """Return the trusted proxies as uvicorn takes them.

    What comes from this machine comes to a container from its bridge's address: that is trusted where 127.0.0.1 is.
    """
    bridge = _find_bridge() if is_inside and any(one.is_loopback for one in networks) else ""
    return [*map(str, networks), *([bridge] if bridge else [])]


def _find_bridge() -> str:
    """Return the address of the default route, or nothing."""
    try:
        rows = [line.split() for line in _ROUTES.read_text().splitlines()[1:]]
    except OSError:
        return ""
    # Little-endian, in hexadecimal.
    gateways = (row[2] for row in rows if len(row) > 2 and row[1] == _DEFAULT and row[2] != _DEFAULT)
    return next((str(IPv4Address(bytes.fromhex(one)[::-1])) for one in gateways), "")
