"""Devices: what a file of devices/ says of one, and one of device-types/ of those that are alike."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from stack.config.data import FromJson, KeepRule
from stack.config.data import Metric as MetricName
from stack.config.document import Document, parse_model
from stack.config.trigger.base import LONGEST_NAME
from stack.config.trigger.mqtt import check_filter
from stack.config.yaml_loader import read_mapping
from stack.errors import ConfigError

FOLDER, TYPES = "devices", "device-types"
# The name of a device is its user, its client id and, in topics, one level; so no dot, which AMQP takes for a slash.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
# Accounts of the broker that are no device's.
_TAKEN = re.compile(r"guest|(function|tidegate)(-.*)?")
_ID = "{id}"
_MOST_TOPICS = 20
_MOST_LABELS = 20
_MOST_METRICS = 50


def check_device_name(text: str) -> str:
    """Return the name of a device as it is.

    Raises:
        ValueError: it is none.
    """
    if not NAME.fullmatch(text):
        raise ValueError(f"should be at most 63 letters, digits, - and _, the first no - or _, not {text!r}")
    if _TAKEN.fullmatch(text):
        raise ValueError(f"should be another name: {text!r} is the name of an account of the stack's own")
    return text


def _check_filter(text: str) -> str:
    if not text or len(text.encode()) > LONGEST_NAME:
        raise ValueError(f"should be a topic filter of at most {LONGEST_NAME} bytes, not {text!r}")
    check_filter(text)
    if not text.isprintable():
        raise ValueError(f"should be a text that can be printed, not {text!r}")
    if text.startswith("$"):
        raise ValueError(f"should be a topic of your own, and begin with no $, not {text!r}")
    if text.startswith("tidegate/") and not text.endswith("/presence"):
        advice = "a device has those of its own name without being told"
        raise ValueError(f"should be no topic of the stack's own, but for presence; {advice}, not {text!r}")
    if "{" in (rest := text.replace(_ID, "")) or "}" in rest:
        raise ValueError(f"should have no other placeholder than {_ID}, not {text!r}")
    return text


TopicFilter = Annotated[str, AfterValidator(_check_filter)]
TopicFilters = Annotated[tuple[TopicFilter, ...], Field(max_length=_MOST_TOPICS)]


_UNITS = {"B": 1, "kB": 1000, "MB": 1_000_000}
_RATE = re.compile(rf"(\d{{1,6}}(?:\.\d{{1,3}})?) ?({'|'.join(_UNITS)})/s")


def _check_rate(text: str) -> str:
    if text and (not _RATE.fullmatch(text) or read_rate(text) < 1):
        raise ValueError(f"should be bytes a second, such as 500 B/s or 2 kB/s, not {text!r}")
    return text


def read_rate(text: str) -> int:
    """Return the bytes a second of a rate such as 2 kB/s; 0 of none."""
    found = _RATE.fullmatch(text)
    return round(float(found[1]) * _UNITS[found[2]]) if found else 0


Rate = Annotated[str, AfterValidator(_check_rate)]


class Topics(Document):
    """On which topics a device may speak, and how much; {id} stands for its name."""

    topics: TopicFilters = ()
    """Topics on which it may publish and to which it may subscribe."""
    publish: TopicFilters = ()
    """Topics on which it may publish; + is any one level, # all that follow."""
    subscribe: TopicFilters = ()
    """Topics to which it may subscribe."""
    rate: Rate = ""
    """How much it may send, such as 2 kB/s; without it, as much as it likes."""


def _check_metric_topic(text: str) -> str:
    levels = text.split("/")
    if levels.count(_ID) != 1 or text.count(_ID) != 1:
        raise ValueError(f"should have {_ID} once, as a level of its own, not {text!r}")
    if "+" in levels or "#" in levels:
        raise ValueError(f"should be one topic of each device, without + and #, not {text!r}")
    return text


class DeviceMetric(Document):
    """What the values of a topic are that devices of one kind publish."""

    topic: Annotated[TopicFilter, AfterValidator(_check_metric_topic)]
    """The topic, with {id} as one of its levels."""
    value: Literal["body"] | FromJson = "body"
    """Where the number is: the body, or {json: /t}."""
    unit: str = ""
    """What it is measured in, such as °C."""

    def name_topic(self, device: str) -> str:
        """Return the topic of a device."""
        return self.topic.replace(_ID, device)

    def make_rule(self, name: str, type: str) -> KeepRule:
        """Return the rule by which it is kept, of all devices of the type, each by its name."""
        levels = self.topic.split("/")
        labels: dict[str, str | FromJson] = {"device": f"{{{levels.index(_ID) + 1}}}", "type": type}
        return KeepRule.model_validate(
            {"topic": self.name_topic("+"), "metric": name, "value": self.value, "labels": labels}
        )


class DeviceType(Topics):
    """What devices of one kind have in common."""

    description: str = ""
    """What they are."""
    labels: dict[str, str] = {}
    """What tells them from others, such as {maker: acme}."""
    metrics: Annotated[dict[MetricName, DeviceMetric], Field(max_length=_MOST_METRICS)] = {}
    """What they measure: the name of each metric, its topic and its unit."""


class Device(Topics):
    """One device; what it does not say its type says."""

    type: str = ""
    """The name of a file of device-types/, without .yaml."""
    description: str = ""
    """What it is, or where."""
    labels: Annotated[dict[str, str], Field(max_length=_MOST_LABELS)] = {}
    """What tells it from others, such as {site: hall-2}."""

    @field_validator("type")
    @classmethod
    def _is_name(cls, value: str) -> str:
        return check_device_name(value) if value else value


# Of a device for which nothing else is said.
DEFAULT = Topics(topics=(f"devices/{_ID}/#",))
_NO_TYPE = DeviceType()


@dataclass(frozen=True)
class DeviceConfig:
    """A device with what its type says."""

    name: str
    device: Device
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    labels: Mapping[str, str]
    rate: int = 0
    """How many bytes a second it may send; 0 where it has no limit."""
    metrics: Mapping[str, DeviceMetric] = field(default_factory=dict)
    """What it measures."""


def complete_device(name: str, device: Device, *, types: Mapping[str, DeviceType]) -> DeviceConfig:
    """Return a device with what its type says filled in.

    Raises:
        ValueError: there is no such type.
    """
    if device.type and device.type not in types:
        known = f"There are: {', '.join(sorted(types))}." if types else f"There is no file in {TYPES}/."
        raise ValueError(f"type: there is no {TYPES}/{device.type}.yaml. {known}")
    own = types.get(device.type, _NO_TYPE)
    said: Sequence[Topics] = [one for one in (device, own) if one.topics or one.publish or one.subscribe] or [DEFAULT]
    first = said[0]
    return DeviceConfig(
        name,
        device,
        _fill_in(first.topics + first.publish, name),
        _fill_in(first.topics + first.subscribe, name),
        {**own.labels, **device.labels},
        read_rate(device.rate or own.rate),
        own.metrics,
    )


def _fill_in(topics: Sequence[str], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(topic.replace(_ID, name) for topic in topics))


def expand_rules(rules: Sequence[KeepRule], folder: Path) -> tuple[KeepRule, ...]:
    """Return rules about readings with one for each metric in the place of those that name a type of devices.

    Raises:
        ConfigError: there is no such type, its file is wrong, or it measures nothing.
    """
    expanded: list[KeepRule] = []
    for number, rule in enumerate(rules):
        metrics = _load_metrics(rule.devices, folder, where=f"data.keep.{number}") if rule.devices else {}
        expanded += [one.make_rule(name, rule.devices) for name, one in metrics.items()] if rule.devices else [rule]
    return tuple(expanded)


def _load_metrics(type: str, folder: Path, *, where: str) -> Mapping[str, DeviceMetric]:
    file = f"{TYPES}/{type}.yaml"
    if not NAME.fullmatch(type) or not (folder / file).is_file():
        raise ConfigError([f"stack.yaml: {where}.devices: there is no {file}."])
    metrics = parse_model(DeviceType, read_mapping(folder / file, file), name=file).metrics
    if not metrics:
        raise ConfigError([f"stack.yaml: {where}.devices: {file} has no metrics that could be kept."])
    return metrics
