"""Calls on the real broker: devices of MQTT 3.1.1 and 5 that are there, away, or give no answer."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from stack.plan.device_call import CallState
from stack.processor.devices import DeviceError, open_devices
from stack.processor.request import Requester
from tests.docker.workspace import Result, Workspace, run_docker, wait_until

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "commands.md"
NAME = "pump-9"


class Pump:
    """A device, and the calls that it has heard."""

    def __init__(self, password: str, port: int, **options: Any) -> None:
        version = options.pop("version", MQTTProtocolVersion.MQTTv311)
        self.heard: list[dict[str, Any]] = []
        self.answers: Callable[[dict[str, Any]], object] | None = None
        self.client = Client(CallbackAPIVersion.VERSION2, NAME, protocol=version, **options)
        self.client.username_pw_set(NAME, password)
        self.client.on_connect = lambda client, *_: client.subscribe(f"tidegate/devices/{NAME}/cmd/+", 1)
        self.client.on_message = self._take
        # What it has heard it has acknowledged, and may go.
        self.client.manual_ack_set(True)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def acknowledge(self, id: str) -> None:
        """Answer a call that was heard before."""
        self.client.publish(f"tidegate/devices/{NAME}/ack/{id}", "done", 1).wait_for_publish(5)

    def _take(self, client: Client, _data: object, message: MQTTMessage) -> None:
        call = json.loads(message.payload)
        client.ack(message.mid, message.qos)
        self.heard.append(call)
        if self.answers is None:
            return
        body = json.dumps(self.answers(call))
        if message.properties:
            asked: Any = message.properties
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.CorrelationData = asked.CorrelationData
            client.publish(asked.ResponseTopic, body, 1, properties=properties)
        else:
            client.publish(f"tidegate/devices/{NAME}/ack/{call['id']}", body, 1)


@contextmanager
def pump(workspace: Workspace, password: str, **options: Any) -> Iterator[Pump]:
    """Connect; it answers if `answers` is set."""
    answers = options.pop("answers", None)
    one = Pump(password, workspace.settings.ports.mqtt, **options)
    one.answers = answers
    try:
        yield one
    finally:
        one.client.disconnect()
        one.client.loop_stop()


def find_presence(workspace: Workspace, name: str) -> tuple[bool, str]:
    """Return whether a device is known to be there, and why it went."""
    (found,) = workspace.containers("devices")
    url = f"http://127.0.0.1:8071/devices/{name}/presence"
    code = f"import urllib.request; print(urllib.request.urlopen({url!r}).read().decode())"
    told = json.loads(run_docker("exec", found, "python3", "-c", code).stdout)
    return told["connected"], told["reason"]


def await_absence(workspace: Workspace) -> None:
    """Wait until it is known that the device has gone: a call would be sent to a session that stays."""
    wait_until(lambda: not find_presence(workspace, NAME)[0], what="its absence")


def acknowledge(workspace: Workspace, one: Pump, id: str) -> None:
    """Answer a call, and wait until that is known: one without an answer comes again with the next session."""
    one.acknowledge(id)
    wait_until(lambda: find_state(workspace, id) == CallState.ANSWERED, what="its answer")


def find_state(workspace: Workspace, id: str) -> str:
    """Return what became of a call."""
    listed = json.loads(workspace.invoke("device", "calls", NAME, "--json").stdout)
    return next(str(one["state"]) for one in listed if one["id"] == id)


def call(workspace: Workspace, method: str, *arguments: str, name: str = NAME) -> Result:
    """Call a device by the task."""
    return workspace.invoke("device", "call", name, method, *arguments, check=False)


def check_answers(workspace: Workspace, password: str) -> None:
    """A device of either version answers, refuses, or says nothing."""

    def answers(one: dict[str, Any]) -> object:
        return {"open": one["data"]["valve"]} if one["method"] == "open" else {"error": "no such method"}

    for version in (MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5):
        with pump(workspace, password, version=version, answers=answers) as one:
            made = call(workspace, "open", "--data", '{"valve": 2}')
            assert (made.returncode, json.loads(made.stdout)) == (0, {"open": 2}), made
            refused = call(workspace, "close")
            assert (refused.returncode, f"{NAME} refused close: no such method" in refused.stderr) == (1, True), refused
            one.answers = None
            silent = call(workspace, "sleep", "--wait", "3")
            assert (silent.returncode, f"{NAME} has it" in silent.stderr) == (3, True), silent
            # What is heard late of the session before may have a call sent again.
            ids = {heard["method"]: heard["id"] for heard in one.heard}
            assert {heard["id"] for heard in one.heard} == set(ids.values()) and len(ids) == 3
            acknowledge(workspace, one, ids["sleep"])
    listed = workspace.invoke("device", "calls", NAME).stdout
    assert re.search(r"open +\{\"valve\": 2\} +task \S+ +answered +\{\"open\": 2\}", listed), listed


def check_absence(workspace: Workspace, password: str) -> None:
    """What was queued for a device arrives once, with and without a session that stays, and not when it is too old."""
    keep = ("--wait", "0", "--expires")
    with pump(workspace, password, clean_session=False):
        bound = ("rabbitmq-mqtt", "rabbitmqctl", "list_bindings")
        wait_until(lambda: f"tidegate.devices.{NAME}.cmd" in workspace.execute(*bound).stdout)
    for clean in (False, True):
        await_absence(workspace)
        made = call(workspace, "open", *keep, "10m")
        assert (made.returncode, "is away" in made.stderr) == (0, True), made
        assert call(workspace, "old", *keep, "300ms").returncode == 0
        time.sleep(0.4)
        with pump(workspace, password, clean_session=clean) as one:
            wait_until(lambda one=one: one.heard, what="the call that had waited")
        with pump(workspace, password, clean_session=clean) as again:
            # What was lost with its session comes again with the next; what a session that stays has had does not.
            wait_until(lambda again=again, clean=clean: bool(again.heard) is clean)
            time.sleep(0.5)
            heard = one.heard + again.heard
            assert [each["method"] for each in heard] == ["open"] * (2 if clean else 1), heard
            (id,) = {each["id"] for each in heard}
            acknowledge(workspace, again, id)


def check_functions(workspace: Workspace, password: str) -> None:
    """A function's requests reach the service, which answers them."""
    address = workspace.people_url.replace("amqp://", "mqtt://").rpartition(":")[0]
    requester = Requester(f"{address}:{workspace.settings.ports.mqtt}", "valve")
    devices = open_devices(SimpleNamespace(request=requester))
    try:
        with pump(workspace, password, answers=lambda one: one["data"] + 1):
            assert devices[NAME].call("add", 1) == 2
        with pytest.raises(TimeoutError):
            devices[NAME].call("add", 1, wait=0.2)
        with pytest.raises(DeviceError, match="There is no device none"):
            devices["none"].call("add", 1)
        twin = devices[NAME].set(fan="on")
        assert devices[NAME].twin == twin
        assert twin.delta == {"fan": "on"}
    finally:
        requester.close()
    by = json.loads(workspace.invoke("device", "calls", NAME, "--json").stdout)[0]["by"]
    assert by == "function valve"


def check_guide(workspace: Workspace, password: str) -> None:
    """The programs of the guide answer calls."""
    text = GUIDE.read_text().replace("pump-7", NAME).replace("1883", str(workspace.settings.ports.mqtt))
    (python,) = re.findall(r"^```python\n(import json.*?)^```$", text, re.S | re.M)
    (shell,) = re.findall(r"^```sh\n(topic=.*?)^```$", text, re.S | re.M)
    python = python.replace('"its password"', repr(password))
    for command in ([sys.executable, "-c", python], ["sh", "-c", shell]):
        with subprocess.Popen(command, env={**os.environ, "PASSWORD": password}) as process:
            made = call(workspace, "open", "--data", '{"valve": 2}', "--wait", "60")
            process.kill()
        assert json.loads(made.stdout) == {"open": 2}, made
