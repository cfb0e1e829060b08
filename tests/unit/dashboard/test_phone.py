"""The page that makes a phone a device, by a link that holds once."""

import re
from collections.abc import Iterator
from html import unescape

import pytest

from stack.config.settings import Settings
from stack.dashboard.security.auth import _is_open
from stack.state.tls import make_tls
from stack.state.workspace import Workspace
from tests.unit.dashboard.serving import Answer, Client


@pytest.fixture(autouse=True)
def tls(workspace: Workspace) -> Iterator[None]:
    path = workspace.root / "stack.yaml"
    before = path.read_text()
    path.write_text(f"{before}tls: {{enabled: true}}\n")
    make_tls(workspace, Settings(), names=["plant.example"])
    yield
    path.write_text(before)


@pytest.fixture
def pump(client: Client) -> Iterator[str]:
    password = client.send("POST", "/api/devices", {"name": "pump-7", "topics": ["plant/{id}/+"]}).json["password"]
    yield password
    client.send("DELETE", "/api/devices/pump-7")


def find_path(answer: Answer) -> str:
    assert answer.headers["hx-retarget"] == "#dialog"
    (path,) = re.findall(r">https?://[^/]+(/phone/\S+)</pre>", unescape(answer.body.decode()))
    return str(path)


@pytest.mark.usefixtures("pump")
def test_link_makes_a_phone_the_device_once(client: Client, pump: str) -> None:
    answer = client.send("POST", "/devices/logins/pump-7/link")
    assert 'src="data:image/svg+xml' in answer.body.decode()
    path = find_path(answer)
    for _ in range(2):
        page = client.send("GET", path)
        assert page.status == 200 and 'data-phone="pump-7"' in page.body.decode()
    told = client.send("POST", path).json
    assert told["user"] == "pump-7" and told["password"] not in ("", pump)
    assert told["topics"] == {word: f"plant/pump-7/{word}" for word in ("slider", "motion", "light")}
    again = client.send("POST", path, accept="application/json")
    assert (again.status, "was used, or has ended" in again.json["error"]) == (409, True)
    assert 'data-phone=""' in client.send("GET", path).body.decode()


def test_phone_is_added_with_a_name_and_topics_of_its_own(client: Client) -> None:
    form = {"content_type": "application/x-www-form-urlencoded"}
    answer = client.send("POST", "/devices/logins/phone", b"", **form)
    if "End the account guest?" in answer.body.decode():
        answer = client.send("POST", "/devices/logins/phone", b"ends_guest=true", **form)
    assert answer.headers["hx-trigger-after-settle"] == "devices-changed"
    told = client.send("POST", find_path(answer)).json
    assert told["topics"]["slider"] == f"devices/{told['user']}/slider"
    assert told["user"].startswith("phone-")
    client.send("DELETE", f"/api/devices/{told['user']}")


def test_device_that_may_send_nothing_gets_no_phone(client: Client, workspace: Workspace) -> None:
    folder = workspace.root / "devices"
    folder.mkdir(exist_ok=True)
    (folder / "ear.yaml").write_text("subscribe: [plant/#]\n")
    answer = client.send("POST", "/devices/logins/ear/link", accept="application/json")
    assert "ear may publish on no topic" in answer.json["error"]
    (folder / "ear.yaml").unlink()
    assert client.send("POST", "/devices/logins/ear/link").status == 404


def test_page_needs_no_login_and_others_do(client: Client) -> None:
    assert _is_open("/phone") and _is_open("/phone/x")
    assert not any(map(_is_open, ("/phones", "/devices", "/phon", "/devices/logins/phone", "/")))
    assert client.send("GET", "/phone").status == 200


def test_page_has_the_certificate_that_a_phone_may_trust(client: Client) -> None:
    answer = client.send("GET", "/phone/authority.pem")
    assert answer.body.startswith(b"-----BEGIN CERTIFICATE-----")
    assert answer.headers["content-type"] == "application/x-x509-ca-cert"
