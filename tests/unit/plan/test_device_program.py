"""Programs with which a device connects: each in its own language, whatever topics and certificates there are."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from stack.config.device import Device, DeviceConfig, complete_device
from stack.plan.device_program import BY_NAME, Endpoint, choose_commands, choose_topic, write_program

AUTHORITY = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
PLAIN = Endpoint("plant.local", 1883, 5672)
SECURE = Endpoint("plant.local", 8883, 5671, is_tls=True, authority=AUTHORITY)
TRUSTED = Endpoint("plant.example", 8883, 5671, is_tls=True)
NODES = Endpoint("10.0.0.1", 1883, 5672, others=("10.0.0.2", "10.0.0.3"))
# A topic may have what ends a text in every language.
ODD = """it's "a\\b"/`$(id)`/ä"""
TOPICS = (("plant/pump-7/#",), (f"{ODD}/+",), ("#",))

each_endpoint = pytest.mark.parametrize(
    "endpoint", [PLAIN, SECURE, TRUSTED, NODES], ids=["plain", "secure", "trusted", "nodes"]
)
each_topics = pytest.mark.parametrize("topics", TOPICS, ids=["usual", "odd", "all"])


def make_device(topics: tuple[str, ...]) -> DeviceConfig:
    return complete_device("pump-7", Device(topics=topics), types={})


def write(name: str, endpoint: Endpoint = PLAIN, topics: tuple[str, ...] = TOPICS[0]) -> str:
    return write_program(BY_NAME[name], endpoint, make_device(topics), "pass-word_1")


def find(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


@each_endpoint
@each_topics
@pytest.mark.parametrize("name", ["python", "micropython"])
def test_python_is_valid(name: str, endpoint: Endpoint, topics: tuple[str, ...]) -> None:
    compile(write(name, endpoint, topics), name, "exec")


@each_endpoint
def test_javascript_is_valid(endpoint: Endpoint, tmp_path: Path) -> None:
    for number, topics in enumerate(TOPICS):
        (tmp_path / f"{number}.js").write_text(write("nodejs", endpoint, topics))
        subprocess.run([find("node"), "--check", f"{number}.js"], cwd=tmp_path, check=True)


@each_endpoint
@each_topics
def test_shell_calls_mosquitto_with_each_topic_as_one_argument(
    endpoint: Endpoint, topics: tuple[str, ...], tmp_path: Path
) -> None:
    for program in ("mosquitto_pub", "mosquitto_sub"):
        (tmp_path / program).write_text('#!/bin/sh\nprintf "%s\\n" "$0" "$@"\n')
        (tmp_path / program).chmod(0o755)
    text = write("mosquitto", endpoint, topics)
    told = subprocess.run(
        ["sh", "-c", text], cwd=tmp_path, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True
    )
    device, lines = make_device(topics), told.stdout.splitlines()
    assert told.stderr == ""
    assert choose_topic(device.publish, "temperature") in lines
    assert choose_commands(device.publish, device.subscribe) in lines
    assert (tmp_path / "authority.pem").exists() is bool(endpoint.authority)


@each_endpoint
@each_topics
def test_sketch_is_compiled_and_does_what_it_says(endpoint: Endpoint, topics: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "sketch.cpp").write_text(write("arduino", endpoint, topics))
    (tmp_path / "main.cpp").write_text('#include "sketch.cpp"\nint main() { setup(); loop(); }\n')
    headers = Path(__file__).parent / "arduino"
    command = [find("g++"), "-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{headers}", "main.cpp", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    told = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout.splitlines()
    device = make_device(topics)
    assert f"server {endpoint.host} {endpoint.mqtt}" in told
    assert "connect pump-7 pump-7 pass-word_1" in told
    assert f"subscribe {choose_commands(device.publish, device.subscribe)} 1" in told
    assert f"publish {choose_topic(device.publish, 'temperature')} 21.5" in told
    assert "told open" in told
    assert ("authority -----BEGIN CERTIFICATE-----" in told) is bool(endpoint.authority)


# Of Home Assistant's documentation: what a sensor and a button of MQTT may say.
SENSOR = {"name", "unique_id", "state_topic", "unit_of_measurement", "device_class", "state_class"}
BUTTON = {"name", "unique_id", "command_topic", "payload_press"}


@each_topics
def test_home_assistant_is_told_what_it_knows(topics: tuple[str, ...]) -> None:
    document = yaml.safe_load(write("home-assistant", SECURE, topics))["mqtt"]
    (sensor,), (button,) = document["sensor"], document["button"]
    assert (set(sensor), set(button)) == (SENSOR, BUTTON)
    assert sensor["state_topic"] == choose_topic(topics, "temperature")


def test_device_that_only_listens_or_only_speaks_has_a_program_too() -> None:
    for device in (Device(publish=("a/+",)), Device(subscribe=("b/+",))):
        for program in BY_NAME.values():
            text = write_program(program, SECURE, complete_device("pump-7", device, types={}))
            assert ("a/" in text) is bool(device.publish), program.name
            assert ("b/" in text) is bool(device.subscribe), program.name


def test_topics_are_chosen_of_the_first_filter() -> None:
    assert choose_topic(("a/+/b", "c"), "x") == "a/x/b"
    assert choose_topic((), "x") == ""
    assert choose_commands(("a/#",), ("a/#",)) == "a/cmd/#"
    assert choose_commands(("a/+",), ("a/cmd/#",)) == "a/cmd/#"
    assert choose_commands((), ("#",)) == "#"
    assert choose_commands(("#",), ()) == ""


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_node_is_named(name: str) -> None:
    assert {one for one in (NODES.host, *NODES.others) if one in write(name, NODES)} == {NODES.host, *NODES.others}
