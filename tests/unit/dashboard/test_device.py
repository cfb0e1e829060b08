"""The page of a device and /api/devices/NAME/…: whether it is there, and its twin."""

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from stack.devices.event import Connection
from stack.state.devices import device_path, make_login, remove_device, remove_login
from stack.state.workspace import Workspace, write_file
from tests.unit.dashboard.serving import Answer, Client
from tests.unit.devices.serving import Served, serve_devices

TWIN = "/api/devices/pump-7/twin"


@pytest.fixture
def served(
    workspace: Workspace, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Served]:
    with serve_devices(tmp_path_factory.mktemp("served")) as served:
        for module in ("run.devices.twin", "run.devices.presence", "live.presence"):
            monkeypatch.setattr(f"stack.{module}.find_device_service", lambda _: served.client)
        # Its file is there as git brings it: to add the first ends the account guest, which other tests look for.
        write_file(device_path(workspace, "pump-7"), b"{}\n")
        make_login(workspace, "pump-7")
        yield served
        remove_login(workspace, "pump-7")
        remove_device(workspace, "pump-7")


def send(client: Client, patch: str) -> Answer:
    body = urlencode({"patch": patch}).encode()
    path = "/devices/logins/pump-7/twin"
    return client.send("POST", path, body, content_type="application/x-www-form-urlencoded")


def test_programs_read_and_change_a_twin(client: Client, served: Served) -> None:
    assert client.send("GET", TWIN).json["desiredVersion"] == 0
    twin = client.send("PATCH", TWIN, {"patch": {"fan": "on"}, "version": 0})
    assert (twin.status, twin.json["delta"]) == (200, {"fan": "on"})
    assert served.published == ["tidegate/devices/pump-7/twin/delta"]
    assert client.send("PATCH", TWIN, {"patch": {"fan": "off"}, "version": 0}).status == 409
    assert client.send("PATCH", TWIN, {"patch": 1}).status == 400
    assert client.send("GET", TWIN.replace("pump-7", "pump-8")).status == 404
    assert client.send("GET", f"{TWIN}/history").json["changes"][0]["patch"] == {"fan": "on"}


def test_presence_is_told_with_the_device(client: Client, served: Served) -> None:
    path = "/api/devices/pump-7"
    assert client.send("GET", f"{path}/presence").json["connected"] is False
    served.connected.append(Connection("10.0.0.3:1 -> b:1", "pump-7", 5.0, "MQTT 5.0"))
    list(served.presence.compare(served.connected))
    for told in (
        client.send("GET", f"{path}/presence").json,
        client.send("GET", path).json["presence"],
        client.send("GET", "/api/devices").json["devices"][0]["presence"],
    ):
        assert (told["connected"], told["address"]) == (True, "10.0.0.3")
    for page in ("/devices/logins", "/devices/logins/pump-7"):
        assert 'data-state="connected"' in client.send("GET", page).body.decode()


@pytest.mark.usefixtures("served")
def test_the_page_changes_what_is_desired(client: Client) -> None:
    assert "Nothing has changed yet" in client.send("GET", "/devices/logins/pump-7/twin/history").body.decode()
    assert send(client, '{"fan": "on"}').status == 200
    assert "fan" in client.send("GET", "/devices/logins/pump-7/twin/history").body.decode()
    for wrong in ("{", "[1]", "1"):
        answer = send(client, wrong)
        assert answer.status == 422 and "JSON" in answer.body.decode()


def test_without_the_service_it_is_not_known(client: Client, workspace: Workspace) -> None:
    (workspace.root / "devices").mkdir(exist_ok=True)
    (workspace.root / "devices" / "pump-9.yaml").write_text("{}\n")
    assert client.send("GET", "/api/devices/pump-9").json["presence"] is None
    assert client.send("GET", "/api/devices/pump-9/twin").status == 503
    assert client.send("GET", "/devices/logins/pump-9").status == 200
    (workspace.root / "devices" / "pump-9.yaml").unlink()
