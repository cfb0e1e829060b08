"""The part `bridge` of stack.yaml."""

from typing import Any

import pytest

from stack.config.bridge import find_rings, overlap
from stack.config.document import parse_model
from stack.config.settings import Settings
from stack.errors import ConfigError

HQ = {"name": "hq", "to": "amqps://hq.example/%2f", "secret": "hq.account", "topics": ["plant/#"]}


def read(*bridges: dict[str, Any], **more: Any) -> Settings:
    return parse_model(Settings, {"bridge": list(bridges), **more}, name="stack.yaml")


def test_bridge_has_what_its_address_says() -> None:
    (one,) = read({**HQ, "exchange": "iot/sensors", "buffer": "30d", "rate": "1MB/s"}).bridge
    assert (one.host, one.port, one.vhost, one.is_secure) == ("hq.example", 5671, "/", True)
    assert (one.buffer_seconds, one.bytes_a_second) == (30 * 86400, 1_000_000)
    (plain,) = read({**HQ, "to": "amqp://10.1.2.3:5673/plants"}).bridge
    assert (plain.host, plain.port, plain.vhost, plain.is_secure) == ("10.1.2.3", 5673, "plants", False)
    assert read({**HQ, "to": "amqp://hq"}).bridge[0].vhost == "/"


def test_site_is_called_as_its_project_unless_it_says_otherwise() -> None:
    assert read(HQ).site_name == "tidegate"
    assert read(HQ, site="plant-7").site_name == "plant-7"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"name": "Head quarters"}, "bridge.0.name: should be at most 63 small letters"),
        ({"to": "http://hq.example"}, "bridge.0.to: should be an address such as amqps://hq.example/%2f"),
        ({"to": "amqps://me:word@hq.example"}, "bridge.0.to: should be without the account"),
        ({"to": "amqps://hq.example/%2f?verify=verify_none"}, "bridge.0.to: should end with the virtual host"),
        ({"to": "amqp://127.0.0.1:5673"}, "bridge.0.to: should not have 127.0.0.1, which is the container of this"),
        ({"to": "amqp://localhost"}, "bridge.0.to: should not have localhost"),
        ({"to": "amqps://hq example/%2f"}, "bridge.0.to: should have the name of a host"),
        ({"to": "amqps://hö.example/%2f"}, "bridge.0.to: should have the name of a host"),
        ({"to": 'amqps://h"q/%2f'}, "bridge.0.to: should have the name of a host"),
        ({"to": "amqps://h%zz/%2f"}, "bridge.0.to: should have the name of a host"),
        ({"to": "amqps://hq.example:0/%2f"}, "bridge.0.to: should have a port between 1 and 65535"),
        ({"to": "amqp://[::1/%2f"}, "bridge.0.to: should be an address such as amqps://hq.example/%2f or"),
        ({"to": "amqps://hq.example:70000"}, "bridge.0.to: should have a port between 1 and 65535"),
        ({"secret": "hq"}, "bridge.0.secret: should be NAME.KEY"),
        ({"topics": ["#"]}, "bridge.0.topics.0: should begin with a level of your own"),
        ({"topics": ["+/temperature"]}, "bridge.0.topics.0: should begin with a level of your own"),
        ({"topics": ["tidegate/devices/#"]}, "bridge.0.topics.0: should begin with a level of your own"),
        ({"topics": ["plant/#/t"]}, "bridge.0.topics.0: # should stand alone at the end"),
        ({"topics": ["plant/a.b"]}, "bridge.0.topics.0: should have no dot"),
        ({"durable": True}, "bridge.0.durable: is for an `exchange`"),
        ({"topics": []}, "bridge.0: should have topics that go there, such as plant/#, or some to receive"),
        ({"exchange": "amq.topic"}, "bridge.0.exchange: should be one of your own"),
        ({"receive": ["plant/7/#"]}, "bridge.0.receive: plant/7/# and plant/# of topics have topics in common"),
        ({"buffer": "50d"}, "bridge.0.buffer: should be between 1m and 49d"),
        ({"buffer": "long"}, "bridge.0.buffer: should be such as 30d or 48h"),
        ({"megabytes": 0}, "bridge.0.megabytes"),
        ({"rate": "99 B/s"}, "bridge.0.rate: should be at least 100 B/s"),
        ({"rate": "fast"}, "bridge.0.rate: should be bytes a second"),
        ({"to": "amqp://hq.example", "ca": "hq.pem"}, "bridge.0.ca: is for an address that begins with amqps://"),
        ({"to": "", "ca": "hq.pem"}, "bridge.0.ca: is for the place that connects"),
        ({"prefetch": 0}, "bridge.0.prefetch"),
        ({"to": "", "prefetch": 20}, "bridge.0.prefetch: is for the place that connects"),
        ({"to": "", "rate": "1 MB/s"}, "bridge.0.rate: is for the place that connects"),
        ({"queue": "x"}, "bridge.0.queue: is not a known key"),
    ],
)
def test_mistake_is_told_with_its_path(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read({**HQ, **given})
    assert any(one.startswith(f"stack.yaml: {problem}") for one in caught.value.problems), caught.value.problems
    assert "word" not in str(caught.value)


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read({**HQ, "secret": "x", "topics": ["#"]}, {"name": "other", "secret": "a.b", "buffer": "1s"})
    assert len(caught.value.problems) >= 3


def test_name_is_of_one_bridge() -> None:
    with pytest.raises(ConfigError, match=r"bridge\.1\.name: hq is the name of another bridge"):
        read(HQ, {**HQ, "topics": ["other/#"]})


def test_place_has_no_bridge_to_itself() -> None:
    with pytest.raises(ConfigError, match=r"bridge\.0\.name: hq is the name of this place itself"):
        read(HQ, site="hq")
    with pytest.raises(ConfigError, match=r"bridge\.0\.name: tidegate is the name of this place itself"):
        read({**HQ, "name": "tidegate"})


def test_what_goes_on_to_another_place_is_told() -> None:
    onward = {**HQ, "name": "c", "topics": ["cmd/#"]}
    from_hq = {**HQ, "receive": ["cmd/7/#"]}
    (text,) = find_rings(read(from_hq, onward).bridge)
    assert text.startswith("bridge: what comes from hq as cmd/7/# goes on to c as cmd/#.")
    assert not list(find_rings(read(from_hq).bridge))


@pytest.mark.parametrize(
    ("one", "other", "is_so"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a.b", True),
        ("a/b", "a/c", False),
        ("a/+", "a/c", True),
        ("a/+/x", "a/c/y", False),
        ("a/#", "a", True),
        ("a/#", "b/#", False),
        ("a/b/#", "a/+/c", True),
        ("a", "a/b", False),
        ("+/b", "a/+", True),
    ],
)
def test_filters_overlap_where_a_topic_matches_both(one: str, other: str, *, is_so: bool) -> None:
    assert overlap(one, other) is overlap(other, one) is is_so
