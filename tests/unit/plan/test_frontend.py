"""Which names the gateway answers to, and how many connections it takes."""

import json
import re

import pytest

from stack.config.settings import Gateway, Settings
from stack.plan.gateway import host_pattern
from stack.plan.gateway_frontend import find_limits

PATTERN = host_pattern(("Plant", "plant.local", "iot.example.", "*.Works.example"))


def is_answered(host: str) -> bool:
    """Say what HAProxy does, whose patterns are Perl's."""
    return re.search(PATTERN.strip("'"), host, re.IGNORECASE) is not None


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8080",
        "a.b.localhost",
        "127.0.0.1",
        "192.168.1.20:9000",
        "[::1]:8080",
        "[fe80::1]",
        "gateway:8080",
        "plant",
        "plant.local.",
        "iot.example:443",
        "hall-1.works.example:8443",
    ],
)
def test_own_names_and_every_address_are_answered(host: str) -> None:
    assert is_answered(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "notlocalhost",
        "127.0.0.1.evil.example",
        "iotxexample",
        "works.example",
        "a.b.works.example",
        ".works.example",
        "plant@evil.example",
        "evil.example/plant",
        "[evil.example]",
        "1.2.3",
    ],
)
def test_other_names_are_not(host: str) -> None:
    assert not is_answered(host)


def test_what_is_no_name_does_not_get_into_the_pattern() -> None:
    assert host_pattern(("a'b", "c d", "(.*)", "*", "a.*.b", "*.", "")) == host_pattern(())


def test_there_is_room_for_control_beside_all_clients() -> None:
    limits = find_limits(Settings(gateway=Gateway(connections=100, connections_per_address=10)), 8080)
    assert (limits.public.connections, limits.public.per_address) == (100, 10)
    assert limits.total >= 2 * 100 + limits.control + sum(one.connections for one in limits.broker)
    assert {one.name: one.port for one in limits.broker} == {"management": 15672, "metrics": 15692}


def test_refusals_are_words_of_the_configuration_that_say_what_to_do() -> None:
    limits = find_limits(Settings(), 8080)
    for frontend in (limits.public, *limits.broker):
        for said in (frontend.crowded, frontend.misdirected, frontend.absent):
            assert (said[0], said[-1], said.count("'")) == ("'", "'", 2)
            assert "\\" not in said
    assert "connections_per_address" in json.loads(limits.public.crowded.strip("'"))["error"]
    assert "connections_per_address" not in limits.broker[0].crowded
    assert "dashboard.hosts" in limits.public.misdirected
