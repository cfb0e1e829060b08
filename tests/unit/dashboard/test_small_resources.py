"""What Nuclio's clients ask besides functions and projects."""

import re

import pytest

from tests.unit.dashboard.serving import Client


def test_version_is_a_semantic_one(client: Client) -> None:
    version = client.send("GET", "/api/versions").json["dashboard"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version["label"])
    assert sorted(version) == ["arch", "gitCommit", "label", "os"]


def test_namespace_and_addresses(client: Client) -> None:
    assert client.send("GET", "/api/namespaces").json == {"namespaces": {"names": ["nuclio"]}}
    assert client.send("GET", "/api/external_ip_addresses").json == {
        "externalIPAddresses": {"addresses": ["127.0.0.1"]}
    }


def test_frontend_spec_has_what_nuclios_pages_ask_for(client: Client) -> None:
    spec = client.send("GET", "/api/frontend_spec").json
    assert (spec["platformKind"], spec["namespace"], spec["externalIPAddresses"]) == ("local", "nuclio", ["127.0.0.1"])
    assert spec["scaleToZero"] == {"mode": "disabled", "inactivityWindowPresets": None, "scaleResources": None}
    assert len(spec["autoScaleMetrics"]["metricPresets"]) == 7
    triggers = spec["defaultFunctionConfig"]["attributes"]["spec"]["triggers"]
    assert triggers["default-http"]["workerAvailabilityTimeoutMilliseconds"] == 10000
    assert sorted(spec) == [
        "allowedAuthenticationModes",
        "autoScaleMetrics",
        "defaultFunctionConfig",
        "defaultFunctionPodResources",
        "defaultHTTPIngressHostTemplate",
        "disableDefaultHttpTrigger",
        "externalIPAddresses",
        "imageNamePrefixTemplate",
        "logsScreenEnabled",
        "namespace",
        "platformKind",
        "scaleToZero",
        "validFunctionPriorityClassNames",
    ]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/api_gateways", 200),
        ("GET", "/api/api_gateways/mine", 404),
        ("POST", "/api/api_gateways", 501),
        ("PUT", "/api/api_gateways/mine", 501),
        ("DELETE", "/api/api_gateways", 501),
        ("GET", "/api/v3io_streams", 501),
        ("POST", "/api/v3io_streams/get_shard_lags", 501),
        ("GET", "/api/nothing", 404),
        ("PATCH", "/api/versions", 405),
    ],
)
def test_what_there_is_not_is_said_plainly(client: Client, method: str, path: str, status: int) -> None:
    answer = client.send(method, path)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    if status == 200:
        assert answer.json == {}
    else:
        assert sorted(answer.json) == ["error", "errorStackTrace"]
        assert answer.json["error"]


@pytest.mark.parametrize("path", ["/api/versions/", "/api/versions//", "/api/function_events/"])
def test_slash_at_the_end_says_nothing(client: Client, path: str) -> None:
    assert client.send("GET", path).status == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"5", b'"x"', b"null", b'{"metadata": NaN}', b'{"a": "\\ud800"}', b"\xff", b"[" * 200_000],
)
def test_body_that_is_no_object(client: Client, body: bytes) -> None:
    answer = client.send("POST", "/api/function_events", body)
    assert (answer.status, sorted(answer.json)) == (400, ["error", "errorStackTrace"])
    assert answer.json["error"].startswith("Failed to parse JSON body")


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/api/projects", "DELETE GET HEAD POST PUT"),
        ("/api/functions/x", "GET HEAD PATCH PUT"),
        ("/api/versions", "GET HEAD"),
    ],
)
def test_method_that_there_is_not_is_told_those_that_there_are(client: Client, path: str, methods: str) -> None:
    answer = client.send("TRACE", path)
    assert (answer.status, sorted(answer.headers["allow"].split(", "))) == (405, methods.split())
