"""Projects over the API, as Nuclio's dashboard, nuclio-jupyter and MLRun use them."""

from typing import Any

import pytest

from stack.state.workspace import Workspace
from tests.unit.dashboard.serving import Client, wait_until

PATH = "/api/projects"
MARKS = {"skip-build": "true", "skip-deploy": "true"}
CODE = "ZGVmIGhhbmRsZXIoY29udGV4dCwgZXZlbnQpOgogICAgcmV0dXJuIDEK"


def make(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": spec}


def make_function(name: str, project: str = "plant") -> dict[str, Any]:
    """A function that is only to be kept."""
    labels = {"nuclio.io/project-name": project}
    return {
        "metadata": {"name": name, "labels": labels, "annotations": MARKS},
        "spec": {"handler": "main:handler", "runtime": "python", "build": {"functionSourceCode": CODE}},
    }


def make_event(name: str, function: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"nuclio.io/function-name": function}}, "spec": {"body": name}}


def test_there_is_a_default_project(client: Client) -> None:
    assert client.send("GET", PATH).json == {
        "default": {"metadata": {"name": "default", "namespace": "nuclio"}, "spec": {}, "status": {}}
    }


def test_project_is_created_and_read(client: Client, workspace: Workspace) -> None:
    created = client.send("POST", PATH, make("plant", description="Ovens", owner="ann"))
    expected = {
        "metadata": {"name": "plant", "namespace": "nuclio"},
        "spec": {"description": "Ovens", "owner": "ann"},
        "status": {},
    }
    assert (created.status, created.json) == (201, expected)
    assert client.send("GET", f"{PATH}/plant").json == expected
    assert list(client.send("GET", PATH).json) == ["default", "plant"]
    assert list(client.send("GET", PATH, X_Nuclio_Project_Name="plant").json) == ["plant"]
    assert (workspace.root / "functions/.projects/plant.yaml").is_file()


def test_both_forms_of_put(client: Client) -> None:
    assert client.send("PUT", f"{PATH}/plant", make("plant", description="1")).status == 204
    older = client.send("PUT", PATH, make("plant", description="2"))
    assert (older.status, older.body, older.headers["deprecation"]) == (204, b"", "true")
    assert older.headers["link"].startswith("</api/projects/plant>")
    assert client.send("GET", f"{PATH}/plant").json["spec"] == {"description": "2"}
    named = client.send("PUT", PATH, {"spec": {"description": "3"}}, X_Nuclio_Project_Name="plant")
    assert named.status == 204
    assert client.send("GET", f"{PATH}/plant").json["spec"] == {"description": "3"}
    assert client.send("PUT", f"{PATH}/other", make("plant")).status == 400


@pytest.mark.parametrize(
    "body", [{}, {"metadata": {}}, {"metadata": {"name": ""}}, make("Not_A_Label"), make("../up"), make("x" * 64)]
)
def test_name_that_is_none_is_refused(client: Client, body: dict[str, Any]) -> None:
    for method in ("POST", "PUT"):
        answer = client.send(method, PATH, body)
        assert (answer.status, sorted(answer.json)) == (400, ["error", "errorStackTrace"])


def test_project_is_deleted(client: Client) -> None:
    client.send("POST", PATH, make("plant"))
    assert client.send("DELETE", PATH, make("plant")).status == 204
    assert client.send("DELETE", PATH, make("plant")).status == 404
    assert client.send("GET", f"{PATH}/plant").status == 404


def test_check_deletes_nothing(client: Client) -> None:
    client.send("POST", PATH, make("plant"))
    strategy = {"X_Nuclio_Delete_Project_Strategy": "check"}
    assert client.send("DELETE", PATH, make("plant"), **strategy).status == 204
    assert client.send("DELETE", PATH, make("missing"), **strategy).status == 204
    assert client.send("GET", f"{PATH}/plant").status == 200


def test_what_is_not_deleted(client: Client) -> None:
    default = client.send("DELETE", PATH, make("default"))
    assert (default.status, default.json["error"]) == (412, "Cannot delete the default project")
    assert client.send("DELETE", PATH, {}).status == 400
    client.send("POST", PATH, make("plant"))
    assert client.send("DELETE", PATH, make("plant"), X_Nuclio_Delete_Project_Strategy="force").status == 400


def test_project_with_functions_is_kept(client: Client) -> None:
    client.send("POST", PATH, make("plant"))
    assert client.send("POST", "/api/functions", make_function("reader")).status == 202
    for strategy in ("restricted", "check", ""):
        answer = client.send("DELETE", PATH, make("plant"), X_Nuclio_Delete_Project_Strategy=strategy)
        assert (answer.status, answer.json["error"]) == (412, "Project contains functions: reader")


def test_project_that_only_functions_name_is_there(client: Client, workspace: Workspace) -> None:
    folder = workspace.root / "functions/reader"
    folder.mkdir()
    (folder / "function.yaml").write_text("metadata: {labels: {nuclio.io/project-name: Hall 3}}\n")
    (folder / "main.py").write_text("def handler(context, event): ...\n")
    wait_until(lambda: "Hall 3" in client.send("GET", PATH).json, what="a project of a function's")
    assert client.send("GET", f"{PATH}/Hall%203").json["metadata"]["name"] == "Hall 3"


def test_export_goes_in_again_where_it_is_not_there(client: Client) -> None:
    client.send("POST", PATH, make("plant", description="Ovens"))
    client.send("POST", "/api/functions", make_function("reader"))
    client.send("POST", "/api/function_events", make_event("hot", "reader"))
    client.send("POST", "/api/function_events", make_event("foreign", "elsewhere"))
    exported = client.send("GET", f"{PATH}/plant?export=true").json
    assert exported == client.send("GET", f"{PATH}?export=true").json["plant"]
    assert exported["project"] == {"metadata": {"name": "plant"}, "spec": {"description": "Ovens"}}
    assert list(exported["functions"]) == ["reader"]
    assert exported["functions"]["reader"]["metadata"]["annotations"]["skip-deploy"] == "true"
    assert exported["functionEvents"] == {"hot": make_event("hot", "reader") | {"spec": EVENT | {"body": "hot"}}}
    assert exported["apiGateways"] == {}

    again = client.send("POST", f"{PATH}?import=true", exported)
    assert again.status == 201
    assert again.json["functionImportResult"] == {
        "createdAmount": 0,
        "failedAmount": 1,
        "failedFunctions": [{"function": "reader", "error": "Cannot create two functions with the same name: reader"}],
    }
    assert again.json["functionEventImportResult"]["failedAmount"] == 1

    exported["project"]["metadata"]["name"] = "copy"
    exported["functions"] = {"second": make_function("second")}
    exported["functionEvents"] = {"any": make_event("any", "second")}
    copied = client.send("POST", f"{PATH}?import=true", exported).json
    assert copied == {
        "functionImportResult": {"createdAmount": 1, "failedAmount": 0, "failedFunctions": []},
        "functionEventImportResult": {"createdAmount": 1, "failedAmount": 0, "failedFunctionEvents": []},
        "apiGatewayImportResult": {"createdAmount": 0, "failedAmount": 0, "failedAPIGateways": []},
    }
    assert list(client.send("GET", "/api/functions", X_Nuclio_Project_Name="copy").json) == ["second"]
    (event,) = client.send("GET", "/api/function_events", X_Nuclio_Function_Name="second").json.values()
    assert event["spec"]["body"] == "any"
    assert event["metadata"]["name"] not in ("any", "")


EVENT = {"displayName": "", "triggerName": "", "triggerKind": "http", "attributes": {}}


def test_import_says_what_failed_and_takes_the_rest(client: Client) -> None:
    document = {
        "project": make("plant"),
        "functions": {
            "good": make_function("good"),
            "wrong": make_function("wrong") | {"spec": {"runtime": "golang"}},
            "none": 5,
        },
        "functionEvents": {"a": make_event("a", "wrong"), "b": {"metadata": 5}},
        "apiGateways": {"mine": {}},
    }
    answer = client.send("POST", f"{PATH}?import=true", document).json
    functions, events, gateways = answer.values()
    assert (functions["createdAmount"], functions["failedAmount"]) == (1, 2)
    reasons = {one["function"]: one["error"] for one in functions["failedFunctions"]}
    assert "'golang' is not supported" in reasons["wrong"]
    assert "should be an object" in reasons["none"]
    assert [one["functionEvent"] for one in events["failedFunctionEvents"]] == ["a", "b"]
    assert [one["apiGateway"] for one in gateways["failedAPIGateways"]] == ["mine"]


@pytest.mark.parametrize("body", [{}, {"project": 5}, {"project": {}}, {"project": make("plant"), "functions": []}])
def test_import_of_no_project(client: Client, body: dict[str, Any]) -> None:
    assert client.send("POST", f"{PATH}?import=true", body).status == 400
