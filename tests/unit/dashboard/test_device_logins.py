"""Devices with a login of their own, on the devices' page."""

import base64
import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from stack.state.workspace import Workspace
from tests.unit.dashboard.serving import Answer, Client

PATH = "/devices/logins"


def send(client: Client, path: str = "", **fields: str) -> Answer:
    body = urlencode({"ends_guest": "true", **fields}).encode()
    return client.send("POST", f"{PATH}{path}", body, content_type="application/x-www-form-urlencoded")


def show(client: Client, words: str = "") -> str:
    return client.send("GET", f"{PATH}?{urlencode({'contains': words})}").body.decode()


@pytest.fixture
def pump(client: Client) -> Iterator[str]:
    answer = send(client, name="pump-7", labels="site=a place=b", topics="plant/{id}/# orders/{id}")
    assert answer.status == 200
    yield find_password(answer)
    send(client, "/pump-7/remove")


def find_password(answer: Answer) -> str:
    (password,) = re.findall(r"^password: (\S+)", answer.body.decode(), re.M)
    return str(password)


def test_page_says_how_the_first_device_is_added(client: Client) -> None:
    assert "No device has a login of its own" in show(client)
    page = client.send("GET", "/devices").body.decode()
    assert f'hx-get="{PATH}"' in page and f'hx-post="{PATH}"' in page


def test_first_device_ends_guest_after_a_question(
    client: Client, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stack.dashboard.pages.device_logins.list_guests", lambda _: ["sensor-1 (MQTT from 10.0.0.5)"])
    (workspace.secrets / "broker.password").unlink(missing_ok=True)
    answer = send(client, name="pump-8", labels="site=<b>", ends_guest="false")
    asked = answer.body.decode()
    assert answer.headers["hx-retarget"] == "#dialog"
    assert "sensor-1 (MQTT from 10.0.0.5)" in asked and 'value="site=&lt;b&gt;"' in asked
    assert not (workspace.root / "devices" / "pump-8.yaml").exists()
    assert send(client, name="a b").status == 422
    asked = upload(client, "name\npump-8\n").body.decode()
    assert 'hx-post="/devices/logins/table" hx-include="#logins-table"' in asked and "all of pumps.csv" in asked
    find_password(send(client, name="pump-8", labels="site=<b>"))
    assert (workspace.secrets / "broker.password").exists()
    send(client, "/pump-8/remove")


def test_password_is_shown_once_in_a_dialog(client: Client) -> None:
    answer = send(client, name="pump-8")
    password = find_password(answer)
    assert answer.headers["hx-retarget"] == "#dialog"
    assert answer.headers["hx-trigger-after-settle"] == "devices-changed"
    assert password not in show(client) + client.send("GET", "/devices").body.decode()
    assert find_password(send(client, "/pump-8/rotate")) != password
    send(client, "/pump-8/remove")


def test_how_a_device_connects_is_shown_with_programs(client: Client, pump: str) -> None:
    page = client.send("GET", f"{PATH}/pump-7/connect").body.decode()
    assert "password: ITS-PASSWORD" in page and pump not in page
    for program in ("python", "nodejs", "mosquitto", "micropython", "arduino", "home-assistant"):
        assert f'data-copy="program-{program}"' in page
    assert "plant/pump-7/temperature" in page
    assert client.send("GET", f"{PATH}/none/connect").status == 404


def test_device_is_found_by_its_labels_and_shown_with_its_topics(client: Client, pump: str) -> None:
    for words in ("", "PUMP", "b", "site=A"):
        page = show(client, words)
        assert "site=a" in page and "plant/pump-7/# orders/pump-7" in page and pump not in page
    assert "No device is called so" in show(client, "fan")


def test_what_a_device_measures_is_shown_and_leads_to_its_chart(client: Client, workspace: Workspace) -> None:
    folder, settings = workspace.root / "device-types", workspace.root / "stack.yaml"
    folder.mkdir()
    (folder / "meter.yaml").write_text('metrics: {heat: {topic: "plant/{id}/heat", unit: °C}}\n')
    before = settings.read_bytes() if settings.exists() else b""
    try:
        send(client, name="pump-6", type="meter")
        assert "heat °C" in re.sub(r"<[^>]*>", "", show(client)) and "/data?" not in show(client)
        settings.write_bytes(before + b"\ndata: {keep: [{devices: meter}]}\n")
        assert "/data?q=%7B__name__%3D%22heat%22%2Cdevice%3D%22pump-6%22%7D" in show(client)
        metrics = client.send("GET", "/api/devices/pump-6").json["metrics"]
        assert metrics == {"heat": {"topic": "plant/pump-6/heat", "unit": "°C"}}
    finally:
        settings.write_bytes(before)
        send(client, "/pump-6/remove")
        (folder / "meter.yaml").unlink()
        folder.rmdir()


def test_device_is_locked_out_let_in_again_and_removed(client: Client, pump: str) -> None:
    answer = send(client, "/pump-7/revoke")
    assert "may not log in any more" in answer.headers["hx-trigger"]
    assert 'data-label="May log in">no<' in show(client)
    assert "Lock pump-7 out" not in show(client)
    send(client, "/pump-7/rotate")
    assert 'data-label="May log in">yes<' in show(client)
    assert send(client, "/pump-7/remove").status == 200
    assert "pump-7" not in show(client)
    assert send(client, "/pump-7/rotate").status == 404


def upload(client: Client, table: str, **fields: str) -> Answer:
    parts = [f'name="{name}"\r\n\r\n{value}' for name, value in fields.items()]
    parts.append(f'name="table"; filename="pumps.csv"\r\nContent-Type: text/csv\r\n\r\n{table}')
    body = "".join(f"--b\r\nContent-Disposition: form-data; {one}\r\n" for one in parts) + "--b--\r\n"
    return client.send("POST", f"{PATH}/table", body.encode(), content_type="multipart/form-data; boundary=b")


def test_a_table_is_taken_in_whole_and_its_passwords_are_given_once(client: Client, pump: str) -> None:
    answer = upload(client, "name,label.site\na,x\npump-7,y\nb c,z\n")
    assert answer.status == 422
    told = answer.body.decode()
    assert "pumps.csv: line 3: There is a device pump-7 already" in told and "line 4" in told
    assert "letters" in told and 'id="login:a"' not in show(client)
    answer = upload(client, "name,label.site\na,x\nb,y\n")
    (encoded,) = re.findall(r"data:text/csv;base64,([\w+/=]+)", answer.body.decode())
    rows = [line.split(",") for line in base64.b64decode(encoded).decode().split()]
    assert [row[0] for row in rows] == ["name", "a", "b"] and answer.headers["hx-retarget"] == "#dialog"
    assert 'id="login:a"' in show(client) and rows[1][1] not in show(client)
    assert "Choose a table" in client.send("POST", f"{PATH}/table").body.decode()
    for name in "ab":
        send(client, f"/{name}/remove")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": "a/b"}, "letters, digits"),
        ({"name": "pump-7"}, "already"),
        ({"name": "a", "labels": "site"}, "site=hall-2"),
        ({"name": "a", "topics": "a#"}, "topics"),
        ({}, "name"),
    ],
)
@pytest.mark.usefixtures("pump")
def test_what_is_wrong_is_told_beside_the_form(client: Client, fields: dict[str, str], told: str) -> None:
    answer = send(client, **fields)
    assert answer.status == 422 and told in answer.body.decode()


def test_ten_thousand_devices_are_searched_at_once(
    client: Client, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workspace.root / "devices"
    folder.mkdir(exist_ok=True)
    for number in range(10_000):
        (folder / f"d{number}.yaml").write_text(f"labels: {{site: s{number % 7}}}\n")
    try:
        show(client)
        # None of the files is read again.
        monkeypatch.setattr("stack.state.devices.load_registry", lambda _: pytest.fail("The files were read again."))
        page = show(client, "d999")
        assert "d9999" in page and page.count("<tr id=") == 11
        assert "100 of 10" in show(client)
    finally:
        for path in folder.iterdir():
            path.unlink()
