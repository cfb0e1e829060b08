"""Functions over the API, as far as no container is needed: what is refused, what is kept, what is told."""

from base64 import b64encode
from typing import Any

import pytest
import yaml

from stack.state.deploy_log import DeployLog
from stack.state.lock import lock
from stack.state.workspace import Workspace
from tests.unit.dashboard.serving import Client

PATH = "/api/functions"
IMPORT = {"skip-build": "true", "skip-deploy": "true"}
SOURCE = "def run(context, event):\n    return 'one'\n"


def make(name: str = "reader", source: str = SOURCE, project: str = "default", **spec: Any) -> dict[str, Any]:
    """Return a function that is to be kept and not to be deployed."""
    build = {"functionSourceCode": b64encode(source.encode()).decode()}
    metadata = {"name": name, "labels": {"nuclio.io/project-name": project}, "annotations": dict(IMPORT)}
    return {"metadata": metadata, "spec": {"handler": "app:run", "build": build, **spec}}


def test_imported_function_is_a_folder_and_is_told_as_nuclio_does(client: Client, workspace: Workspace) -> None:
    answer = client.send("POST", f"{PATH}?import=true", make(eventTimeout="5s"))
    assert (answer.status, answer.body) == (202, b"")
    assert answer.headers["content-type"] == "application/json"
    folder = workspace.root / "functions/reader"
    assert (folder / "app.py").read_text() == SOURCE
    assert yaml.safe_load((folder / "function.yaml").read_text()) == {
        "metadata": {"name": "reader"},
        "spec": {"handler": "app:run", "eventTimeout": "5s"},
    }
    told = client.send("GET", f"{PATH}/reader").json
    assert told["status"] == {"state": "imported", "logs": []}
    assert told["metadata"]["labels"] == {"nuclio.io/project-name": "default"}
    assert told["spec"]["build"]["functionSourceCode"] == make()["spec"]["build"]["functionSourceCode"]
    assert {"resources", "build", "platform", "eventTimeout"} <= told["spec"].keys()


def test_list_is_an_object_that_headers_filter(client: Client) -> None:
    assert client.send("GET", PATH).json == {}
    client.send("POST", "/api/projects", {"metadata": {"name": "lab"}, "spec": {}})
    client.send("POST", PATH, make("a"))
    client.send("POST", PATH, make("b", project="lab"))
    assert list(client.send("GET", PATH).json) == ["a", "b"]
    assert list(client.send("GET", PATH, X_Nuclio_Project_Name="lab").json) == ["b"]
    assert list(client.send("GET", PATH, X_Nuclio_Function_Name="a").json) == ["a"]
    assert list(client.send("GET", PATH, X_Nuclio_Function_Namespace="whatever").json) == ["a", "b"]
    assert client.send("GET", PATH, X_Nuclio_Project_Name="none").json == {}


def test_project_of_the_header_wins(client: Client) -> None:
    client.send("POST", "/api/projects", {"metadata": {"name": "lab"}, "spec": {}})
    assert client.send("POST", PATH, make("a"), X_Nuclio_Project_Name="lab").status == 202
    assert client.send("GET", f"{PATH}/a").json["metadata"]["labels"]["nuclio.io/project-name"] == "lab"


def test_export_can_be_imported_again(client: Client) -> None:
    client.send("POST", PATH, make("a", env=[{"name": "A", "value": "b"}]))
    exported = client.send("GET", f"{PATH}/a?export=true").json
    assert client.send("GET", f"{PATH}?export=true").json == {"a": exported}
    assert sorted(exported) == ["metadata", "spec"]
    assert "namespace" not in exported["metadata"]
    assert exported["metadata"]["annotations"] == {**IMPORT, "nuclio.io/previous-state": "imported"}
    exported["metadata"]["name"] = "b"
    assert client.send("POST", PATH, exported).status == 202
    found = client.send("GET", PATH).json
    assert found["a"]["spec"] == found["b"]["spec"]


def test_put_replaces_and_creates(client: Client) -> None:
    assert client.send("PUT", f"{PATH}/reader", make(env=[{"name": "A", "value": "b"}])).status == 202
    assert client.send("PUT", f"{PATH}/another-name-says-nothing", make()).status == 202
    assert "env" not in client.send("GET", f"{PATH}/reader").json["spec"]
    assert list(client.send("GET", PATH).json) == ["reader"]


def test_stale_version_is_refused(client: Client) -> None:
    client.send("POST", PATH, make())
    version = client.send("GET", f"{PATH}/reader").headers["x-tidegate-function-version"]
    changed = make(source="def run(c, e):\n    return 'two'\n")
    assert client.send("PUT", f"{PATH}/reader", changed, X_Tidegate_Function_Version=version).status == 202
    stale = client.send("PUT", f"{PATH}/reader", make(), X_Tidegate_Function_Version=version)
    assert (stale.status, "stale" in stale.json["error"]) == (409, True)
    named = {"metadata": {"name": "reader"}}
    assert client.send("DELETE", PATH, named, X_Tidegate_Function_Version=version).status == 409


def test_object_is_sent_again_and_again(client: Client) -> None:
    client.send("POST", PATH, make())
    document = client.send("GET", f"{PATH}/reader").json
    assert "resourceVersion" not in document["metadata"]
    document["metadata"] |= {"annotations": IMPORT, "resourceVersion": "12"}
    for description in ("one", "two"):
        document["spec"]["description"] = description
        assert client.send("PUT", f"{PATH}/reader", document).status == 202
    told = client.send("GET", f"{PATH}/reader").json
    assert (told["spec"]["description"], "resourceVersion" in told["metadata"]) == ("two", False)
    assert client.send("DELETE", PATH, {"metadata": document["metadata"]}).status == 204


@pytest.mark.parametrize(
    ("document", "status", "text"),
    [
        ([], 400, "Failed to parse JSON body"),
        ({}, 400, "Function name must be provided"),
        ({"metadata": {"name": "reader"}}, 400, "Function spec must be provided"),
        ({"metadata": {"name": "reader"}, "spec": None}, 400, "Function spec must be provided"),
        ({"metadata": {"name": "a/b"}, "spec": {}}, 400, "breaks the naming convention"),
        ({"metadata": {"name": "scaler"}, "spec": {}}, 412, "reserved"),
        (make(project="nope"), 412, "Project nope does not exist"),
        (make(runtime="golang"), 400, "spec.runtime"),
        (make(minReplicas=3, maxReplicas=2), 400, "Replicas"),
        (make(env=[{"name": "A", "value": [5]}]), 400, "spec.env"),
        ({"metadata": {"name": "reader"}, "spec": {"runtime": "python"}}, 400, "functionSourceCode: is required"),
    ],
)
def test_what_is_wrong_is_refused_and_not_kept(client: Client, document: Any, status: int, text: str) -> None:
    answer = client.send("POST", PATH, document)
    assert (answer.status, text in answer.json["errorStackTrace"]) == (status, True), answer.body
    assert sorted(answer.json) == ["error", "errorStackTrace"]
    assert client.send("GET", PATH).json == {}


def test_unknown_and_older_keys_are_accepted(client: Client) -> None:
    document = make(PreemptionMode="x", somethingNew={"a": 1}, triggers={"web": {"kind": "http", "maxWorkers": 3}})
    document["spec"]["build"]["noBaseImagePull"] = True
    assert client.send("POST", PATH, {"apiVersion": "nuclio.io/v1", "kind": "Function", **document}).status == 202
    told = client.send("GET", f"{PATH}/reader").json
    assert told["spec"]["triggers"]["web"]["numWorkers"] == 3


def test_same_name_twice_is_refused(client: Client) -> None:
    assert client.send("POST", PATH, make()).status == 202
    assert client.send("POST", PATH, make()).status == 409


@pytest.mark.parametrize(
    ("name", "body", "status"), [("reader", {"revision": -1}, 400), ("reader", [], 400), ("other", {}, 404)]
)
def test_rollback_that_is_wrong_is_refused(client: Client, name: str, body: Any, status: int) -> None:
    client.send("POST", PATH, make())
    assert client.send("POST", f"{PATH}/{name}/rollback", body).status == status


def test_rollback_of_what_was_never_deployed_is_refused(client: Client) -> None:
    client.send("POST", PATH, make())
    answer = client.send("POST", f"{PATH}/reader/rollback", {})
    assert (answer.status, "reader" in answer.json["error"]) == (412, True)


def test_function_that_is_being_deployed_is_left_alone(client: Client, workspace: Workspace) -> None:
    client.send("POST", PATH, make())
    with lock(workspace, "function-reader"):
        DeployLog(workspace, "reader").begin("at the command line")
        told = client.send("GET", f"{PATH}/reader").json["status"]
        assert (told["state"], told["logs"][0]["level"]) == ("building", "info")
        assert told["logs"][0]["message"] == "Deploying reader: at the command line"
        for method, path, body in (
            ("PUT", f"{PATH}/reader", make()),
            ("PATCH", f"{PATH}/reader", {"desiredState": "ready"}),
            ("DELETE", PATH, {"metadata": {"name": "reader"}}),
        ):
            answer = client.send(method, path, body)
            assert (answer.status, "being provisioned" in answer.json["error"]) == (412, True)


@pytest.mark.parametrize(
    ("body", "status"), [({}, 204), ({"desiredState": "gone"}, 400), ({"desiredState": 5}, 400), ([], 400)]
)
def test_patch_without_a_state_that_can_be_reached(client: Client, body: Any, status: int) -> None:
    client.send("POST", PATH, make())
    assert client.send("PATCH", f"{PATH}/reader", body).status == status


def test_what_is_not_there(client: Client) -> None:
    assert client.send("GET", f"{PATH}/reader").status == 404
    assert client.send("GET", f"{PATH}/reader?export=true").status == 404
    assert client.send("PATCH", f"{PATH}/reader", {"desiredState": "ready"}).status == 404
    assert client.send("DELETE", PATH, {"metadata": {"name": "reader"}}).status == 204
    assert client.send("DELETE", PATH, {"metadata": {}}).status == 400
    assert client.send("GET", f"{PATH}/reader/replicas").status == 404
    assert client.send("GET", f"{PATH}/reader/logs/one").status == 404


def test_disabled_function_that_was_never_deployed_is_refused(client: Client) -> None:
    client.send("POST", PATH, make())
    answer = client.send("PUT", f"{PATH}/reader", make(disable=True))
    assert (answer.status, answer.json["error"]) == (412, "Non-deployed functions cannot be disabled")


@pytest.mark.parametrize(
    ("headers", "status", "text"),
    [
        ({}, 400, "must be provided"),
        ({"X_Nuclio_Function_Name": "none"}, 404, "not found"),
        ({"X_Nuclio_Function_Name": "reader"}, 412, "is not deployed"),
        ({"X_Nuclio_Function_Name": "reader", "X_Nuclio_Invoke_Timeout": "soon"}, 400, "X-Nuclio-Invoke-Timeout"),
        ({"X_Nuclio_Function_Name": "reader", "X_Nuclio_Invoke_Url": "10.0.0.1:1"}, 400, "Invalid URL"),
    ],
)
def test_calls_that_cannot_be_made(client: Client, headers: dict[str, str], status: int, text: str) -> None:
    client.send("POST", PATH, make())
    answer = client.send("POST", "/api/function_invocations/some/tail", b"body", **headers)
    assert (answer.status, text in answer.json["error"]) == (status, True)
