"""Pages of other sites: those that stack.yaml lists may use the API, others may not."""

from collections.abc import Iterator
from typing import Any

import pytest

from stack.config.document import parse_model
from stack.config.settings import Settings
from stack.errors import ConfigError
from stack.state.workspace import VARIABLE
from tests.unit.dashboard.serving import Client, serving

OURS = "http://localhost:3000"
PROJECT = {"metadata": {"name": "plant"}, "spec": {}}


@pytest.fixture(scope="module")
def welcoming(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A dashboard whose stack.yaml lists a site."""
    folder = tmp_path_factory.mktemp("welcoming")
    (folder / "stack.yaml").write_text(
        f"project: welcoming\nimages: {{source: debian}}\ndashboard: {{origins: ['{OURS}']}}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(folder))
        with serving() as client:
            yield client


def ask_before(client: Client, origin: str, method: str = "PUT", headers: str = "x-nuclio-project-name") -> Any:
    """Send what a browser does before a page's request."""
    return client.send(
        "OPTIONS",
        "/api/projects",
        Origin=origin,
        Access_Control_Request_Method=method,
        Access_Control_Request_Headers=headers,
    )


def test_browser_is_told_what_a_listed_site_may(welcoming: Client) -> None:
    answer = ask_before(welcoming, OURS)
    assert answer.status == 200
    told = {name.removeprefix("access-control-"): value for name, value in answer.headers.items()}
    assert (told["allow-origin"], told["allow-credentials"], told["max-age"]) == (OURS, "true", "300")
    assert set(told["allow-methods"].split(", ")) == {"GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}
    allowed = told["allow-headers"].lower().split(", ")
    assert {"x-nuclio-function-name", "x-nuclio-log-level", "authorization", "x-csrf-token"} <= set(allowed)
    assert ask_before(welcoming, OURS, headers="x-other").status == 400


def test_page_of_a_listed_site_may_read_and_change(welcoming: Client) -> None:
    listed = welcoming.send("GET", "/api/projects", Origin=OURS)
    assert listed.headers["access-control-allow-origin"] == OURS
    assert "X-Nuclio-Logs" in listed.headers["access-control-expose-headers"]
    made = welcoming.send("POST", "/api/projects", PROJECT, Origin=OURS, Sec_Fetch_Site="same-site")
    assert (made.status, made.headers["access-control-allow-origin"]) == (201, OURS)


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:3001", "https://localhost:3000", "null"])
def test_page_of_any_other_site_may_not(welcoming: Client, origin: str) -> None:
    assert ask_before(welcoming, origin).status == 405
    assert "access-control-allow-origin" not in welcoming.send("GET", "/api/projects", Origin=origin).headers
    assert welcoming.send("POST", "/api/projects", PROJECT, Origin=origin).status == 403


def test_pages_of_the_dashboard_are_for_no_one_else(welcoming: Client) -> None:
    assert "access-control-allow-origin" not in welcoming.send("GET", "/login", Origin=OURS).headers


@pytest.mark.parametrize("origin", ["*", "null", "localhost:3000", "http://a/path", "http://a "])
def test_what_is_no_origin(origin: str) -> None:
    with pytest.raises(ConfigError, match=r"dashboard\.origins: should be a site's scheme"):
        parse_model(Settings, {"dashboard": {"origins": [origin]}}, name="stack.yaml")
