"""The dashboard's live stream on the real stack: what is told of functions, queues, clients and messages."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from pika import BlockingConnection, URLParameters
from pika.exceptions import ProbableAuthenticationError

from stack.rabbitmq.observer import PREFIX
from tests.docker.workspace import Broker, Workspace, fetch, wait_until

FUNCTION = "amqpconsume"
# Seconds until something has to be told; the machine may be busy.
_PATIENCE = 60
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="module")
def dashboard(workspace: Workspace) -> str:
    """The address of the dashboard, which answers."""
    address = f"http://127.0.0.1:{workspace.settings.ports.dashboard}"
    wait_for(address)
    return address


def wait_for(dashboard: str) -> None:
    def answers() -> bool:
        try:
            return fetch(f"{dashboard}/healthz")[0] == 200
        except OSError:
            return False

    wait_until(answers, seconds=_PATIENCE, what="the dashboard's health")


class Stream:
    """The events of a page, the latest value of each topic at hand."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self._topic = ""
        self.values: dict[str, Any] = {}
        self.entries: list[dict[str, Any]] = []

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Read on until something is told; return it."""
        deadline = time.monotonic() + _PATIENCE
        while not (found := condition()):
            assert time.monotonic() < deadline, f"{what} is not told; what is: {json.dumps(self.values)}"
            self._read()
        return found

    def read_to_end(self) -> None:
        while self._read():
            continue

    def _read(self) -> bool:
        line = self._answer.readline().decode().rstrip("\r\n")
        if line.startswith("event: "):
            self._topic = line.removeprefix("event: ")
        elif line.startswith("data: "):
            value = self.values[self._topic] = json.loads(line.removeprefix("data: "))
            if isinstance(value, dict):
                self.entries += [{"in": self._topic, **one} for one in value.get("entries", ())]
        return bool(line) or not self._answer.isclosed()


@contextmanager
def watch(dashboard: str, *topics: str) -> Iterator[Stream]:
    names = ",".join(quote(topic, safe="") for topic in topics)
    with _OPENER.open(f"{dashboard}/live?topics={names}", timeout=_PATIENCE) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        yield Stream(answer)


def post(dashboard: str, path: str, **form: object) -> str:
    """Send a form as a program does, and return the part of the page that comes back."""
    status, text = fetch(f"{dashboard}{path}", urlencode(form).encode(), timeout=30)
    assert status == 200, text
    return text


def is_observed(broker: Broker, exchange: str) -> bool:
    """Return whether the dashboard sees all that goes through an exchange, of which no topic tells."""
    url = f"{broker.management_url}/api/exchanges/%2F/{quote(exchange, safe='')}/bindings/source"
    found = json.loads(fetch(url, user="guest", password="guest")[1])
    return any(one["routing_key"] == "#" and one["destination"].startswith(PREFIX) for one in found)


def test_messages_are_seen_on_their_way_by_all(
    workspace: Workspace, broker: Broker, deployed: Callable[..., None], dashboard: str
) -> None:
    deployed(FUNCTION)
    topics = ("stack", "functions", "broker", "devices", f"logs:{FUNCTION}", "traffic:queue:iot/sensors")
    with watch(dashboard, *topics) as stream:
        values = stream.values
        service = f"function-{FUNCTION}"
        stream.wait(
            lambda: any(
                one["service"] == service and one["health"] == "healthy" and one["memory"]
                for one in values.get("stack", {}).get("services", ())
            ),
            "the function's container",
        )
        before = stream.wait(lambda: values.get("functions", {}).get(FUNCTION), "the function")["events"]
        stream.wait(lambda: any("Watching" in one.get("note", "") for one in stream.entries), "the watching")
        stream.wait(lambda: values.get("devices", {}).get("connections"), "the connections")
        wait_until(lambda: is_observed(broker, "iot/sensors"), what="the devices' own look at the exchange")
        seen = post(dashboard, "/broker/amqp", exchange="iot/sensors", key="temperature", body="19.25", headers="a: b")
        assert "a queue took it, though perhaps only" in seen
        message = stream.wait(lambda: [one for one in stream.entries if one.get("body") == "19.25"], "the message")[0]
        assert (message["exchange"], message["key"], message["headers"]) == ("iot/sensors", "temperature", {"a": "b"})
        # The copy that was watched is not taken from the function.
        stream.wait(lambda: values["functions"][FUNCTION]["events"] > before, "the event")
        stream.wait(lambda: "iot/sensors temperature" in values["devices"]["topics"], "the last value")
        queue = stream.wait(
            lambda: [one for one in values["broker"]["queues"] if one["name"] == "iot/sensors" and one["functions"]],
            "who consumes the queue",
        )[0]
        assert queue["functions"] == [FUNCTION]
        own = stream.wait(
            lambda: [one for one in values["devices"]["connections"] if one["function"] == FUNCTION],
            "the function's connection",
        )
        assert all(one["protocol"] == "AMQP 0-9-1" for one in own)
        stream.wait(lambda: [one for one in stream.entries if one["in"] == f"logs:{FUNCTION}"], "the log")


def test_devices_are_simulated_and_messages_peeked_at(broker: Broker, dashboard: str) -> None:
    assert "nothing is bound" in post(dashboard, "/broker/amqp", exchange="amq.direct", key="nobody", body="21")
    assert "does not confirm" in post(dashboard, "/broker/mqtt", topic="no/body", body="21", qos="0")
    with closing(BlockingConnection(URLParameters(broker.amqp_url))) as connection:
        channel = connection.channel()
        channel.queue_declare("peeked", auto_delete=True)
        post(dashboard, "/broker/amqp", exchange="", key="peeked", body="peek at me")
        for _ in range(2):
            assert "peek at me" in post(dashboard, "/broker/peek", queue="peeked")
        assert channel.queue_delete("peeked").method.message_count == 1
    with watch(dashboard, "devices", "simulator", "traffic:topic:iot/#") as stream:
        stream.wait(lambda: any("note" in one for one in stream.entries), "the watching")
        with pytest.raises(ProbableAuthenticationError):
            BlockingConnection(URLParameters(broker.workspace.people_url.replace("//guest:", "//kiln:")))
        post(dashboard, "/devices/simulator", protocol="mqtt", sensors=2, rate=20)
        stream.wait(lambda: stream.values.get("simulator", {}).get("sent", 0) > 5, "the readings")
        names = [f"iot/sensors/temperature sensor-{number}" for number in (1, 2)]
        stream.wait(
            lambda: all(len(stream.values["devices"]["topics"].get(name, {}).get("points", ())) > 1 for name in names),
            "the last values",
        )

        def find_refused() -> list[tuple[str, int]]:
            found = stream.values["devices"]["refusals"]
            return [(one["protocol"], one["count"]) for one in found if one["user"] == "kiln"]

        stream.wait(lambda: find_refused() == [("AMQP", 1)], "the refused login")
        post(dashboard, "/devices/simulator/stop")
        stream.wait(lambda: not stream.values["simulator"]["running"], "the end")
    status, text = fetch(f"{dashboard}/broker/peek", urlencode({"queue": "no/such"}).encode())
    assert status == 422
    assert "no/such" in text


def test_a_broker_that_comes_and_goes_is_told(broker: Broker, dashboard: str) -> None:
    with watch(dashboard, "broker", "stack") as stream:
        stream.wait(lambda: stream.values.get("broker", {}).get("reachable"), "the broker")
        broker.stop()
        stream.wait(lambda: not stream.values["broker"]["reachable"], "its absence")
        stream.wait(lambda: stream.values.get("stack", {}).get("problems"), "the problem")
        broker.start()
        stream.wait(lambda: stream.values["broker"]["reachable"], "its return")


def test_streams_end_with_the_dashboard(workspace: Workspace, dashboard: str) -> None:
    (container,) = workspace.containers("dashboard")
    with watch(dashboard, "stack") as stream:
        stream.wait(lambda: stream.values, "the stack")
        start, began = time.monotonic(), time.time()
        workspace.docker("restart", "--time", "60", container)
        stream.read_to_end()
        # Not only when Docker kills it.
        assert time.monotonic() - start < 50
    wait_for(dashboard)
    assert "ERROR" not in workspace.docker("logs", "--since", str(began), container).stderr
