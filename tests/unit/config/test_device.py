"""What a file of device-types/ says: how much devices may send, and what they measure."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from stack.config.device import Device, DeviceType, complete_device, read_rate
from stack.config.settings import load_settings
from stack.errors import ConfigError

TYPE = """\
publish: ["plant/{id}/+"]
rate: 2 kB/s
metrics:
  temperature: {topic: "plant/{id}/temperature", unit: °C}
  humidity: {topic: "plant/{id}/state", value: {json: /h}, unit: "%"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "device-types").mkdir()
    (tmp_path / "device-types" / "sensor.yaml").write_text(TYPE)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "rate"), [("", 0), ("500 B/s", 500), ("500B/s", 500), ("1.5 kB/s", 1500), ("2 MB/s", 2_000_000)]
)
def test_a_rate_is_bytes_a_second(text: str, rate: int) -> None:
    assert read_rate(Device(rate=text).rate) == rate


@pytest.mark.parametrize("text", ["5", "5 msg/s", "0 B/s", "0.1 B/s", "-1 kB/s", "1 KB/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="should be bytes a second, such as 500 B/s or 2 kB/s"):
        Device(rate=text)


def test_a_device_has_the_rate_of_its_type_unless_it_says_its_own() -> None:
    types = {"sensor": DeviceType(rate="2 kB/s")}
    rates = [complete_device("a", Device(type="sensor", rate=rate), types=types).rate for rate in ("", "1 kB/s")]
    assert rates == [2000, 1000]
    assert complete_device("a", Device(), types=types).rate == 0


@pytest.mark.parametrize("topic", ["plant/temperature", "plant/{id}/+", "plant/x{id}/t", "{id}/{id}"])
def test_a_metric_has_one_topic_of_each_device(topic: str) -> None:
    with pytest.raises(ValidationError, match="should"):
        DeviceType.model_validate({"metrics": {"t": {"topic": topic}}})


def test_metrics_of_a_type_are_kept_with_the_device_as_label(folder: Path) -> None:
    (folder / "stack.yaml").write_text('data: {keep: [{topic: "a/#"}, {devices: sensor}]}\n')
    first, temperature, humidity = load_settings(folder).data.keep
    assert first.topic == "a/#"
    assert (temperature.topic, temperature.metric) == ("plant/+/temperature", "temperature")
    assert temperature.labels == {"device": "{2}", "type": "sensor"}
    assert (humidity.topic, humidity.model_dump()["value"]) == ("plant/+/state", {"pointer": "/h"})


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{devices: pump}", "data.keep.0.devices: there is no device-types/pump.yaml"),
        ("{devices: ../x}", "there is no device-types/../x.yaml"),
        ("{devices: empty}", "device-types/empty.yaml has no metrics that could be kept"),
        ("{devices: sensor, metric: t}", "nothing else has a place beside it"),
        ("{devices: sensor, topic: t}", "or devices"),
    ],
)
def test_a_rule_about_devices_says_nothing_else(folder: Path, rule: str, message: str) -> None:
    (folder / "device-types" / "empty.yaml").write_text("publish: [a]\n")
    (folder / "stack.yaml").write_text(f"data: {{keep: [{rule}]}}\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(folder)
    assert message in str(caught.value)
