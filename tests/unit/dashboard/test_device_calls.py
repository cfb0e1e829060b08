"""Devices are called by the API, and in a dialog of the devices' page."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest

from stack.dashboard.api import device_calls
from stack.devices.api import build_app
from stack.devices.call_api import build_call_routes
from stack.devices.client import DeviceService
from stack.run.devices import calls as run_calls
from stack.state.devices import device_path, make_login, remove_device, remove_login
from stack.state.workspace import Workspace, write_file
from tests.unit.dashboard.serving import Answer, Client, serving_app
from tests.unit.devices.fake_broker import FakeLink, answer, open_fake_calls

PATH = "/api/devices/pump-7/calls"
PAGE = "/devices/logins/pump-7/calls"


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()


@pytest.fixture(autouse=True)
def service(
    client: Client, workspace: Workspace, link: FakeLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The service, and a device, whose file is there as git brings it: to add the first ends the account guest."""
    write_file(device_path(workspace, "pump-7"), b"{}\n")
    make_login(workspace, "pump-7")
    with open_fake_calls(link, tmp_path) as calls, serving_app(build_app(build_call_routes(calls))) as found:
        monkeypatch.setattr(run_calls, "find_device_service", lambda _: DeviceService("127.0.0.1", found.port))
        yield
    remove_login(workspace, "pump-7")
    remove_device(workspace, "pump-7")


def send(client: Client, **fields: str) -> Answer:
    return client.send("POST", PAGE, urlencode(fields).encode(), content_type="application/x-www-form-urlencoded")


def test_a_call_is_made_and_found(client: Client, link: FakeLink) -> None:
    answer(link, b'{"open": true}')
    made = client.send("POST", PATH, {"method": "open", "data": {"valve": 2}})
    assert (made.status, made.json["answer"], made.json["by"]) == (201, {"open": True}, "API")
    assert client.send("GET", PATH).json == {"calls": [made.json]}
    assert client.send("GET", f"{PATH}/{made.json['id']}?wait=1").json == made.json


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/devices/none/calls", {"method": "open"}, 404),
        ("POST", PATH, {}, 400),
        ("POST", PATH, {"method": "open", "wait": -1}, 400),
        ("POST", PATH, {"method": "open", "by": "someone else"}, 400),
        ("GET", f"{PATH}/none", None, 404),
        ("GET", f"{PATH}?limit=x", None, 400),
        ("GET", "/api/devices/none/calls", None, 404),
    ],
)
def test_what_is_wrong_is_told(client: Client, method: str, path: str, body: object, status: int) -> None:
    told = client.send(method, path, body)
    assert (told.status, bool(told.json["error"])) == (status, True), told


def test_a_device_that_is_locked_out_is_not_called(client: Client, link: FakeLink) -> None:
    client.send("DELETE", "/api/devices/pump-7/password")
    assert client.send("POST", PATH, {"method": "open"}).status == 409
    assert link.published == []


def test_calls_that_wait_keep_no_other_request_waiting(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_calls, "_waiting", SimpleNamespace(available_tokens=0))
    assert client.send("POST", PATH, {"method": "open"}).status == 503
    assert "Too many calls are waited for" in send(client, method="open", wait="5", expires="1h").body.decode()
    assert client.send("GET", PATH).status == 200


def test_the_page_calls_and_lists(client: Client, link: FakeLink) -> None:
    dialog = client.send("GET", PAGE).body.decode()
    assert "Call pump-7" in dialog and "It was not called yet." in dialog
    assert f'hx-get="{PAGE}"' in client.send("GET", "/devices/logins").body.decode()
    answer(link, b'{"open": "<b>"}')
    shown = send(client, method="open", data='{"valve": 2}', wait="5", expires="1h").body.decode()
    assert "open {&#34;valve&#34;: 2}" in shown and "answered" in shown and "&lt;b&gt;" in shown
    assert "every 2s" not in shown
    assert "The data should be JSON" in send(client, method="open", data="{", wait="0", expires="1h").body.decode()
    link.on_publish = lambda _: None
    assert "every 2s" in send(client, method="open", wait="0", expires="1h").body.decode()
    assert "every 2s" in client.send("GET", f"{PAGE}/list").body.decode()
