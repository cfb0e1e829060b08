"""The calls that MLRun makes of Nuclio's dashboard, one after the other, and what it reads in the answers."""

import re
from typing import Any

from tests.unit.dashboard.serving import Answer, Client

PROJECT: dict[str, Any] = {
    "metadata": {"name": "ml-project", "labels": {"iguazio.com/x": "1"}, "annotations": {"nuclio.io/a": "b"}},
    "spec": {"description": "Made by MLRun"},
}
STRATEGY = "X_Nuclio_Delete_Project_Strategy"


def make_function(name: str) -> dict[str, Any]:
    """A function as MLRun sends it, with what only Kubernetes knows; marked so that it is kept and not deployed."""
    return {
        "apiVersion": "nuclio.io/v1",
        "kind": "Function",
        "metadata": {
            "name": name,
            "labels": {"mlrun/class": "remote", "nuclio.io/project-name": "ml-project"},
            "annotations": {"nuclio.io/generated_by": "function generated from x", "skip-deploy": "true"},
        },
        "spec": {
            "runtime": "python:3.9",
            "handler": "main-nuclio:handler",
            "env": [{"name": "MLRUN_DEFAULT_PROJECT", "value": "ml-project"}],
            "minReplicas": 1,
            "maxReplicas": 4,
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "PreemptionMode": "prevent",
            "triggers": {
                "http": {"kind": "http", "maxWorkers": 1, "attributes": {"serviceType": "NodePort"}, "annotations": {}}
            },
            "build": {
                "commands": ["python -m pip install pandas"],
                "flags": ["--no-cache"],
                "noBaseImagesPull": True,
                "functionSourceCode": "ZGVmIGhhbmRsZXIoY29udGV4dCwgZXZlbnQpOgogICAgcmV0dXJuIDEK",
            },
        },
    }


def is_good(answer: Answer) -> bool:
    return answer.status // 100 == 2


def test_version_is_compared_as_a_semantic_one(client: Client) -> None:
    label = client.send("GET", "/api/versions").json["dashboard"]["label"]
    assert re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", label)
    assert tuple(map(int, label.split("."))) >= (1, 6, 23)


def test_project_lives_as_long_as_mlrun_wants(client: Client) -> None:
    assert client.send("GET", "/api/projects/ml-project").status == 404
    created = client.send("POST", "/api/projects", PROJECT)
    assert created.status == 201
    assert created.json["metadata"]["name"] == "ml-project"
    listed = client.send("GET", "/api/projects").json
    assert listed["ml-project"]["metadata"]["labels"] == PROJECT["metadata"]["labels"]
    changed = {**PROJECT, "spec": {"description": "Changed by MLRun"}}
    assert is_good(client.send("PUT", "/api/projects", changed))
    found = client.send("GET", "/api/projects/ml-project").json
    assert found["spec"]["description"] == "Changed by MLRun"
    body = {"metadata": {"name": "ml-project"}}
    assert client.send("DELETE", "/api/projects", body, **{STRATEGY: "check"}).status == 204
    assert client.send("DELETE", "/api/projects", body, **{STRATEGY: "restricted"}).status == 204
    assert client.send("DELETE", "/api/projects", body, **{STRATEGY: "cascading"}).status == 404


def test_function_is_deployed_as_nuclio_jupyter_does_it_and_deleted(client: Client) -> None:
    client.send("POST", "/api/projects", PROJECT)
    assert client.send("GET", "/api/functions/trainer").status == 404
    headers = {"X_Nuclio_Project_Name": "ml-project", "X_Nuclio_Function_Namespace": "default-tenant"}
    assert client.send("POST", "/api/functions", make_function("trainer"), **headers).status == 202
    found = client.send("GET", "/api/functions/trainer").json
    assert found["metadata"]["labels"]["nuclio.io/project-name"] == "ml-project"
    assert found["status"]["state"] == "imported"
    busy = client.send("DELETE", "/api/projects", PROJECT, **{STRATEGY: "restricted"})
    assert (busy.status, "Project contains functions" in busy.json["error"]) == (412, True)
    again = client.send("PUT", "/api/functions/trainer", make_function("trainer"), **headers)
    assert is_good(again)


def test_function_that_is_not_there_may_be_deleted(client: Client) -> None:
    """MLRun's path ends with a slash, and it names the project and the gateways in headers."""
    headers = {"X_Nuclio_Delete_Function_With_API_Gateways": "true", "X_Nuclio_Project_Name": "ml-project"}
    answer = client.send("DELETE", "/api/functions/", {"metadata": {"name": "trainer"}}, **headers)
    assert (answer.status, answer.body) == (204, b"")


def test_api_gateways_are_none(client: Client) -> None:
    project = {"X_Nuclio_Project_Name": "ml-project"}
    assert client.send("GET", "/api/api_gateways/", **project).json == {}
    assert client.send("GET", "/api/api_gateways/gateway", **project).status == 404
    gateway = {"metadata": {"name": "gateway"}, "spec": {}}
    for method, path in (("POST", ""), ("PUT", "/gateway"), ("DELETE", "/")):
        answer = client.send(method, f"/api/api_gateways{path}", gateway, **project)
        assert (answer.status, "not supported on Docker" in answer.json["error"]) == (501, True)


def test_errors_have_the_shape_that_mlrun_reads(client: Client) -> None:
    wrong = [
        client.send("POST", "/api/functions", {"metadata": {"name": "x"}}),
        client.send("POST", "/api/functions", {"metadata": {}, "spec": {}}),
        client.send("POST", "/api/projects", {"metadata": {"name": "Not A Label"}}),
        client.send("GET", "/api/functions/missing"),
        client.send("DELETE", "/api/projects", {"metadata": {"name": "default"}}),
    ]
    assert [one.status for one in wrong] == [400, 400, 400, 404, 412]
    for one in wrong:
        assert one.json["error"]
        assert one.json["errorStackTrace"].startswith(one.json["error"])
