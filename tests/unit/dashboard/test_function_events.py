"""Saved events over the API, as Nuclio's dashboard and its clients use them."""

from typing import Any
from uuid import UUID

from stack.state.workspace import Workspace
from tests.unit.dashboard.serving import Client

PATH = "/api/function_events"


def make(name: str = "", function: str = "reader", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"nuclio.io/function-name": function}}, "spec": spec}


def test_event_is_created_changed_and_deleted(client: Client, workspace: Workspace) -> None:
    created = client.send("POST", PATH, make("hot", displayName="Hot", body="99", attributes={"method": "PUT"}))
    assert created.status == 201
    assert created.json == {
        "metadata": {"name": "hot", "namespace": "nuclio", "labels": {"nuclio.io/function-name": "reader"}},
        "spec": {
            "displayName": "Hot",
            "triggerName": "",
            "triggerKind": "http",
            "body": "99",
            "attributes": {"method": "PUT"},
        },
    }
    assert (workspace.root / "functions/.events/reader/hot.yaml").is_file()
    assert client.send("GET", f"{PATH}/hot").json == created.json
    changed = client.send("PUT", PATH, {"metadata": {"name": "hot"}, "spec": {"body": "100"}})
    assert (changed.status, changed.body) == (204, b"")
    assert client.send("GET", f"{PATH}/hot").json["spec"]["body"] == "100"
    assert client.send("DELETE", PATH, {"metadata": {"name": "hot"}}).status == 204
    assert client.send("GET", PATH).json == {}


def test_event_without_a_name_is_given_one(client: Client) -> None:
    name = client.send("POST", PATH, make()).json["metadata"]["name"]
    assert str(UUID(name)) == name
    assert list(client.send("GET", PATH).json) == [name]


def test_list_is_filtered_by_function_and_by_name(client: Client) -> None:
    for name, function in (("a", "reader"), ("b", "writer"), ("c", "writer")):
        client.send("POST", PATH, make(name, function))
    assert list(client.send("GET", PATH, X_Nuclio_Function_Name="writer").json) == ["b", "c"]
    assert list(client.send("GET", PATH, X_Nuclio_Function_Event_Name="c").json) == ["c"]


def test_what_is_wrong_is_said(client: Client) -> None:
    nameless = client.send("PUT", PATH, {"metadata": {}})
    assert (nameless.status, nameless.json["error"]) == (400, "Function event name must be provided in metadata")
    assert client.send("PUT", PATH, make("a")).status == 404
    assert client.send("DELETE", PATH, make("a")).status == 404
    assert client.send("GET", f"{PATH}/a").status == 404
    homeless = client.send("POST", PATH, {"metadata": {"name": "a"}})
    assert homeless.status == 400
    assert "nuclio.io/function-name: is required" in homeless.json["error"]
    assert client.send("POST", PATH, make("../../evil")).status == 400
    assert client.send("POST", PATH, make("a", "../../evil")).status == 400


def test_keys_that_no_one_knows_are_passed_over(client: Client) -> None:
    assert client.send("POST", PATH, make("a", colour="red") | {"status": {}}).status == 201
