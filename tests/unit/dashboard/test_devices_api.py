"""/api/devices: devices added, listed, given another password, locked out and removed."""

from collections.abc import Iterator

import pytest

from tests.unit.dashboard.serving import Client


@pytest.fixture
def pump(client: Client) -> Iterator[str]:
    answer = client.send("POST", "/api/devices", {"name": "pump-7", "labels": {"site": "a"}})
    assert answer.status == 201
    yield str(answer.json["password"])
    client.send("DELETE", "/api/devices/pump-7")


def test_a_device_is_told_with_its_password_once(client: Client, pump: str) -> None:
    device = client.send("GET", "/api/devices/pump-7")
    assert device.json["mayLogIn"] is True
    assert device.json["publish"] == ["devices/pump-7/#"]
    assert pump not in str(device.json)
    another = client.send("POST", "/api/devices/pump-7/password").json["password"]
    assert another not in ("", pump)


def test_a_device_may_do_what_its_body_says(client: Client) -> None:
    said = {"publish": ["x/t"], "subscribe": ["x/cmd"], "description": "in the cellar", "rate": "2 kB/s"}
    assert client.send("POST", "/api/devices", {"name": "fan-9", **said}).status == 201
    found = client.send("GET", "/api/devices/fan-9").json
    assert {key: found[key] for key in said} == {**said, "rate": 2000}
    client.send("DELETE", "/api/devices/fan-9")


@pytest.mark.usefixtures("pump")
def test_a_device_is_locked_out_and_removed(client: Client) -> None:
    assert client.send("DELETE", "/api/devices/pump-7/password").status == 204
    assert client.send("GET", "/api/devices/pump-7").json["mayLogIn"] is False
    assert client.send("DELETE", "/api/devices/pump-7").status == 204
    assert client.send("GET", "/api/devices/pump-7").status == 404


@pytest.mark.usefixtures("pump")
@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/devices", {"name": "pump-7"}, 409),
        ("POST", "/api/devices", {"name": "a/b"}, 400),
        ("POST", "/api/devices", {"name": "a", "topics": ["a#"]}, 400),
        ("POST", "/api/devices", {"name": "a", "type": "x"}, 400),
        ("POST", "/api/devices", {}, 400),
        ("POST", "/api/devices", {"name": "a", "topcis": ["x/#"]}, 400),
        ("PATCH", "/api/devices/pump-7/twin", {"patch": {"a": 1}, "verison": 1}, 400),
        ("GET", "/api/devices/none", None, 404),
        ("DELETE", "/api/devices/none", None, 404),
        ("POST", "/api/devices/none/password", None, 404),
        ("DELETE", "/api/devices/..%2Fpump-7", None, 404),
        ("GET", "/api/devices?limit=x", None, 400),
        ("GET", "/api/devices?label=x", None, 400),
    ],
)
def test_what_is_wrong_is_told(client: Client, method: str, path: str, body: object, status: int) -> None:
    answer = client.send(method, path, body)
    assert (answer.status, bool(answer.json["error"])) == (status, True)


def test_devices_are_found_page_by_page(client: Client) -> None:
    for number in range(5):
        client.send("POST", "/api/devices", {"name": f"fan-{number}", "labels": {"site": "ab"[number % 2]}})
    found = client.send("GET", "/api/devices?label=site=a&limit=2&offset=1").json
    assert ([one["name"] for one in found["devices"]], found["total"]) == (["fan-2", "fan-4"], 3)
    assert client.send("GET", "/api/devices?contains=FAN-3").json["total"] == 1


@pytest.mark.usefixtures("pump")
def test_a_table_comes_and_goes(client: Client) -> None:
    csv = {"content_type": "text/csv"}
    lines = client.send("GET", "/api/devices.csv").body.split()
    assert lines[0].startswith(b"name,type,topics,label.") and b"pump-7,,,a,yes" in lines
    wrong = client.send("POST", "/api/devices.csv", b"name\npump-8\npump-7\n", **csv)
    assert wrong.status == 400 and "body: line 3: There is a device pump-7 already" in wrong.json["error"]
    added = client.send("POST", "/api/devices.csv", b"name\npump-8\n", **csv)
    assert added.status == 201 and added.body.startswith(b"name,password\npump-8,")
    assert client.send("POST", "/api/devices.csv", b"\xff", **csv).status == 400
    client.send("DELETE", "/api/devices/pump-8")
