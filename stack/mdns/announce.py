"""Multicast DNS: which names this machine has, told on its networks for as long as they are asked for.

A machine's addresses change, by DHCP or a cable: they are looked at now and then, and told again.
"""

from collections.abc import Callable, Iterable, Sequence

from zeroconf import ServiceInfo, Zeroconf

from stack.state.tls import find_addresses

_DOMAIN, _LOOPBACK = "local.", "127.0.0.1"
# The names of services at the registry of such names: the dashboard, and MQTT over TLS.
_HTTPS, _MQTTS = "_https._tcp", "_secure-mqtt._tcp"


def build_services(names: Iterable[str], addresses: Sequence[str], *, https: int, mqtts: int) -> list[ServiceInfo]:
    """Return what is told of each name: its addresses, and the services there, with their ports."""
    return [
        ServiceInfo(
            f"{kind}.{_DOMAIN}",
            f"{name.removesuffix('.local')}.{kind}.{_DOMAIN}",
            port=port,
            server=f"{name}.",
            parsed_addresses=list(addresses),
        )
        for name in names
        for kind, port in ((_HTTPS, https), (_MQTTS, mqtts))
    ]


def announce(build: Callable[[Sequence[str]], list[ServiceInfo]], wait: Callable[[], bool]) -> None:
    """Tell the network of services at this machine's addresses, and again when they change, while `wait` says so."""
    is_going = True
    while is_going:
        addresses = find_addresses()
        zeroconf = Zeroconf(interfaces=addresses or [_LOOPBACK])
        try:
            for service in build(addresses or [_LOOPBACK]):
                zeroconf.register_service(service, cooperating_responders=True)
            while (is_going := wait()) and find_addresses() == addresses:
                pass
        finally:
            zeroconf.close()
