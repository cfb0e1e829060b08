"""The HTTP API of the service of devices, and its client."""

from collections.abc import Iterator

import pytest

from stack.devices.client import DeviceService
from stack.devices.event import Connection
from stack.errors import ConfigError, ConflictError, DeviceServiceError
from tests.unit.devices.serving import Served, ask, serve_devices

TWIN = "/devices/pump-7/twin"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve_devices(tmp_path_factory.mktemp("devices")) as served:
        yield served


@pytest.fixture(autouse=True)
def fresh(served: Served) -> None:
    ask(served, "DELETE", "/devices/pump-7")
    served.published.clear()


def test_a_twin_is_changed_and_the_device_is_told(served: Served) -> None:
    twin = ask(served, "PATCH", TWIN, {"patch": {"fan": "on"}, "by": "ann"})
    assert (twin["desired"], twin["desiredVersion"], twin["delta"]) == ({"fan": "on"}, 1, {"fan": "on"})
    assert served.published == ["tidegate/devices/pump-7/twin/delta"]
    assert ask(served, "PATCH", TWIN, {"part": "reported", "patch": {"fan": "on"}})["delta"] == {}
    assert ask(served, "GET", TWIN)["reportedVersion"] == 1
    (last, first) = ask(served, "GET", f"{TWIN}/history")["changes"]
    assert (last["part"], first["by"]) == ("reported", "ann")


def test_what_is_wrong_is_said(served: Served) -> None:
    with pytest.raises(ConflictError, match="has version 0 by now, not 4"):
        ask(served, "PATCH", TWIN, {"patch": {"fan": "on"}, "version": 4})
    for body, text in (
        ({"patch": 1}, "JSON object"),
        ({"patch": {}, "part": "x"}, "part should be"),
        ({"patch": {}, "version": True}, "version should be"),
        ({"patch": {}, "by": "\ud800"}, "by should be"),
        ([], "a JSON object"),
    ):
        with pytest.raises(ConfigError, match=text):
            ask(served, "PATCH", TWIN, body)
    with pytest.raises(ConfigError, match="whole number"):
        ask(served, "GET", "/presence?after=x")
    with pytest.raises(DeviceServiceError, match="invoke status"):
        DeviceService("127.0.0.1", 9).ask("GET", "/presence")


def test_presence_is_told(served: Served) -> None:
    assert ask(served, "GET", "/devices/pump-7/presence")["since"] is None
    served.connected.append(Connection("a:1 -> b:1", "pump-7", 5.0))
    list(served.presence.compare(served.connected))
    assert ask(served, "GET", "/devices/pump-7/presence")["connected"] is True
    assert ask(served, "POST", "/presence", {"names": ["pump-7", "pump-8"]})["devices"].keys() == {"pump-7"}
    assert ask(served, "GET", "/presence?last=1")["connected"] == 1


def test_many_are_forgotten_at_once(served: Served) -> None:
    served.connected[:] = [Connection("a:1 -> b:1", "pump-7", 5.0)]
    list(served.presence.compare(served.connected))
    ask(served, "PATCH", TWIN, {"patch": {"fan": "on"}})
    served.published.clear()
    assert ask(served, "POST", "/forget", {"names": ["pump-7", "pump-8"]}) is None
    assert served.published == ["tidegate/devices/pump-7/presence"]
    assert ask(served, "GET", TWIN)["desiredVersion"] == 0
