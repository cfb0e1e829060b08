"""Addresses of a broker elsewhere, in a function that was written for one."""

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack.config.yaml_loader import parse_mapping
from stack.plan.broker_rewrite import review_brokers
from stack.plan.function_import import Imported, plan_imports

TUTORIAL = Path(__file__).parents[2] / "tutorial"
BROKER = {"name": "BROKER_URL", "valueFrom": {"secretKeyRef": {"name": "broker", "key": "url"}}}
MQTT = {"name": "MQTT_URL", "valueFrom": {"secretKeyRef": {"name": "broker", "key": "mqtt"}}}


def take(name: str, *, to_broker: bool) -> Imported:
    text = (TUTORIAL / name).read_text()
    (imported,) = plan_imports([parse_mapping(text, name)], name, to_broker=to_broker)
    return imported


def rewrite(path: str, text: str, spec: dict[str, Any] | None = None) -> tuple[str, dict[str, Any], list[str]]:
    """Return a source, its function's spec, and what was told, with `--broker`."""
    given, texts = spec or {}, {path: text}
    notes = list(review_brokers(given, texts, to_broker=True))
    return texts[path], given, notes


@pytest.mark.parametrize(("name", "line"), [("amqpconsume.yaml", 5), ("amqpevent.yaml", 7)])
def test_the_tutorials_functions_find_this_stack(name: str, line: int) -> None:
    before, after = take(name, to_broker=False), take(name, to_broker=True)
    source, told = before.files["main.js"].content.decode(), after.files["main.js"].content.decode()
    assert source == source.replace("process.env", "")
    assert told == source.replace("'amqp://guest:guest@172.16.15.52:5672'", "process.env.BROKER_URL")
    assert yaml.safe_load(after.files["function.yaml"].content)["spec"]["env"] == [BROKER]
    assert f"main.js, line {line}: amqp://…@172.16.15.52:5672 is now process.env.BROKER_URL" in after.notes
    assert after.notes[-1] == "spec.env: BROKER_URL is the secret broker.url"
    advice = "names the broker amqp://…@172.16.15.52:5672; --broker points it at this stack's own"
    assert before.notes[-1] == f"main.js, line {line}: {advice}"


def test_the_tutorials_misspelt_key_stays_as_it_is() -> None:
    written = yaml.safe_load(take("amqpconsume.yaml", to_broker=True).files["function.yaml"].content)
    assert written["spec"]["triggers"]["amqp"]["attributes"]["topics"] == ["temeprature"]
    assert written["spec"]["triggers"]["amqp"]["url"] == "amqp://rabbitmq-mqtt:5672"


def test_options_with_a_brokers_host() -> None:
    source = """
const amqp = require('amqplib');
amqp.connect({protocol: 'amqp', hostname: '172.16.15.52', port: 5672, username: "guest"});
mqtt.connect('mqtt://172.16.15.52');
mqtt.connect({
  host: "172.16.15.52", port: 1883 });
http.get({hostname: '172.16.15.52', port: 8070});
const MQTT_HOST = '172.16.15.52', mqttTopic = 'iot.sensors', mqttVersion = '3.1.1';
"""
    text, spec, notes = rewrite("main.js", source)
    assert text.splitlines()[2] == source.splitlines()[2].replace("172.16.15.52", "rabbitmq-mqtt")
    assert text.splitlines()[3] == "mqtt.connect(process.env.MQTT_URL);"
    assert text.splitlines()[5] == '  host: "rabbitmq-mqtt", port: 1883 });'
    assert text.splitlines()[6:] == [
        source.splitlines()[6],
        "const MQTT_HOST = 'rabbitmq-mqtt', mqttTopic = 'iot.sensors', mqttVersion = '3.1.1';",
    ]
    assert spec["env"] == [MQTT]
    assert "main.js, line 3: the host 172.16.15.52 is now rabbitmq-mqtt" in notes
    assert notes[-1] == "main.js, line 7: names the broker 172.16.15.52; change it if it is another one here"


@pytest.mark.parametrize(
    "line",
    [
        "amqp.connect('amqp://guest:guest@' + host)",
        "amqp.connect('amqp://10.0.0.1:' + port)",
        "amqp.connect(`amqp://${user}@10.0.0.1`)",
        "amqp.connect(tag`amqp://10.0.0.1`)",
        "amqp.connect(prefix + 'amqp://10.0.0.1')",
        "say('connects to amqp://10.0.0.1 now')",
    ],
)
def test_a_part_of_a_text_is_told_and_stays(line: str) -> None:
    text, spec, notes = rewrite("main.js", f"\n{line}\n")
    assert (text, spec) == (f"\n{line}\n", {})
    assert notes[0].startswith("main.js, line 2: names the broker amqp://")
    assert notes[0].endswith("; change it if it is another one here")


def test_python_imports_os_for_it() -> None:
    source = '"""Tell."""\n\nfrom __future__ import annotations\n\nimport pika\n\nURL = "amqp://guest:guest@10.0.0.1"\n'
    text, spec, notes = rewrite("main.py", source)
    assert text == source.replace("import pika", "import os\nimport pika").replace(
        '"amqp://guest:guest@10.0.0.1"', 'os.environ["BROKER_URL"]'
    )
    assert spec["env"] == [BROKER]
    assert notes[0] == 'main.py, line 8: amqp://…@10.0.0.1 is now os.environ["BROKER_URL"]'
    for start in ("import os\n", "import json, os\n"):
        assert rewrite("main.py", f"{start}URL = 'amqp://10.0.0.1'\n")[0].startswith(f"{start}URL = os")
    assert rewrite("main.py", "'''Tell.'''\nURL = 'amqp://a.b'\n")[0] == (
        "'''Tell.'''\nimport os\nURL = os.environ[\"BROKER_URL\"]\n"
    )


def test_python_options() -> None:
    source = (
        "pika.ConnectionParameters('10.0.0.1')\npika.ConnectionParameters(host='localhost', port=5672)\n"
        "client.connect('broker.example', 1883)\nrequests.get(host='localhost')\n"
    )
    text, _, _ = rewrite("main.py", source)
    assert text == (
        "pika.ConnectionParameters('rabbitmq-mqtt')\npika.ConnectionParameters(host='rabbitmq-mqtt', port=5672)\n"
        "client.connect('rabbitmq-mqtt', 1883)\nrequests.get(host='localhost')\n"
    )


def test_the_stacks_own_broker_and_a_variable_of_another_meaning_stay() -> None:
    own = "connect('amqp://guest:guest@rabbitmq-mqtt:5672')\n"
    assert rewrite("main.js", own) == (own, {}, [])
    other = "connect('amqp://10.0.0.1')\n"
    text, _, notes = rewrite("main.js", other, {"env": [{"name": "BROKER_URL", "value": "mine"}]})
    assert (text, len(notes)) == (other, 1)
    text, spec, _ = rewrite("main.js", other, {"env": [BROKER]})
    assert (text, spec) == ("connect(process.env.BROKER_URL)\n", {"env": [BROKER]})


def test_variables_and_other_files() -> None:
    spec = {"env": [{"name": "A", "value": "mqtt://10.0.0.1:1883"}, {"name": "B", "value": "amqp://10.0.0.1 or so"}]}
    text, given, notes = rewrite("broker.json", '{"host": "10.0.0.1"}\n', spec)
    assert given["env"][0] == MQTT | {"name": "A"}
    assert text == '{"host": "10.0.0.1"}\n'
    assert notes == [
        "spec.env.0: A, mqtt://10.0.0.1:1883, is now the secret broker.mqtt",
        "spec.env.1: B names the broker amqp://10.0.0.1; change it if it is another one here",
        "broker.json, line 1: names the broker 10.0.0.1; change it if it is another one here",
    ]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("main.py", 'InfluxDBClient(host="influxdb", port=8086, database="mqtt")'),
        ("main.js", "mysql.createConnection({host: 'db', user: 'mqtt', password: 'amqp'})"),
        ("main.py", 'stations = [("railway", 1883)]'),
        ("main.py", 'Redis(host="cache", db="rabbitmq")'),
        ("main.js", "const a = { 'amqp://10.0.0.1': 1 }"),
        ("main.js", "switch (url) { case 'amqp://10.0.0.1': break; }"),
        ("main.py", 'match url:\n    case "amqp://10.0.0.1":\n        pass'),
        ("main.py", "text = f\"{connect('amqp://10.0.0.1')}\""),
        ("main.py", "connect('amqp://10.0.0.1'"),
        ("main.py", "\ufeffconnect('amqp://10.0.0.1'"),
        ("main.py", "def connect(os):\n    open('amqp://10.0.0.1')"),
        ("main.py", '"""Say."""; url = "amqp://10.0.0.1"'),
        ("main.js", "// such as 'amqp://10.0.0.1'"),
        ("main.js", "say(\"it's 'amqp://10.0.0.1' there\")"),
        ("main.js", "const quote = /'/; say(/['\"]/.test('x') ? 1 : 'amqp://10.0.0.1' + port)"),
    ],
)
def test_what_is_not_certain_stays(path: str, line: str) -> None:
    text, spec, notes = rewrite(path, f"{line}\n")
    assert (text, spec) == (f"{line}\n", {})
    assert bool(notes) == ("10.0.0.1" in line)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("main.py", 'HOST = "172.16.15.52"\nimport pika'),
        ("main.py", 'import paho.mqtt.client\nclient.connect("172.16.15.52")'),
        ("main.js", "const amqp = require('amqplib'), server = '172.16.15.52'"),
        ("main.js", "mqtt.connect('tcp://broker.example:1883')"),
        ("main.js", "mqtt.connect('ws://broker.example/mqtt')"),
    ],
)
def test_a_host_that_may_be_a_brokers_is_told(path: str, line: str) -> None:
    text, _, notes = rewrite(path, line)
    assert text == line
    (note,) = notes
    assert note.endswith("; change it if it is another one here")


def test_a_variable_that_says_that_it_is_a_host() -> None:
    text, _, notes = rewrite("main.py", 'MQTT_HOST = "broker.hivemq.com"\nclient.connect(MQTT_HOST, 1883)\n')
    assert text.startswith('MQTT_HOST = "rabbitmq-mqtt"\n')
    assert notes == ["main.py, line 1: the host broker.hivemq.com is now rabbitmq-mqtt"]


def test_a_host_in_the_environment() -> None:
    env = [{"name": "MQTT_HOST", "value": "172.16.15.52"}, {"name": "API", "value": "172.16.15.52"}]
    triggers = {"in": {"kind": "mqtt", "url": "172.16.15.52:1883"}}
    spec = {"env": env, "triggers": triggers}
    notes = list(review_brokers(spec, {}, to_broker=False))
    assert notes[1].endswith("MQTT_HOST names the broker 172.16.15.52; --broker points it at this stack's own")
    _, given, notes = rewrite("main.js", "", spec)
    assert given["env"][0]["value"] == "rabbitmq-mqtt"
    assert notes[1] == "spec.env.0: MQTT_HOST, 172.16.15.52, is now rabbitmq-mqtt"
    assert notes[-1] == "spec.env.1: API names the broker 172.16.15.52; change it if it is another one here"


@pytest.mark.parametrize("to_broker", [True, False])
def test_an_address_that_cannot_be_split_is_no_error(to_broker: bool) -> None:
    spec = {"env": [{"name": "URL", "value": "mqtt://[bad"}]}
    texts = {"README.md": "mqtt://[broker-ip]:1883", "main.js": "connect('mqtt://[broker-ip]:1883')"}
    notes = list(review_brokers(spec, texts, to_broker=to_broker))
    assert len(notes) == 3


def test_passwords_are_not_told() -> None:
    for address in ("amqp://us/er:secret@h.example", "amqp://a:secret@ss@h.example"):
        _, _, notes = rewrite("main.js", f"say('at {address}')")
        assert notes == ["main.js, line 1: names the broker amqp://…@h.example; change it if it is another one here"]


def test_imports_come_first_and_lines_end_as_before() -> None:
    source = "#!/usr/bin/env python3\r\n# coding: utf-8\r\nURL = 'amqp://10.0.0.1'\r\nimport os\r\n"
    text, _, notes = rewrite("main.py", source)
    after = 'import os\r\nURL = os.environ["BROKER_URL"]\r\n'
    assert text == source.replace("URL = 'amqp://10.0.0.1'\r\n", after)
    assert notes[0].startswith("main.py, line 4: ")
    text, _, _ = rewrite("main.py", "é = 'é'; URL = 'amqp://10.0.0.1'\n")
    assert text == "import os\né = 'é'; URL = os.environ[\"BROKER_URL\"]\n"


def test_a_bundle_takes_no_time() -> None:
    bundle = "f('a',b('c'),{host:'e'});" * 5_000
    start = time.process_time()
    assert rewrite("main.js", bundle)[0] == bundle
    assert rewrite("main.py", bundle.replace("{host:'e'}", "g(host='e')"))[0]
    assert time.process_time() - start < 5
