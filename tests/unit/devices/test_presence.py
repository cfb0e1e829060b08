"""Which devices are there, by RabbitMQ's events and the lines of its log."""

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from stack.devices.event import Connection, Reason, read_end, read_subscription, write_protocol
from stack.devices.link import Delivery, Publication
from stack.devices.presence import Presence
from stack.devices.store import open_store
from stack.plan.device_account import EVENTS, LOG

FIRST, SECOND = "10.0.0.3:1111 -> 172.18.0.2:1883", "10.0.0.3:2222 -> 172.18.0.2:1883"


class Devices:
    """Presence with a broker that is told what happens, and a clock that is set."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.devices = {"pump-7"}
        self.connected: list[Connection] = []
        self.folder, self.now, self.store = folder, 0.0, open_store(folder)
        monkeypatch.setattr("stack.devices.presence.time.monotonic", lambda: self.now)
        self.presence = self.restart()

    def restart(self) -> Presence:
        self.presence = Presence(self.store, lambda: self.connected, lambda name: name in self.devices)
        return self.presence

    def begin(self, name: str = FIRST, user: str = "pump-7") -> list[dict[str, Any]]:
        headers = {"name": name, "user": user, "protocol": "{'MQTT',{3,1,1}}", "timestamp_in_ms": 100_000}
        return read(self.presence.begin(deliver(headers)))

    def end(self, name: str = FIRST) -> list[dict[str, Any]]:
        return read(self.presence.end(deliver({"name": name, "timestamp_in_ms": 200_000})))

    def log(self, line: str) -> list[dict[str, Any]]:
        return read(self.presence.explain(Delivery(LOG, "info", {}, line.encode(), None)))

    def wait(self) -> list[dict[str, Any]]:
        self.now += 1
        return read(self.presence.settle())

    def reason(self) -> tuple[bool, str]:
        found = self.presence.describe("pump-7")
        return found["connected"], found["reason"]


def deliver(headers: dict[str, Any]) -> Delivery:
    return Delivery(EVENTS, "connection.created", headers, b"", None)


def read(said: Iterable[Publication]) -> list[dict[str, Any]]:
    found = []
    for one in said:
        body = json.loads(one.body)
        assert one.topic == f"tidegate/devices/{body['device']}/presence"
        found.append(body)
    return found


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Devices]:
    devices = Devices(tmp_path, monkeypatch)
    yield devices
    devices.store.close()


def test_a_device_comes_and_goes(devices: Devices) -> None:
    assert devices.reason() == (False, "")
    (said,) = devices.begin()
    assert (said["connected"], said["since"], said["protocol"]) == (True, 100, "MQTT 3.1.1")
    assert said["address"] == "10.0.0.3"
    assert devices.end() == []
    (said,) = devices.log(f"closing MQTT connection <0.1.0> ({FIRST})")
    assert (said["connected"], said["reason"], said["since"], said["lastSeen"]) == (False, "clean", 200, 200)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f'closing MQTT connection <<"{FIRST}">> (keepalive timeout)', "keep-alive"),
        (f'MQTT connection <<"{FIRST}">> will terminate because peer closed TCP connection', "lost"),
        (f'MQTT detected network error for <<"{FIRST}">>: etimedout', "lost"),
        (f"MQTT connection {FIRST} is closing due to an authorization failure", "refused"),
        (f'MQTT closing connection <<"{FIRST}">>: "Closed via management plugin"', "closed"),
        (f"closing AMQP connection <0.9.0> ({FIRST}, vhost: '/', user: 'pump-7')", "clean"),
        (f"closing AMQP connection <0.9.0> ({FIRST}):\nmissed heartbeats from client, timeout: 60s", "keep-alive"),
        (f"closing AMQP connection <0.9.0> ({FIRST}):\nclient unexpectedly closed TCP connection", "lost"),
    ],
)
def test_why_it_went(devices: Devices, line: str, reason: str) -> None:
    """The line comes before the event or after it."""
    devices.begin()
    assert devices.log(line) == []
    assert [one["reason"] for one in devices.end()] == [reason]
    devices.begin()
    devices.end()
    assert [one["reason"] for one in devices.log(line)] == [reason]
    assert devices.wait() == []


def test_without_a_line_it_is_lost(devices: Devices) -> None:
    devices.begin()
    devices.end()
    assert [one["reason"] for one in devices.wait()] == ["lost"]


def test_one_that_takes_its_own_place_is_there_all_the_time(devices: Devices) -> None:
    line = f"MQTT disconnecting client <<\"{FIRST}\">> with duplicate id 'pump-7'"
    devices.begin()
    devices.log(line)
    assert [one["reason"] for one in devices.begin(SECOND)] == ["replaced"]
    assert devices.end() == devices.wait() == []
    assert devices.reason() == (True, "replaced")
    devices.log(line.replace(FIRST, SECOND))
    assert devices.end(SECOND) == []
    assert [one["connected"] for one in devices.begin(FIRST)] == [True]
    assert devices.wait() == []


def test_one_that_took_its_place_and_went_at_once_is_gone(devices: Devices) -> None:
    """The end of the first is told before the second begins, and after it."""
    line = f"MQTT disconnecting client <<\"{FIRST}\">> with duplicate id 'pump-7'"
    for is_early in (True, False):
        devices.begin()
        devices.log(line)
        said = devices.end() if is_early else []
        said += devices.begin(SECOND)
        said += [] if is_early else devices.end()
        assert [one["connected"] for one in said] == [True]
        devices.log(f"closing MQTT connection <0.1.0> ({SECOND})")
        assert [one["reason"] for one in devices.end(SECOND)] == ["clean"]
        assert devices.wait() == []
        assert devices.reason() == (False, "clean")


def test_one_that_comes_again_at_once_had_gone(devices: Devices) -> None:
    devices.begin()
    devices.end()
    assert [(one["connected"], one["reason"]) for one in devices.begin(SECOND)] == [(False, "clean"), (True, "")]
    assert devices.log(f"closing MQTT connection <0.1.0> ({FIRST})") == devices.wait() == []


def test_one_without_a_login_is_revoked(devices: Devices) -> None:
    devices.begin()
    devices.devices.clear()
    devices.log(f'MQTT closing connection <<"{FIRST}">>: "user \'pump-7\' was deleted"')
    assert [one["reason"] for one in devices.end()] == ["revoked"]


def test_others_have_none(devices: Devices) -> None:
    assert devices.begin(user="guest") == devices.end() == devices.wait() == []
    assert devices.presence.list_changes()["devices"] == {}


def test_what_happened_meanwhile_is_asked_for_once(devices: Devices) -> None:
    devices.begin()
    devices.connected = [Connection(SECOND, "pump-8", 150.0, "MQTT 5.0"), Connection("x", "guest", 1.0)]
    devices.devices.add("pump-8")
    devices.restart()
    said = {one["device"]: one for one in read(devices.presence.compare(devices.connected))}
    assert (said["pump-7"]["connected"], said["pump-8"]["since"], len(said)) == (False, 150, 2)
    assert read(devices.presence.compare(devices.connected)) == []
    devices.connected.clear()
    assert [one["reason"] for one in read(devices.presence.compare(devices.connected))] == [Reason.BROKER]


def test_a_clock_that_was_set_keeps_no_one_there(devices: Devices) -> None:
    devices.begin()
    with devices.store.transaction() as database:
        database.execute("UPDATE connections SET since = since + 1e10")
    devices.restart()
    assert [one["reason"] for one in read(devices.presence.compare(devices.connected))] == ["lost"]


def test_one_that_has_just_come_is_not_missed(devices: Devices) -> None:
    """The management API tells of it some seconds later."""
    devices.begin()
    assert read(devices.presence.compare(devices.connected)) == []
    devices.now += 6
    assert [one["connected"] for one in read(devices.presence.compare(devices.connected))] == [False]


def test_an_end_that_could_not_be_kept_is_kept_later(devices: Devices) -> None:
    devices.begin()
    devices.end()
    with pytest.raises(OSError), devices.store.transaction():
        devices.wait()
        raise OSError
    assert devices.reason() == (True, "")
    assert [one["reason"] for one in devices.wait()] == ["lost"]
    assert devices.wait() == devices.wait() == []


def test_no_one_is_there_while_the_broker_is_away(devices: Devices) -> None:
    devices.begin()
    (said,) = read(devices.presence.miss(300.0))
    assert (said["connected"], said["reason"], said["since"], said["lastSeen"]) == (False, Reason.BROKER, 300, 300)
    assert 'tidegate_device_connected{device="pump-7"} 0' in devices.presence.write_metrics()
    assert read(devices.presence.miss(300.0)) == []
    devices.connected = [Connection(SECOND, "pump-7", 400.0, "MQTT 5.0")]
    assert [one["since"] for one in read(devices.presence.compare(devices.connected))] == [400]


def test_it_is_described_by_the_connection_that_is_left(devices: Devices) -> None:
    devices.begin()
    headers = {"name": SECOND, "user": "pump-7", "protocol": "{0,9,1}", "timestamp_in_ms": 150_000}
    read(devices.presence.begin(deliver(headers)))
    devices.end(SECOND)
    found = devices.presence.describe("pump-7")
    assert (found["connected"], found["protocol"], found["since"]) == (True, "MQTT 3.1.1", 100)


def test_changes_after_a_version_alone(devices: Devices) -> None:
    devices.begin()
    version = devices.presence.list_changes()["version"]
    assert devices.presence.list_changes(version)["devices"] == {}
    devices.end()
    devices.wait()
    assert devices.presence.list_changes(version)["devices"]["pump-7"]["reason"] == "lost"
    assert [len(devices.presence.list_changes(last=last)["devices"]) for last in (0, 1)] == [0, 1]
    assert devices.presence.list_changes()["connected"] == 0
    assert devices.presence.forget("pump-7") == []
    assert devices.presence.list_changes()["devices"] == {}


def test_one_that_is_removed_while_it_is_there_is_told_as_gone(devices: Devices) -> None:
    devices.begin()
    (said,) = read(devices.presence.forget("pump-7"))
    assert (said["connected"], said["reason"]) == (False, "revoked")
    assert devices.end() == devices.wait() == []


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("tidegate.devices.pump-7.twin.delta", "twin/delta"),
        ("*.devices.*.#", "#"),
        ("tidegate.#", "#"),
        ("#", "#"),
        ("tidegate.devices.pump-7", None),
        ("tidegate.devices.pump-8.twin.delta", None),
        ("plant.#", None),
        ("", None),
    ],
)
def test_by_which_filters_it_hears_of_itself(key: str, what: str | None) -> None:
    headers = {"routing_key": key, "destination_name": "mqtt-subscription-pump-7qos1"}
    assert read_subscription(headers) == (("pump-7", what) if what else None)
    assert read_subscription({"routing_key": key, "destination_name": "mine"}) is None


def test_metrics(devices: Devices) -> None:
    devices.begin()
    text = devices.presence.write_metrics()
    assert 'tidegate_device_connected{device="pump-7"} 1\n' in text
    assert 'tidegate_device_seen_timestamp_seconds{device="pump-7"}' in text
    devices.end()
    devices.wait()
    text = devices.presence.write_metrics()
    assert 'tidegate_device_connected{device="pump-7"} 0\n' in text
    assert "seen_timestamp_seconds{" not in text


def test_those_who_wait_are_told_that_it_can_hear(devices: Devices) -> None:
    told: list[tuple[str, str]] = []

    def tell(device: str, subscribed: str) -> list[Publication]:
        told.append((device, subscribed))
        return []

    devices.presence.arrivals.append(tell)
    devices.begin()
    for queue in ("mqtt-subscription-pump-7qos1", "mqtt-subscription-pump-8qos1", "mine"):
        headers = {"routing_key": "tidegate.devices.pump-7.twin.delta", "destination_name": queue}
        read(devices.presence.subscribe(deliver(headers)))
    assert told == [("pump-7", ""), ("pump-7", "twin/delta")]


@pytest.mark.parametrize(
    ("line", "is_asked"),
    [
        ("rabbit on node 'rabbit@rabbitmq-mqtt-2' down", True),
        ("rabbit on node 'rabbit@rabbitmq-mqtt-2' up", False),
        ("node 'rabbit@rabbitmq-mqtt-2' down: connection_closed", False),
    ],
)
def test_who_is_connected_is_asked_when_a_node_of_the_broker_is_gone(
    devices: Devices, line: str, is_asked: bool
) -> None:
    asked = []
    link = Mock()
    link.reopen = lambda: asked.append(1)
    devices.presence.listen(link)
    assert devices.log(line) == []
    assert bool(asked) is is_asked


@pytest.mark.parametrize("line", ["", "Server startup complete", f"Accepted MQTT connection {FIRST} for client ID a"])
def test_other_lines_say_nothing(line: str) -> None:
    assert read_end(line) is None


@pytest.mark.parametrize("text", ["a" * 65_536, "a:1 -> " * 9_000, "closing connection " * 3_000])
def test_a_long_line_is_read_at_once(text: str) -> None:
    """What a device sends may be in it."""
    begun = time.process_time()
    assert read_end(f"MQTT topic access refused: write access to topic '{text}' in exchange 'amq.topic' -> no") is None
    assert time.process_time() - begun < 0.5


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("{'MQTT',{3,1,1}}", "MQTT 3.1.1"),
        ("MQTT 5-0", "MQTT 5.0"),
        ("Web MQTT 5-0", "Web MQTT 5.0"),
        ("{0,9,1}", "AMQP 0.9.1"),
        ("", ""),
    ],
)
def test_protocol(text: str, written: str) -> None:
    assert write_protocol(text) == written
