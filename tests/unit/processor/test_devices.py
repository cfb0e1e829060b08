"""`context.devices`: what is asked of the service of devices, what its answers come to, and devices of a test."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from nuclio_sdk import Response

from stack.contract import CALL_REQUESTS, CALL_WAIT, MOST_CALL_WAIT, TWIN_REQUESTS
from stack.processor.devices import DeviceError, open_devices
from stack.processor.testing import invoke

RUNTIME = Path(__file__).parents[3] / "stack" / "processor" / "runtime"


class FakeContext:
    """A worker's context whose requests get one answer."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Any, float]] = []

    def request(self, topic: str, body: Any, timeout: float) -> Response:
        self.asked.append((topic, body, timeout))
        return Response({}, self.answer, "application/json", 200)


def test_a_call_is_asked_of_the_service_and_returns_what_the_device_answers() -> None:
    context = FakeContext({"state": "answered", "answer": {"is": "open"}})
    assert open_devices(context)["pump-7"].call("open", {"valve": 2}, wait=3) == {"is": "open"}
    asked = {"device": "pump-7", "method": "open", "data": {"valve": 2}, "wait": 3, "expires": "3000ms"}
    assert context.asked == [(CALL_REQUESTS, asked, 13.0)]


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        ({"state": "refused", "answer": "no valve"}, DeviceError, "pump-7 refused open: no valve"),
        ({"error": "There is no device pump-7 that may log in."}, DeviceError, "no device pump-7"),
        (b"?", DeviceError, "answered b'\\?'"),
        ({"state": "queued", "answer": None, "expires": "x"}, TimeoutError, "not answered open within 10 s$"),
        ({"state": "expired", "answer": None, "expires": "x"}, TimeoutError, "not answered open within 10 s$"),
    ],
)
def test_a_call_without_an_answer_is_an_error(answer: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        open_devices(FakeContext(answer))["pump-7"].call("open")


def test_a_call_that_is_not_waited_for_is_kept_for_an_hour() -> None:
    context = FakeContext({"state": "queued", "answer": None, "expires": "x"})
    assert open_devices(context)["pump-7"].call("open", wait=0) is None
    assert context.asked[0][1]["expires"] == "1h"
    with pytest.raises(TimeoutError, match="within 1 s; it has until x"):
        open_devices(context)["pump-7"].call("open", wait=1, expires="10m")
    with pytest.raises(ValueError, match="at most 300"):
        open_devices(context)["pump-7"].call("open", wait=301)
    with pytest.raises(KeyError, match="no name of a device"):
        open_devices(context)["pump/7"]


def test_a_twin_is_read_and_set() -> None:
    answer = {"desired": {"fan": "on"}, "reported": {}, "delta": {"fan": "on"}, "desiredVersion": 4}
    context = FakeContext(answer)
    device = open_devices(context)["pump-7"]
    assert device.twin.delta == {"fan": "on"}
    assert device.set({"a": 1}, fan="on", version=3).version == 4
    assert [body for _, body, _ in context.asked] == [
        {"device": "pump-7"},
        {"device": "pump-7", "set": {"a": 1, "fan": "on"}, "version": 3},
    ]
    assert {topic for topic, _, _ in context.asked} == {TWIN_REQUESTS}


def handle(context: Any, event: Any) -> Any:
    device = context.devices["pump-7"]
    twin = device.set({"fan": "on", "old": None})
    return {"open": device.call("open", {"valve": 2}), "delta": twin.delta, "version": twin.version}


def test_a_test_of_a_function_gives_it_devices() -> None:
    pump: dict[str, Any] = {"open": lambda data: data["valve"], "twin": {"desired": {"old": 1}}}
    assert invoke(handle, devices={"pump-7": pump}, raises=True).body == {
        "open": 2,
        "delta": {"fan": "on"},
        "version": 1,
    }
    assert pump["twin"]["desired"] == {"fan": "on"}
    with pytest.raises(DeviceError, match="has version 1 by now, and not 7"):
        invoke(lambda context, _: context.devices["pump-7"].set(a=1, version=7), devices={"pump-7": pump}, raises=True)
    with pytest.raises(DeviceError, match=r"invoke\(…, devices=\{'pump-7': \{…\}\}\)"):
        invoke(handle, raises=True)
    with pytest.raises(DeviceError, match="refused open: stuck"):
        invoke(handle, devices={"pump-7": {"open": DeviceError("stuck")}}, raises=True)
    with pytest.raises(TimeoutError):
        invoke(handle, devices={"pump-7": {}}, raises=True)


NODE = """
const { openDevices } = require('./nodejs_devices.cjs');
const { invoke } = require('./nodejs_testing.cjs');
const said = [];
const ask = (answer) => openDevices(async (...asked) => { said.push(asked); return answer; })['pump-7'];
const tell = (promise) => promise.catch(({ name, message }) => `${name}: ${message}`);
const handler = async ({ devices, callback }) => {
  const device = devices['pump-7'];
  const twin = await device.set({ fan: 'on', old: null });
  callback({ open: await device.call('open', { valve: 2 }), delta: twin.delta, version: twin.version });
};
(async () => {
  const late = { state: 'queued', answer: null, expires: 'x' };
  console.log(JSON.stringify([
    await tell(ask({ state: 'answered', answer: { is: 'open' } }).call('open', { valve: 2 }, { wait: 3 })),
    await tell(ask({ state: 'refused', answer: 'no valve' }).call('open')),
    await tell(ask({ error: 'There is no device.' }).twin),
    await tell(ask(late).call('open', null, { wait: 1, expires: '10m' })),
    await tell(ask(late).call('open', null, { wait: 0 })),
    await tell(ask(late).call('open', null, { wait: 301 })),
    await tell((async () => openDevices(ask)['pump/7'])()),
    (await invoke(handler, {}, {
      devices: { 'pump-7': { open: (data) => data.valve, twin: { desired: { old: 1 } } } }, raises: true,
    })).body,
    await tell(invoke(handler, {}, { raises: true })),
    await tell(invoke(({ devices }) => devices['pump-7'].set({ a: 1 }, { version: 7 }), {}, {
      devices: { 'pump-7': {} }, raises: true,
    })),
    said[0], said[4][1].expires,
  ]));
})();
"""


def test_in_nodejs_it_is_the_same() -> None:
    said = subprocess.run(["node", "-e", NODE], cwd=RUNTIME, capture_output=True, text=True, check=True).stdout
    asked = {"device": "pump-7", "method": "open", "data": {"valve": 2}, "wait": 3, "expires": "3000ms"}
    assert json.loads(said) == [
        {"is": "open"},
        "DeviceError: pump-7 refused open: no valve",
        "DeviceError: There is no device.",
        "TimeoutError: pump-7 has not answered open within 1 s; it has until x",
        None,
        "RangeError: wait should be seconds, at most 300, not 301",
        "TypeError: 'pump/7' is no name of a device",
        {"open": 2, "delta": {"fan": "on"}, "version": 1},
        "DeviceError: There is no device pump-7; devices has none",
        "DeviceError: What is desired of pump-7 has version 0 by now, and not 7.",
        [CALL_REQUESTS, asked, 13],
        "1h",
    ]


def test_both_runtimes_ask_alike() -> None:
    text = (RUNTIME / "nodejs_devices.cjs").read_text()
    constants = dict(re.findall(r"^const ([A-Z_]+) = '?([^';]+)'?;", text, re.M))
    assert (constants["CALL_REQUESTS"], constants["TWIN_REQUESTS"]) == (CALL_REQUESTS, TWIN_REQUESTS)
    assert (float(constants["WAIT"]), float(constants["MOST_WAIT"])) == (CALL_WAIT, MOST_CALL_WAIT)
