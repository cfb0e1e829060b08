"""Requests to a server of this machine, also by way of it as a proxy."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stack.state.http_client import StatusError, basic_authorization, explain, fetch, open_local_pool, open_pool


class Answers(BaseHTTPRequestHandler):
    """Answers with what it was asked for and by whom, as a proxy gets it; one path leads to itself."""

    def do_GET(self) -> None:
        is_endless = self.path.endswith("/endless")
        self.send_response(302 if is_endless else 200)
        if is_endless:
            self.send_header("Location", "/endless")
        self.end_headers()
        self.wfile.write(f"{self.path} {self.headers.get('Proxy-Authorization')}".encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_proxy_of_the_environment_is_asked(place: str, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"{scheme}ann:w%40rd@{place}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with fetch("http://far.invalid/a", timeout=60) as answer:
        assert answer.read().decode() == f"http://far.invalid/a {basic_authorization('ann', 'w@rd')}"
    with fetch(f"http://{place}/b", timeout=60) as answer:
        assert answer.read() == b"/b None"


def test_no_proxy_is_asked_for_what_is_on_this_machine(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with open_local_pool() as pool:
        assert pool.request("GET", f"http://{place}/a", timeout=60).data == b"/a None"


def test_redirects_end(place: str) -> None:
    with pytest.raises(StatusError, match="too many redirects"), fetch(f"http://{place}/endless", timeout=60):
        pass


def test_failure_is_told_in_a_few_words() -> None:
    with open_pool("http://127.0.0.1:1") as pool, pytest.raises(Exception, match="refused") as caught:
        pool.request("GET", "http://127.0.0.1:1/", timeout=60)
    assert explain(caught.value) == "Connection refused"
