"""The gateway's doors: which names it answers to, and what clients that flood it or dawdle can do."""

import json
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stack.docker.stack import open_stack
from stack.errors import BrokerError
from stack.rabbitmq.management import find_broker
from stack.state.access import make_gateway_login
from stack.state.workspace import Workspace as RunWorkspace
from tests.docker.workspace import Broker, Workspace, fetch, wait_until

Author = Callable[..., Path]

# Waits for as many seconds as it is asked to; with /stream between the pieces of its answer.
SLOW = """
import time

def handler(context, event):
    return stream(float(event.body)) if event.path == "/stream" else wait(float(event.body))

def wait(seconds):
    time.sleep(seconds)
    return "late"

def stream(seconds):
    yield "early, "
    yield wait(seconds)
"""


def ask(port: int, path: str, host: str = "localhost", *, timeout: float = 20) -> tuple[int, str]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=timeout)) as connection:
        connection.request("GET", path, headers={"Host": host, "Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_names_of_other_sites_are_refused(workspace: Workspace) -> None:
    ports = workspace.settings.ports
    for port, path, status in (
        (ports.gateway, "/-/version", 200),
        (ports.management, "/", 200),
        (ports.metrics, "/metrics", 200),
    ):
        for host in ("localhost", f"127.0.0.1:{port}", f"[::1]:{port}", socket.gethostname()):
            assert ask(port, path, host)[0] == status, host
        for host in ("evil.example", f"127.0.0.1.evil.example:{port}"):
            refused, text = ask(port, path, host)
            assert (refused, "dashboard.hosts" in text) == (421, True)
    # The broker itself has no port of this machine but those of devices.
    published = workspace.inspect("rabbitmq-mqtt")["NetworkSettings"]["Ports"]
    assert {port for port, bindings in published.items() if bindings} == {"5672/tcp", "1883/tcp"}


def test_name_in_stack_yaml_is_answered(workspace: Workspace, configured: Callable[..., None]) -> None:
    port = workspace.settings.ports.gateway
    assert ask(port, "/-/version", "plant.example")[0] == 421
    configured(dashboard={"hosts": ["plant.example"]})
    # The process that has the older configuration may let some in still.
    wait_until(lambda: ask(port, "/-/version", "plant.example")[0] == 200, what="an answer by that name")


@pytest.mark.slow
def test_broker_that_is_down_is_told_and_one_that_comes_is_waited_for(workspace: Workspace, broker: Broker) -> None:
    found = find_broker(open_stack(RunWorkspace(workspace.root)))
    broker.stop()
    with pytest.raises(BrokerError, match=r"RabbitMQ does not answer at .* Type `invoke up`"):
        found.queues()
    status, text = fetch(f"{broker.management_url}/api/overview", user="guest", password="guest")
    assert (status, "invoke up" in text) == (503, True)
    broker.start()
    found.queues()


@pytest.fixture
def configured(workspace: Workspace) -> Iterator[Callable[..., None]]:
    """Have the gateway go by other keys of stack.yaml for one test."""
    before = (workspace.root / "stack.yaml").read_text()

    def configure(**settings: object) -> None:
        workspace.configure(**settings)
        workspace.invoke("render")

    yield configure
    (workspace.root / "stack.yaml").write_text(before)
    workspace.invoke("render")


def connect(stack: ExitStack, port: int, number: int) -> None:
    """Open connections that say nothing, until the stack closes them."""
    for _ in range(number):
        stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))


def test_address_has_so_many_connections(workspace: Workspace, configured: Callable[..., None]) -> None:
    port = workspace.settings.ports.gateway
    configured(gateway={"connections": 64, "connections_per_address": 8})
    with ExitStack() as stack:
        connect(stack, port, 8)

        def is_refused() -> bool:
            # The process that has the older configuration may have let some in, which this one does not count.
            refused = ask(port, "/-/version")[0] == 429
            connect(stack, port, int(not refused))
            return refused

        wait_until(is_refused, what="the refusal")
        assert "connections_per_address" in json.loads(ask(port, "/-/version")[1])["error"]
        # Others than functions' are not concerned.
        assert ask(workspace.settings.ports.management, "/")[0] == 200
    wait_until(lambda: ask(port, "/-/version")[0] == 200, what="an answer once they are closed")


def test_flood_of_clients_leaves_room_for_control(workspace: Workspace, configured: Callable[..., None]) -> None:
    port = workspace.settings.ports.gateway
    configured(gateway={"connections": 64, "connections_per_address": 10_000})
    code = "from stack.docker.gateway import fetch_traffic; fetch_traffic(); print('known')"

    def is_full() -> bool:
        # Some may still be let in by the process that has the older configuration.
        connect(stack, port, 70)
        try:
            return ask(port, "/-/version", timeout=1)[0] == 0
        except TimeoutError:
            return True

    with ExitStack() as stack:
        wait_until(is_full, what="no room for another client")
        assert workspace.execute("dashboard", "python3", "-c", code).stdout.strip() == "known"
        assert ask(workspace.settings.ports.management, "/")[0] == 200


def hurry(workspace: Workspace) -> None:
    """Have the gateway wait for clients two seconds at most, until it reads its own configuration."""
    path = workspace.rendered / "gateway" / "haproxy.cfg"
    text = path.read_text()
    for line in ("timeout client 60s", "timeout http-request 30s", "wait-for-body time 30s"):
        assert line in text
        text = text.replace(line, f"{line.rpartition(' ')[0]} 2s")
    path.write_text(text.replace('text/plain string "', 'text/plain string "hasty-', 1))
    workspace.docker("kill", "--signal", "USR2", workspace.containers("gateway")[0])
    port = workspace.settings.ports.gateway
    wait_until(lambda: ask(port, "/-/version")[1].startswith("hasty-"), what="the hasty gateway")


def dawdle(port: int, head: bytes, piece: bytes) -> bytes:
    """Send a piece every quarter of a second; return what comes back at last."""
    with socket.create_connection(("127.0.0.1", port), timeout=0.25) as client:
        client.sendall(head)
        for _ in range(80):
            try:
                return client.recv(4096)
            except TimeoutError:
                client.sendall(piece)
    return b""


@pytest.mark.slow
def test_client_that_dawdles_is_hung_up_on_and_one_that_waits_is_not(workspace: Workspace, author: Author) -> None:
    port = workspace.settings.ports.gateway
    author("gw-slow", SLOW)
    workspace.invoke("deploy-function", "gw-slow")
    hurry(workspace)
    try:
        head = b"POST /gw-slow HTTP/1.1\r\nHost: localhost\r\n"
        for begin, piece in (
            (head + b"X-Slow: ", b"a"),
            (head + b"Content-Length: 1000\r\n\r\n", b"a"),
            (head + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        ):
            began = time.monotonic()
            assert dawdle(port, begin, piece).startswith(b"HTTP/1.1 408")
            assert time.monotonic() - began < 15
        for path, answer in (("/", "late"), ("/stream", "early, late")):
            assert fetch(f"{workspace.url('gw-slow')}{path}", b"5", timeout=30) == (200, answer)
    finally:
        workspace.invoke("render")


SHOW = """
import json

def handler(context, event):
    return json.dumps(event.headers)
"""
OPEN = "spec: {triggers: {web: {kind: http, attributes: {authentication: none}}}}\n"


def send(url: str, **headers: str) -> tuple[int, dict[str, str]]:
    address = urlsplit(url)
    with closing(HTTPConnection(address.netloc, timeout=20)) as connection:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", address.path, headers=given)
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, json.loads(body) if body.startswith(b"{") else {}


def test_login_is_asked_for_and_kept_from_functions(
    workspace: Workspace, author: Author, configured: Callable[..., None]
) -> None:
    author("gw-guarded", SHOW)
    author("gw-open", SHOW, OPEN)
    for name in ("gw-guarded", "gw-open"):
        workspace.invoke("deploy-function", name)
    url, metrics = workspace.url("gw-guarded"), f"http://127.0.0.1:{workspace.settings.ports.metrics}/metrics"
    assert (send(url)[0], fetch(metrics)[0]) == (200, 200)
    login = make_gateway_login(RunWorkspace(workspace.root))
    configured(gateway={"login": "any"})
    wait_until(lambda: send(url)[0] == 401, what="the gateway that asks for a login")
    basic = "Basic " + b64encode(f"caller:{login.password}".encode()).decode()
    for proof in (basic, f"bearer {login.token}"):
        status, headers = send(url, Authorization=proof)
        # Nor may a function see by what one gets in elsewhere.
        assert (status, {"Authorization", "X-Tidegate-Gateway"} & headers.keys()) == (200, set())
        assert send(metrics, Authorization=proof)[0] == 200
    wrong = "Basic " + b64encode(b"caller:wrong").decode()
    for proof in (wrong, "Bearer wrong", f"Bearer {login.password}", f"Basic {login.token}", ""):
        assert send(url, Authorization=proof)[0] == send(metrics, Authorization=proof)[0] == 401
    assert send(url, X_Tidegate_Gateway="wrong")[0] == 401
    # What is its own business, a function that asks for nothing sees.
    status, headers = send(workspace.url("gw-open"), Authorization="Mine")
    assert (status, headers["Authorization"]) == (200, "Mine")
    # Nor the session of the dashboard, which a browser sends to every port of a machine.
    session = f"{workspace.project}-session=secret"
    status, headers = send(workspace.url("gw-open"), Cookie=f"{session}; a=1; my-{session}; {session}")
    assert (status, headers["Cookie"].split()) == (200, ["a=1;", f"my-{session};"])
    # Tidegate's own programs need no login.
    shown = json.loads(workspace.invoke("invoke-function", "gw-guarded", "--header", "Authorization: Mine").stdout)
    assert (shown["Authorization"], "X-Tidegate-Gateway" in shown) == ("Mine", False)
    api = f"http://127.0.0.1:{workspace.settings.ports.dashboard}/api/function_invocations"
    assert send(api, X_Nuclio_Function_Name="gw-guarded")[0] == 200
    # A new login ends the old one.
    make_gateway_login(RunWorkspace(workspace.root))
    workspace.invoke("render")
    wait_until(lambda: send(url, Authorization=basic)[0] == 401, what="the end of the old login")
