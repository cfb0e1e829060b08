"""What is asked of RabbitMQ's management API, and which queues go with a function."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stack.config.environment import Secret
from stack.docker.stack import open_stack
from stack.errors import BrokerError
from stack.plan.broker import GUEST_CREDENTIALS, SERVICE, Credentials
from stack.rabbitmq.management import Broker, Depth, RefusedError, _belongs, find_broker
from stack.state.http_client import basic_authorization
from stack.state.workspace import PLACE_VARIABLE, STACK, Workspace


@pytest.mark.parametrize(
    ("queue", "messages", "belongs"),
    [
        ("q", 5, True),
        ("q.retry.1000ms", 1, True),
        ("q.dead", 0, True),
        ("q.dead", 1, False),
        ("q2", 0, False),
        ("q2.retry.1000ms", 0, False),
        ("x.q", 0, False),
    ],
)
def test_queues_of_retries_go_and_dead_letters_stay(queue: str, messages: int, belongs: bool) -> None:
    assert _belongs(queue, messages, names=["q"]) is belongs


def test_containers_of_the_stack_find_the_broker_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stack.yaml").write_text("bind: 0.0.0.0\nports: {amqp: 7001}\n")
    stack = open_stack(Workspace(tmp_path))
    broker = find_broker(stack)
    assert (broker.host, broker.amqp_port) == ("127.0.0.1", 7001)
    monkeypatch.setenv(PLACE_VARIABLE, STACK)
    broker = find_broker(stack)
    assert (broker.host, broker.amqp_port) == (SERVICE, 5672)


def test_queues_are_asked_for_until_all_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"q{number}" for number in range(1201)]

    def answer(_: Broker, method: str, path: str) -> dict[str, object]:
        page = int(path.split("page=")[1].split("&")[0])
        items = [{"name": name, "messages": 1} for name in names[(page - 1) * 500 : page * 500]]
        return {"items": items, "page_count": 3, "page": page}

    monkeypatch.setattr(Broker, "request", answer)
    depths = Broker("here", 1, 1, 1, GUEST_CREDENTIALS).depths()
    assert list(depths) == names
    assert depths["q1200"] == Depth(1, 0.0)


class Api(BaseHTTPRequestHandler):
    """Answers with the status that the last part of the path names, and with what it was sent."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        status = int(self.path.rpartition("/")[2])
        self.send_response(status)
        self.end_headers()
        if status == 200:
            told = {"path": self.path, "login": self.headers["Authorization"], "body": body}
            self.wfile.write(json.dumps(told).encode())

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 -- the base class looks for these names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield Broker("127.0.0.1", 1, 1, server.server_port, Credentials("jörg", Secret("wörd")))
        server.shutdown()
        thread.join()


def test_all_is_sent_as_it_is(broker: Broker) -> None:
    told = broker.request("POST", "/api/queues/%2F/a%20b/200", {"a": "ü"})
    assert (told["path"], told["login"]) == ("/api/queues/%2F/a%20b/200", basic_authorization("jörg", "wörd"))
    assert json.loads(told["body"]) == {"a": "ü"}
    assert broker.request("GET", "/204") is None


def test_to_delete_what_is_not_there_is_no_error(broker: Broker) -> None:
    assert broker.request("DELETE", "/404") is None
    with pytest.raises(RefusedError, match=r"RabbitMQ refused GET /404: 404 Not Found\.$"):
        broker.request("GET", "/404")


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "refused GET /401: 401 Unauthorized. It may not know Tidegate's own account yet. Type `invoke up`"),
        (503, "RabbitMQ does not answer at .*. Type `invoke up`"),
    ],
)
def test_what_does_not_work_is_said(broker: Broker, status: int, message: str) -> None:
    with pytest.raises(BrokerError, match=message):
        broker.request("GET", f"/{status}")


def test_a_broker_that_is_down_is_told() -> None:
    with pytest.raises(BrokerError, match=r"does not answer at http://127\.0\.0\.1:1: Connection refused\. Type"):
        Broker("127.0.0.1", 1, 1, 1, GUEST_CREDENTIALS).queues()


def test_what_is_cut_off_is_asked_again() -> None:
    """As by a gateway that starts again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in (b"", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        broker = Broker("127.0.0.1", 1, 1, listener.getsockname()[1], GUEST_CREDENTIALS)
        assert broker.request("GET", "/api/nodes") == []


def test_a_broker_that_hangs_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stack.rabbitmq.management._TIMEOUT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        broker = Broker("127.0.0.1", 1, 1, listener.getsockname()[1], GUEST_CREDENTIALS)
        with pytest.raises(BrokerError, match="does not answer"):
            broker.request("GET", "/api/nodes")
        listener.setblocking(False)
        listener.accept()[0].close()
        with pytest.raises(BlockingIOError):
            listener.accept()
