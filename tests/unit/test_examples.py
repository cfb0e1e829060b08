"""The examples' own reasoning; what they do with a broker is tested on the real stack."""

import importlib
import logging
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from nuclio_sdk import Event, Response
from paho.mqtt.client import Client

from stack.config.document import find_ignored
from stack.config.settings import Settings
from stack.config.source import find_folder, load_function
from stack.plan.function import plan_function
from stack.plan.secret import find_wants
from stack.processor.testing import invoke

ROOT = Path(__file__).parents[2]
EXAMPLES = ("amqpconsume", "amqpevent", "mqttconsume", "mqttevent", "temperaturealert")


_IP = r"\d{1,3}(\.\d{1,3}){3}"
_IP_OF_BROKER = re.compile(rf"(amqp|mqtt)s?://[^\s/'\"]*{_IP}|(connect\(|host(name)?['\"]?\s*[:=])\s*['\"]{_IP}")
# What a command prints is no example to copy.
_PRINTED = re.compile(r"^```text\n.*?^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("place", ["functions", "templates", "docs", "README.md"])
def test_no_example_names_a_broker_by_an_ip(place: str) -> None:
    """A reader would have to change it in every file that is copied."""
    paths = [ROOT / place] if (ROOT / place).is_file() else [one for one in (ROOT / place).rglob("*") if one.is_file()]
    texts = {path: path.read_text(errors="replace") for path in paths if path.suffix != ".pyc"}
    found = {str(path): _IP_OF_BROKER.findall(_PRINTED.sub("", text)) for path, text in texts.items()}
    assert not {path: lines for path, lines in found.items() if lines}
    assert _IP_OF_BROKER.search("amqp.connect('amqp://guest:guest@172.16.15.52:5672')")
    assert _IP_OF_BROKER.search('client.connect("172.16.15.52", 1883)')


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Import the main module of an example as the processor does: its folder comes first."""
    before = set(sys.modules)

    def load(name: str) -> ModuleType:
        monkeypatch.syspath_prepend(ROOT / "functions" / name)
        return importlib.import_module("main")

    yield load
    for name in {"main"} & (set(sys.modules) - before):
        del sys.modules[name]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_configured_as_the_tutorial_says(name: str) -> None:
    function = load_function(find_folder(ROOT, name))
    assert not list(find_ignored(function.config))
    plan = plan_function(function, Settings())
    assert plan.handler == "main:handler"
    asked = {str(want) for want in find_wants(plan)} - {"broker.signature-key"}
    own = {"mqttevent": {"broker.mqtt"}, "amqpevent": {"broker.url"}}
    assert asked == own.get(name, {"broker.url", "broker.mqtt"})


def test_amqpconsume_listens_where_the_tutorials_device_sends() -> None:
    plan = plan_function(load_function(find_folder(ROOT, "amqpconsume")), Settings())
    trigger: Any = plan.triggers["amqp"]
    attributes = trigger.attributes
    assert (attributes.exchange_name, attributes.queue_name) == ("iot/sensors", "iot/sensors")
    assert attributes.topics == ["temperature"]
    assert not attributes.durable_exchange


@pytest.mark.parametrize("name", ["amqpconsume", "mqttconsume"])
def test_a_line_of_feedback_names_the_reading(name: str, load: Callable[[str], ModuleType]) -> None:
    result = invoke(load(name).handler, body=b"21.5", headers={"reading": "r-1"})
    assert result.outputs.logs == [f"Invoked Function {name} on 21.5"]
    assert result.outputs.logs.messages[0].correlation_id == "r-1"


@pytest.mark.parametrize("name", ["amqpevent", "mqttevent"])
def test_an_event_function_reads_a_number_as_it_was_written(name: str, load: Callable[[str], ModuleType]) -> None:
    read = load(name).read_temperature
    assert [read(body) for body in (b" 20 ", b"21.50", 17.5, 0, b"-3e1")] == ["20", "21.50", "17.5", "0", "-3e1"]
    assert 15 <= float(read(b"")) <= 30
    assert 15 <= float(read(None)) <= 30
    for body in (b"warm", b"nan", b"inf", b"1,5", b"\xff", {"value": 1}, False):
        with pytest.raises(ValueError, match="should be a number"):
            read(body)


@pytest.mark.parametrize("name", ["amqpevent", "mqttevent"])
def test_a_body_that_is_no_number_is_a_bad_request(name: str, load: Callable[[str], ModuleType]) -> None:
    context = SimpleNamespace(Response=Response)
    response = load(name).handler(context, Event(body=b"warm"))
    assert response.status_code == 400
    assert "'warm'" in response.body


def test_a_function_connects_where_its_variable_says(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []
    monkeypatch.setenv("MQTT_URL", "mqtt://ann:word@127.0.0.1:21883/")
    monkeypatch.setattr(Client, "connect", lambda _client, host, port: asked.append((host, port)))
    monkeypatch.setattr(Client, "loop_start", lambda _client: None)
    load("mqttevent").init_context(SimpleNamespace(user_data=SimpleNamespace()))
    assert asked == [("127.0.0.1", 21883)]


class Desk:
    """Takes alerts, or refuses one as a broker that is away does."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        self.is_away = False

    def send(self, alert: dict[str, Any], *, now: bool) -> None:
        assert now, "the memory is changed once it has arrived"
        if self.is_away:
            raise ConnectionError
        self.alerts.append(alert)


@pytest.fixture
def alert(load: Callable[[str], ModuleType]) -> tuple[Callable[..., Any], Desk]:
    module, services = load("temperaturealert"), Desk()
    logger = SimpleNamespace(warn_with=lambda message, **fields: logging.getLogger("test").info(message))
    outputs = SimpleNamespace(alerts=services)
    context = SimpleNamespace(user_data=SimpleNamespace(), logger=logger, outputs=outputs)
    module.init_context(context)

    def feed(body: bytes, sensor: str = "s") -> Any:
        return module.handler(context, Event(body=body, headers={"sensor": sensor}, path="iot/sensors/temperature"))

    return feed, services


def test_one_alert_when_the_average_rises_and_one_when_it_is_normal_again(
    alert: tuple[Callable[..., Any], Desk],
) -> None:
    feed, services = alert
    for value in (20, 20, 20, 20, 44, 26, 26, 26, 26, 10, 10, 10):
        feed(str(value).encode())
    assert [(one["state"], one["average"]) for one in services.alerts] == [("high", 26.0), ("normal", 22.8)]
    assert all(set(one) == {"sensor", "state", "average", "threshold", "time"} for one in services.alerts)
    assert all(one["threshold"] == 25 and one["sensor"] == "s" for one in services.alerts)


def test_noise_about_the_threshold_rings_once(alert: tuple[Callable[..., Any], Desk]) -> None:
    feed, services = alert
    for value in (25, 25, 25, 25, 25, 25.5, 24.8, 24.6, 24.6, 25.6, 24.7, 25.4):
        feed(str(value).encode())
    assert [one["state"] for one in services.alerts] == ["high"]


def test_an_average_of_just_the_threshold_is_not_high(alert: tuple[Callable[..., Any], Desk]) -> None:
    feed, services = alert
    feed(b"25")
    assert not services.alerts


def test_each_sensor_has_a_window_of_its_own(alert: tuple[Callable[..., Any], Desk]) -> None:
    feed, services = alert
    for _ in range(5):
        feed(b"30", "hot")
        feed(b"10", "cold")
    assert [(one["sensor"], one["state"]) for one in services.alerts] == [("hot", "high")]


@pytest.mark.parametrize("body", [b"warm", b"nan", b"", b"\xff", {"a": 1}, None])
def test_what_is_no_number_is_passed_over(body: Any, alert: tuple[Callable[..., Any], Desk]) -> None:
    feed, services = alert
    assert feed(body) == "no temperature"
    feed(b"30")
    assert [one["average"] for one in services.alerts] == [30.0]


def test_a_reading_that_comes_again_after_a_failure_counts_once(alert: tuple[Callable[..., Any], Desk]) -> None:
    feed, services = alert
    feed(b"20")
    services.is_away = True
    with pytest.raises(ConnectionError):
        feed(b"32")
    services.is_away = False
    feed(b"32")
    assert [one["average"] for one in services.alerts] == [26.0]
