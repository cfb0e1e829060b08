"""Multicast DNS on this machine's own loopback interface: a name is found, at the address that there is now."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv4Address

import pytest
from zeroconf import ServiceInfo, Zeroconf

from stack.config.network import Tls
from stack.config.settings import Settings
from stack.mdns import announce as module
from stack.mdns.announce import announce, build_services
from stack.plan.inputs import HostContext, Inputs
from stack.state.tls import find_addresses
from tests.unit.plan.samples import GUEST_ACCOUNTS
from tests.unit.plan.test_image import PACKAGES

NAME = "tidegate-test.local"


@contextmanager
def announcing() -> Iterator[threading.Event]:
    stop = threading.Event()
    build = partial(build_services, [NAME], https=8443, mqtts=8883)
    thread = threading.Thread(target=announce, args=(build, lambda: not stop.wait(0.05)))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(10)


def find(kind: str) -> tuple[list[str], int | None]:
    zeroconf = Zeroconf(interfaces=["127.0.0.1"])
    try:
        found = zeroconf.get_service_info(f"{kind}.local.", f"tidegate-test.{kind}.local.", timeout=60_000)
        return (found.parsed_addresses(), found.port) if found else ([], None)
    finally:
        zeroconf.close()


def test_name_is_found_with_its_ports_and_at_its_new_address(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = ["127.0.0.1"]
    monkeypatch.setattr(module, "find_addresses", lambda: list(addresses))
    with announcing():
        assert find("_https._tcp") == (["127.0.0.1"], 8443)
        assert find("_secure-mqtt._tcp") == (["127.0.0.1"], 8883)
    (service, _) = build_services([NAME], ["192.0.2.7"], https=1, mqtts=2)
    assert (service.server, service.parsed_addresses()) == (f"{NAME}.", ["192.0.2.7"])


def test_it_is_told_again_when_an_address_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([["127.0.0.1"], ["127.0.0.1"], [], [], []])
    monkeypatch.setattr(module, "find_addresses", lambda: next(found))
    told: list[list[str]] = []
    goes_on = iter([True, True, False])

    def build(addresses: Sequence[str]) -> list[ServiceInfo]:
        told.append(list(addresses))
        return []

    announce(build, lambda: next(goes_on))
    # Without a network, there is this machine's own.
    assert told == [["127.0.0.1"], ["127.0.0.1"]]


@pytest.mark.parametrize(
    ("tls", "bind", "names"),
    [
        (("tidegate.local", "plant.example", "HALL.local"), "0.0.0.0", ("tidegate.local",)),
        (("tidegate.local",), "127.0.0.1", ()),
        ((), "0.0.0.0", ()),
    ],
)
def test_only_names_that_others_reach_and_the_machine_does_not_tell_are_told(
    tls: tuple[str, ...], bind: str, names: tuple[str, ...]
) -> None:
    settings = Settings(bind=IPv4Address(bind), tls=Tls(names=tls))
    home = HostContext(names=("Hall", "hall.local"))
    assert Inputs(settings, PACKAGES, GUEST_ACCOUNTS, home=home).mdns_names == names


def test_addresses_are_those_of_this_machine_to_others() -> None:
    assert all(socket.inet_aton(one) and not one.startswith("127.") for one in find_addresses())
