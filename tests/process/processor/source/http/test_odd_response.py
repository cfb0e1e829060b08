"""What HTTP cannot say is the failure of one request, with words, and of nothing else."""

import re
from collections.abc import Iterator

import pytest

from tests.process.processor.running import FUNCTIONS, Processor, run_processor

# One worker that has the port itself, two that borrow from a process that has it, and an async one.
KINDS = {"alone": (1, "handler"), "shared": (2, "handler"), "async": (1, "async_handler")}
REFUSED = {
    "/name-space": "should have a name of HTTP",
    "/name-empty": "should have a name of HTTP",
    "/name-umlaut": "should have a name of HTTP",
    "/value-lines": r"should have no '\r' in it",
    "/value-nul": r"should have no '\x00' in it",
    "/value-surrogate": "has half of a surrogate pair in it",
    "/value-huge": "should have at most 10240 bytes",
    "/many-headers": "should have at most 80 headers",
    "/headers-text": "the response's headers should be a dict, not 'text'; its text is body=…",
    "/headers-list": "should be a dict",
    "/type-surrogate": "content_type 'text/\\ud800' has half of a surrogate pair",
    "/type-lines": r"should have no '\r' in it",
    "/type-number": "content_type should be a text, not 7",
    "/body-surrogate": "surrogates not allowed",
    "/response-surrogate": "surrogates not allowed",
    "/body-shown": "no text",
    "/result-shown": "no text",
    "/status-99": "from 200 to 999, not 99",
    "/status-100": "from 200 to 999, not 100",
    "/status-101": "from 200 to 999, not 101",
    "/status-1000": "from 200 to 999, not 1000",
    "/status-text": "should be a whole number, not '200'",
    "/status-none": "should be a whole number, not None",
    "/status-shown": "no text",
    "/raise-surrogate": "half: ?",
    "/raise-textless": "no text that can be shown",
    "/raise-keyboard": "KeyboardInterrupt",
    "/raise-cancelled": "CancelledError",
    "/raise-response-odd": "the raised response cannot be sent: no text",
    "/raise-response-type": "has half of a surrogate pair",
    "/first-piece": "surrogates not allowed",
    "/first-head": "should have a name of HTTP",
    "/close-the-log": "unheard",
}


@pytest.fixture(scope="module", params=KINDS)
def odd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processor]:
    workers, handler = KINDS[request.param]
    spec = {"handler": f"main:{handler}", "triggers": {"web": {"kind": "http", "numWorkers": workers}}}
    with run_processor(tmp_path_factory.mktemp("odd"), spec, FUNCTIONS / "odd") as processor:
        yield processor.wait_until_ready()


@pytest.mark.parametrize("path", REFUSED)
def test_what_cannot_be_said_is_a_500_of_that_request(odd: Processor, path: str) -> None:
    workers = odd.workers()
    answer = odd.ask(path, x_nuclio_log_level="debug")
    assert answer.status == 500
    assert REFUSED[path] in answer.body.decode()
    assert odd.ask("/text").body == b"text"
    assert odd.workers() == workers


def test_what_can_be_said_is_said(odd: Processor) -> None:
    workers = odd.workers()
    answer = odd.ask("/kind")
    assert (answer.headers["x-kind"], answer.headers["content-type"], answer.body) == ("text/csv", "text/csv", b"x")
    assert odd.ask("/own-text").body == odd.ask("/own-bytes").body == b"own"
    assert odd.ask("/umlaut").headers["x-a"].encode("latin-1").decode() == "grüße ☃"
    logged = odd.ask("/log-odd", x_nuclio_log_level="debug")
    assert (logged.status, logged.body) == (200, b"logged")
    assert odd.ask("/text").body == b"text"
    assert odd.workers() == workers


def test_a_wrong_response_names_its_line(odd: Processor) -> None:
    body = odd.ask("/headers-text").body.decode()
    assert re.search(r'The response was made at\n  File ".*odd/main.py", line \d+\n.*context.Response\("text"\)', body)


def test_a_task_that_is_cancelled_ends_no_worker(odd: Processor) -> None:
    workers = odd.workers()
    assert odd.ask("/cancel").status in (200, 500)
    assert odd.ask("/text").body == b"text"
    assert odd.workers() == workers
