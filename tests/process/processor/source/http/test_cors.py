"""Requests of pages of other sites."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.process.processor.conftest import Start
from tests.process.processor.running import FUNCTIONS, Answer, Processor, run_processor

SITE = "http://site.example"


def web(**cors: Any) -> dict[str, Any]:
    return {"web": {"kind": "http", "attributes": {"cors": {"enabled": True, **cors}}}}


@pytest.fixture(scope="module")
def open_to_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processor]:
    spec = {"triggers": web()}
    with run_processor(tmp_path_factory.mktemp("cors"), spec, FUNCTIONS / "streams") as processor:
        yield processor.wait_until_ready()


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processor]:
    with run_processor(tmp_path_factory.mktemp("closed"), {}, FUNCTIONS / "streams") as processor:
        yield processor.wait_until_ready()


def ask_first(processor: Processor, method: str = "PUT", headers: str = "", origin: str = SITE) -> Answer:
    named = {"Origin": origin, "Access_Control_Request_Method": method, "Access_Control_Request_Headers": headers}
    return processor.ask("/text", method="OPTIONS", **{name: value for name, value in named.items() if value})


def test_preflight_is_answered_without_the_handler(open_to_all: Processor) -> None:
    answer = ask_first(open_to_all, headers="content-type, X-NUCLIO-log-level")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["access-control-allow-origin"] == SITE
    assert answer.headers["access-control-allow-methods"] == "HEAD, GET, POST, PUT, DELETE, OPTIONS, PATCH"
    expected = "Accept, Content-Length, Content-Type, Authorization, X-Nuclio-Log-Level"
    assert answer.headers["access-control-allow-headers"] == expected
    assert "access-control-max-age" not in answer.headers
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("wrong", [{"method": "BREW"}, {"headers": "X-Mine"}, {"origin": ""}])
def test_preflight_of_what_is_not_allowed_is_refused(open_to_all: Processor, wrong: dict[str, str]) -> None:
    answer = ask_first(open_to_all, **wrong)
    assert (answer.status, answer.body) == (400, b"")
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(("path", "body"), [("/text", b"text"), ("/count", b"0\n1\n2\n")])
def test_page_may_read_the_answer(open_to_all: Processor, path: str, body: bytes) -> None:
    answer = open_to_all.ask(path, Origin=SITE)
    assert (answer.status, answer.body) == (200, body)
    assert (answer.headers["access-control-allow-origin"], answer.headers["vary"]) == (SITE, "Origin")


def test_who_names_no_origin_is_answered_as_ever(open_to_all: Processor) -> None:
    answer = open_to_all.ask("/text")
    assert (answer.status, answer.body) == (200, b"text")
    assert not any(name.startswith("access-control") for name in answer.headers)
    assert open_to_all.ask("/text", method="OPTIONS", Origin=SITE).body == b"text"


def test_every_attribute_counts(start: Start) -> None:
    cors = {
        "allowOrigins": [SITE, "https://other.example"],
        "allowMethods": ["GET"],
        "allowHeaders": ["X-Mine"],
        "exposeHeaders": ["X-A", "X-B"],
        "allowCredentials": True,
        "preflightMaxAgeSeconds": 60,
    }
    processor = start("streams", triggers=web(**cors))
    answer = ask_first(processor, method="GET", headers="x-mine", origin="https://OTHER.example")
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://OTHER.example"
    assert answer.headers["access-control-allow-methods"] == "GET"
    assert answer.headers["access-control-allow-headers"] == "X-Mine"
    assert answer.headers["access-control-max-age"] == "60"
    assert ask_first(processor, method="PUT").status == 400
    assert ask_first(processor, method="GET", headers="Content-Type").status == 400
    assert ask_first(processor, method="GET", origin="http://evil.example").status == 400
    answer = processor.ask("/text", Origin=SITE)
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-expose-headers"] == "X-A, X-B"


def test_page_that_may_not_ask_does_not_reach_the_handler(start: Start) -> None:
    processor = start("slow", triggers=web(allowOrigins=[SITE]))
    answer = processor.ask("/", Origin="http://evil.example")
    assert answer.status == 403 and b"a page of http://evil.example may not call this function" in answer.body
    assert not any(name.startswith("access-control") for name in answer.headers)
    assert processor.ask("/asked", Origin=SITE).body == b"0"
    assert "began /asked" in processor.wait_for_log("began") and "began /\n" not in processor.log


def test_without_cors_nothing_is_said(start: Start) -> None:
    processor = start("streams")
    own = f"http://127.0.0.1:{processor.port}"
    assert not any(name.startswith("access-control") for name in processor.ask("/text", Origin=own).headers)
    assert ask_first(processor, origin=own).body == b"text"


def fetch_metadata(site: str, mode: str = "cors", dest: str = "empty", user: str = "") -> dict[str, str]:
    said = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": mode, "Sec_Fetch_Dest": dest}
    return said | ({"Sec_Fetch_User": user} if user else {})


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", fetch_metadata("cross-site"), 403),
        ("GET", fetch_metadata("cross-site", "no-cors", "image"), 403),
        ("POST", fetch_metadata("same-site"), 403),
        ("POST", fetch_metadata("cross-site", "navigate", "document", "?1"), 403),
        ("GET", fetch_metadata("cross-site", "navigate", "iframe", "?1"), 403),
        ("GET", fetch_metadata("cross-site", "navigate", "document"), 403),
        ("GET", fetch_metadata("cross-site", "navigate", "document", "?1"), 200),
        ("GET", fetch_metadata("none", "navigate", "document", "?1"), 200),
        ("POST", fetch_metadata("same-origin") | {"Origin": "http://proxied.example"}, 200),
        ("POST", {"Origin": "http://evil.example"}, 403),
        ("POST", {"Origin": "null"}, 403),
        ("POST", {"Origin": "http://[evil"}, 403),
        ("POST", {"Origin": "https://plant.example", "X_Forwarded_Host": "plant.example"}, 200),
        ("POST", {"Origin": "https://plant.example", "X_Forwarded_Host": "plant.example:443"}, 200),
        ("POST", {}, 200),
    ],
)
def test_pages_of_other_sites_are_refused(closed: Processor, method: str, headers: dict[str, str], status: int) -> None:
    answer = closed.ask("/text", method=method, **headers)
    assert answer.status == status
    assert (b"may not call this function" in answer.body) == (status == 403)


def test_page_that_cors_admits_is_answered_whatever_its_site(open_to_all: Processor) -> None:
    for headers in (fetch_metadata("cross-site"), fetch_metadata("cross-site") | {"Origin": SITE}):
        assert open_to_all.ask("/text", method="POST", **headers).body == b"text"
