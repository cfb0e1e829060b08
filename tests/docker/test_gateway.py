"""The gateway: one address for every HTTP function, where no request fails, whatever becomes of the containers."""

import http.client
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pika
import pytest

from stack.docker.container import Container
from stack.docker.gateway import fetch_traffic, find_endpoints, find_host, open_handover
from stack.docker.stack import Stack, open_stack
from stack.state.workspace import Workspace as RunWorkspace
from tests.docker.workspace import Workspace, authoring, fetch, wait_until
from tests.process.processor.test_supervisor import is_running

Author = Callable[..., Path]

# Says its version, and which container it is.
ECHO = (
    "import socket\n\ndef handler(context, event):\n    return f'{VERSION} {socket.gethostname()} {len(event.body)}'\n"
)
DESCRIBE = """
import json

def handler(context, event):
    return json.dumps({"path": event.path, "method": event.method, "headers": event.headers})
"""


class Load:
    """Clients that stay connected and ask without a pause, half of them with a body; keeps each answer there was."""

    def __init__(self, url: str, clients: int = 6) -> None:
        self._url = urlsplit(url)
        self._done = threading.Event()
        self.answers: Counter[str] = Counter()
        # When each answer came last.
        self.times: dict[str, float] = {}
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        connection = http.client.HTTPConnection(self._url.netloc, timeout=60)
        method, body = ("POST", b"x" * 1000) if number % 2 else ("GET", None)
        while not self._done.is_set():
            try:
                connection.request(method, f"{self._url.path}/a/path", body)
                answer = connection.getresponse()
                text = answer.read().decode()
                if answer.status == 200:
                    self.answers[text] += 1
                    self.times[text] = time.time()
                else:
                    self.failures.append(f"{method}: {answer.status} {text}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{method}: {error!r}")
                connection.close()
            time.sleep(0.002)
        connection.close()


@contextmanager
def loading(url: str) -> Iterator[Load]:
    """Ask while the block runs, and find that nothing failed."""
    load = Load(url)
    try:
        wait_until(lambda: sum(load.answers.values()) > 20, seconds=60, what="answers")
        yield load
    finally:
        load.end()
    assert load.failures == []


def write(author: Author, name: str, version: str, config: str = "{}\n") -> Path:
    return author(name, f"VERSION = {version!r}\n{ECHO}", config)


@pytest.fixture(scope="module")
def lasting(workspace: Workspace) -> Iterator[None]:
    """Deploy gw-lasts, whose first version stays whatever is done to it."""
    with authoring(workspace) as author:
        write(author, "gw-lasts", "one")
        workspace.invoke("deploy-function", "gw-lasts")
        yield


def started_at(workspace: Workspace, service: str) -> float:
    """Return when the one container of a service was started."""
    (container,) = workspace.containers(service)
    return read_time(workspace, container, "State.StartedAt")


def read_time(workspace: Workspace, container: str, field: str) -> float:
    """Return one of the times that Docker tells of a container."""
    return datetime.fromisoformat(
        workspace.docker("inspect", "--format", f"{{{{.{field}}}}}", container).stdout.strip()
    ).timestamp()


def read_last_look(workspace: Workspace) -> float:
    """Return when the scaler last looked at the load."""
    scaler = workspace.containers("scaler")[0]
    return float(workspace.docker("exec", scaler, "stat", "--format", "%Y", "/tmp/alive").stdout)


def containers_of(load: Load) -> set[str]:
    """Return which containers answer from now on."""
    load.answers.clear()
    wait_until(lambda: sum(load.answers.values()) > 60, seconds=60, what="answers")
    return {answer.split()[1] for answer in list(load.answers)}


def test_request_reaches_the_function_as_it_was_sent(workspace: Workspace, author: Author) -> None:
    author("gw-describes", DESCRIBE)
    workspace.invoke("deploy-function", "gw-describes")
    url = workspace.functions()["gw-describes"]["url"]
    assert url == f"http://127.0.0.1:{workspace.settings.ports.gateway}/gw-describes"
    for path, seen in (("", "/"), ("/", "/"), ("/a/b%20c?d=e", "/a/b c"), ("?x=1", "/")):
        assert json.loads(fetch(url + path)[1])["path"] == seen
    shown = workspace.invoke(
        "invoke-function", "gw-describes", "--path", "/x y", "--header", "x-nuclio-log-level: info"
    )
    document = json.loads(shown.stdout)
    assert document["path"] == "/x y"
    headers = document["headers"]
    assert headers["X-Nuclio-Log-Level"] == "info"
    assert headers["X-Forwarded-Prefix"] == "/gw-describes"
    assert headers["Host"] == urlsplit(url).netloc
    assert headers["X-Forwarded-For"]
    # What a proxy for TLS before the gateway says.
    shown = workspace.invoke("invoke-function", "gw-describes", "--header", "X-Forwarded-Proto: https")
    assert json.loads(shown.stdout)["headers"]["X-Forwarded-Proto"] == "https"


def test_who_does_not_answer_is_said_to_be_what_it_is(workspace: Workspace, author: Author) -> None:
    gateway = f"http://127.0.0.1:{workspace.settings.ports.gateway}"
    status, text = fetch(f"{gateway}/no-such-function/x")
    assert status == 404
    assert "no-such-function" in json.loads(text)["error"]
    assert "invoke functions" in json.loads(text)["error"]
    status, text = fetch(f"{gateway}/")
    assert (status, json.loads(text)["error"].partition(";")[0]) == (404, "Functions answer at /NAME/ here")
    write(author, "gw-waits", "one")
    workspace.invoke("render")
    status, text = fetch(f"{gateway}/gw-waits")
    assert status == 503
    assert "invoke deploy-function gw-waits" in json.loads(text)["error"]


def test_redeploy_under_load_fails_no_request(workspace: Workspace, author: Author) -> None:
    write(author, "gw-renewed", "one")
    workspace.invoke("deploy-function", "gw-renewed")
    with loading(workspace.url("gw-renewed")) as load:
        for version in ("two", "three"):
            write(author, "gw-renewed", version)
            workspace.invoke("deploy-function", "gw-renewed")
        write(author, "gw-other", "other")
        workspace.invoke("deploy-function", "gw-other")
    assert {answer.split()[0] for answer in load.answers} == {"one", "two", "three"}


@pytest.mark.slow
def test_older_version_answers_no_one_who_was_told_that_the_new_one_is_ready(
    workspace: Workspace, author: Author
) -> None:
    write(author, "gw-ready", "0")
    workspace.invoke("deploy-function", "gw-ready")
    for version in "123":
        write(author, "gw-ready", version)
        with workspace.start("deploy-function", "gw-ready") as process:
            assert process.stdout
            next(line for line in process.stdout if "gw-ready: ready" in line)
            answers = [fetch(workspace.url("gw-ready"))[1].split()[0] for _ in range(40)]
            process.stdout.read()
        assert process.returncode == 0
        assert set(answers) == {version}


# Does not let go of Python's lock for as many seconds as it is asked to.
BUSY = """
import ctypes

def handler(context, event):
    if event.body:
        ctypes.PyDLL(None).sleep(int(event.body))
    return VERSION
"""


@pytest.mark.slow
def test_older_version_that_keeps_the_lock_is_sent_nothing_new(workspace: Workspace, author: Author) -> None:
    author("gw-busy", f"VERSION = 'one'\n{BUSY}")
    workspace.invoke("deploy-function", "gw-busy")
    author("gw-busy", f"VERSION = 'two'\n{BUSY}")
    url = workspace.url("gw-busy")
    with ThreadPoolExecutor(20) as pool, workspace.start("deploy-function", "gw-busy") as process:
        assert process.stdout
        next(line for line in process.stdout if "gw-busy: starting" in line)
        in_hand = pool.submit(fetch, url, b"9", timeout=60)
        next(line for line in process.stdout if "gw-busy: ready" in line)
        # So many that they are more than the older one has.
        assert set(pool.map(fetch, [url] * 60)) == {(200, "two")}
        assert not in_hand.done()
        assert in_hand.result(timeout=60) == (200, "one")
        process.stdout.read()
    assert process.returncode == 0


def test_deploy_waits_for_what_the_gateway_says_and_else_for_the_end(workspace: Workspace, author: Author) -> None:
    write(author, "gw-bye", "one")
    workspace.invoke("deploy-function", "gw-bye")
    stack = open_stack(RunWorkspace(workspace.root))
    containers = {one.service: one for one in stack.engine.listed()}
    (service,) = [one for one in stack.inputs.services if one.plan.name == "gw-bye"]
    replaced, stopping = [containers["function-gw-bye"]], Future[None]()
    handover = open_handover(stack.engine, [service], gateway=containers["gateway"])
    (endpoint,) = find_endpoints(replaced)
    assert find_addresses(stack, containers["gateway"], "gw-bye") == {endpoint.address}
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(handover.wait_until_gone, [endpoint], stopping)
        time.sleep(0.5)
        assert not waiting.done()
        # It is still there when the gateway has no request for it any more.
        workspace.docker("kill", "--signal", "TERM", replaced[0].id)
        waiting.result(timeout=60)
        assert endpoint.address not in find_addresses(stack, containers["gateway"], "gw-bye")
    began = time.monotonic()
    open_handover(stack.engine, [service], gateway=None).wait_until_gone([endpoint], stopping)
    assert time.monotonic() - began >= 1


def find_addresses(stack: Stack, gateway: Container, name: str) -> frozenset[str]:
    """Return the addresses of a function's containers that the gateway sends requests to."""
    return fetch_traffic(find_host(stack.engine, gateway))[name].addresses


def test_broken_version_gets_no_request(workspace: Workspace, lasting: None) -> None:
    broken = "import time\n\ndef init_context(context):\n    time.sleep(1)\n    raise RuntimeError('no sensor')\n"
    with loading(workspace.url("gw-lasts")) as load:
        code = f"VERSION = 'two'\n{broken}{ECHO}"
        workspace.write_function("gw-lasts", code, "spec: {readinessTimeoutSeconds: 3}\n")
        assert workspace.invoke("deploy-function", "gw-lasts", check=False).returncode == 1
    assert {answer.split()[0] for answer in load.answers} == {"one"}


# Ends its container if it is given the wrong word.
RENEWED = """
import os, signal, time

if os.environ["WORD"] == "wrong":
    os.kill(1, signal.SIGTERM)
    time.sleep(60)

def handler(context, event):
    return os.environ["WORD"]
"""
WORD = "spec: {env: [{name: WORD, valueFrom: {secretKeyRef: {name: gw-secret, key: word}}}]}\n"


@pytest.mark.slow
def test_changed_secret_fails_no_request(workspace: Workspace, author: Author) -> None:
    def keep(word: str) -> None:
        workspace.invoke("secret", "set", "gw-secret", "word", "--value", word)

    try:
        keep("one")
        author("gw-renewed-up", RENEWED, WORD)
        workspace.invoke("deploy-function", "gw-renewed-up")
        with loading(workspace.url("gw-renewed-up")) as load:
            keep("two")
            workspace.invoke("up")
            assert load.times["one"] > started_at(workspace, "function-gw-renewed-up")
            keep("wrong")
            refused = workspace.invoke("up", check=False)
            assert (refused.returncode, "function-gw-renewed-up ended" in refused.stderr) == (1, True)
            assert len(workspace.containers("function-gw-renewed-up")) == 1
        assert set(load.answers) == {"one", "two"}
    finally:
        workspace.invoke("secret", "remove", "gw-secret", "--force")


def test_request_waits_for_a_container_that_starts_again(workspace: Workspace, lasting: None) -> None:
    (container,) = workspace.containers("function-gw-lasts")
    with loading(workspace.url("gw-lasts")):
        workspace.docker("restart", container)


def test_requests_wait_for_a_container_whose_process_died(workspace: Workspace, lasting: None) -> None:
    url = workspace.url("gw-lasts")
    assert fetch(url)[0] == 200
    killed = workspace.inspect("function-gw-lasts")["State"]["Pid"]
    os.kill(killed, signal.SIGKILL)
    # What it had in progress, or was sent while it died, is lost. It ends after all other processes of its container.
    wait_until(lambda: not is_running(killed), what="its end")
    time.sleep(0.1)
    with ThreadPoolExecutor(4) as pool:
        statuses = Counter(status for status, _ in pool.map(fetch, [url] * 40))
    assert statuses == {200: 40}


def test_gateway_that_is_killed_is_back(workspace: Workspace, lasting: None) -> None:
    os.kill(workspace.inspect("gateway")["State"]["Pid"], signal.SIGKILL)
    url = workspace.url("gw-lasts")

    def answers() -> bool:
        try:
            return fetch(url)[0] == 200
        except OSError:
            return False

    wait_until(answers, seconds=60, what="an answer")


@pytest.mark.slow
def test_more_and_fewer_containers_fail_no_request_and_are_kept(workspace: Workspace, author: Author) -> None:
    write(author, "gw-scales", "one")
    workspace.invoke("deploy-function", "gw-scales")
    with loading(workspace.url("gw-scales")) as load:
        workspace.invoke("scale-function", "gw-scales", "3")
        wait_until(lambda: len(containers_of(load)) == 3, seconds=60, what="answers of three containers")
        workspace.invoke("scale-function", "gw-scales", "1")
        assert len(containers_of(load)) == 1
    assert len(workspace.containers("function-gw-scales")) == 1
    workspace.invoke("scale-function", "gw-scales", "2")
    before = workspace.containers()
    assert "nothing was changed" in workspace.invoke("up").stderr
    assert workspace.containers() == before
    write(author, "gw-scales", "two")
    workspace.invoke("deploy-function", "gw-scales")
    assert workspace.functions()["gw-scales"]["replicas"] == 2
    assert fetch(workspace.url("gw-scales"))[1].startswith("two ")
    workspace.invoke("scale-function", "gw-scales", "0")
    assert workspace.containers("function-gw-scales") == []
    assert "nothing was changed" in workspace.invoke("up").stderr
    status, text = fetch(workspace.url("gw-scales"))
    assert (status, "scale-function gw-scales 1" in text) == (503, True)


def test_scaling_keeps_to_what_is_allowed(workspace: Workspace, author: Author) -> None:
    write(author, "gw-bound", "one", "spec: {minReplicas: 1, maxReplicas: 2}\n")
    workspace.invoke("deploy-function", "gw-bound")
    for number in ("0", "3"):
        refused = workspace.invoke("scale-function", "gw-bound", number, check=False)
        assert refused.returncode == 1
        assert "gw-bound may have 1 to 2 containers" in refused.stderr


# Tells when it handled which message, of which each says when it was sent.
KEEPER = """
import time

def handler(context, event):
    with open("/data/handled", "a") as file:
        file.write(f"{event.body.decode()} {time.time()} {VERSION}\\n")
"""
KEPT = """
spec:
  triggers: {{messages: {{kind: rabbit-mq, attributes: {{queueName: gw-messages}}}}}}
  volumes:
    - {{volume: {{name: data, hostPath: {{path: "{folder}"}}}}, volumeMount: {{name: data, mountPath: /data}}}}
"""


@contextmanager
def sending(url: str, queue: str) -> Iterator[list[float]]:
    """Send a message fifty times a second while the block runs; give when each was sent."""
    sent: list[float] = []
    done = threading.Event()

    def send() -> None:
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            channel = connection.channel()
            while not done.wait(0.02):
                sent.append(time.time())
                channel.basic_publish("", queue, str(sent[-1]).encode())

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield sent
    finally:
        done.set()
        thread.join()


def read_waits(path: Path) -> tuple[dict[float, float], set[str]]:
    """Return how long each message waited, by when it was sent, and which versions handled them."""
    lines = [line.split() for line in path.read_text().splitlines()]
    # A message that comes twice waited until it came first.
    return {float(sent): float(handled) - float(sent) for sent, handled, _ in reversed(lines)}, {v for *_, v in lines}


@pytest.mark.slow
def test_message_waits_no_more_than_a_second_for_a_redeploy(
    workspace: Workspace, author: Author, tmp_path: Path
) -> None:
    """Beyond what it waits for another function's deploy, which makes the machine as busy."""
    tmp_path.chmod(0o777)
    workspace.allow(tmp_path)
    config = KEPT.format(folder=tmp_path)
    author("gw-messages", f"VERSION = 'one'\n{KEEPER}", config)
    workspace.invoke("deploy-function", "gw-messages")
    with sending(workspace.amqp_url, "gw-messages") as sent:
        write(author, "gw-neighbour", "one")
        workspace.invoke("deploy-function", "gw-neighbour")
        began = time.time()
        author("gw-messages", f"VERSION = 'two'\n{KEEPER}", config)
        workspace.invoke("deploy-function", "gw-messages")
    handled = tmp_path / "handled"
    wait_until(lambda: read_waits(handled)[0].keys() == set(sent), seconds=60, what="every message")
    waits, versions = read_waits(handled)
    usual = max(wait for time_, wait in waits.items() if time_ < began)
    assert max(waits.values()) < 1 + usual
    assert versions == {"one", "two"}


SLEEPER = """
import time

def handler(context, event):
    time.sleep(0.05)
    return "done"
"""
# To zero and back, with a cool-down that a test can wait for.
SCALED = """
metadata: {annotations: {tidegate.io/cool-down: "5", tidegate.io/queue-length: "10"}}
spec:
  minReplicas: 0
  maxReplicas: 3
  triggers:
    messages: {kind: rabbit-mq, attributes: {queueName: gw-scaled}}
"""


def count_messages(channel: Any, queue: str) -> int:
    return int(channel.queue_declare(queue, passive=True).method.message_count)


@pytest.mark.slow
def test_scaler_wakes_and_puts_to_sleep(workspace: Workspace, author: Author) -> None:
    def count() -> int:
        return len(workspace.containers("function-gw-scaled"))

    author("gw-scaled", SLEEPER, SCALED)
    workspace.invoke("deploy-function", "gw-scaled")
    wait_until(lambda: count() == 0, seconds=90, what="no container without work")
    assert workspace.functions()["gw-scaled"]["state"] == "scaledToZero"
    assert "nothing was changed" in workspace.invoke("up").stderr
    url, began = workspace.url("gw-scaled"), time.time()
    assert fetch(url, timeout=60) == (200, "done")
    # As long as the machine takes for a start, however busy it is.
    woken = time.time() - began
    wait_until(lambda: count() == 0, seconds=90, what="no container again")
    killed = workspace.inspect("scaler")["State"]["Pid"]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: workspace.inspect("scaler")["State"]["Pid"] not in (0, killed), seconds=60, what="the scaler")
    restarted = time.time()
    wait_until(lambda: read_last_look(workspace) > restarted, seconds=60, what="the scaler looks")
    with pika.BlockingConnection(pika.URLParameters(workspace.amqp_url)) as connection:
        channel = connection.channel()
        began = time.time()
        for _ in range(400):
            channel.basic_publish("", "gw-scaled", b"a word")
        wait_until(lambda: count() == 3, seconds=60, what="three containers for the backlog")
        created = [read_time(workspace, one, "Created") for one in workspace.containers("function-gw-scaled")]
        # Five seconds on a machine that does nothing else.
        assert max(created) - began < 10 + woken
        wait_until(lambda: not count_messages(channel, "gw-scaled"), seconds=90, what="the backlog is handled")
        wait_until(lambda: count() == 0, seconds=90, what="no container after all")
        assert count_messages(channel, "gw-scaled") == 0
