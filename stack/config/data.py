"""The part `data` of stack.yaml: which readings are kept, of which topics, and for how long."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from stack.config.document import Document
from stack.config.trigger.base import RESERVED, ShortName
from stack.config.trigger.mqtt import Subscription
from stack.config.value import memory_bytes
from stack.contract import OWN_LABELS, parse_days, parse_duration

# What VictoriaMetrics, as Prometheus, takes for the name of a metric, and of a label.
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
# RFC 6901.
_POINTER = re.compile(r"(/([^~/]|~[01])*)*")
_PLACE = re.compile(r"\{([^}]*)\}")
_HEADER = "header."
# VictoriaMetrics passes over a series with more than 40, some of which are ours.
_MOST_LABELS = 30
# Of a metric that no one names, at a topic that ends with a wildcard.
READING = "reading"
_LEAST = "64Mi"
_HOUR = 3600.0
_DAY = 24 * _HOUR


def _check_pointer(text: str) -> str:
    if not text.startswith("/") or not _POINTER.fullmatch(text):
        raise ValueError(f"should be a JSON pointer such as /t or /values/0, not {text!r}")
    return text


def _check_metric(text: str) -> str:
    if text and not _METRIC.fullmatch(text):
        raise ValueError(f"should be a name of letters, digits and _ that begins with no digit, not {text!r}")
    return text


Pointer = Annotated[str, AfterValidator(_check_pointer)]
Metric = Annotated[str, AfterValidator(_check_metric)]


class FromJson(Document):
    """A part of a body that is JSON."""

    pointer: Pointer = Field(alias="json")
    """Where it is, as a JSON pointer: /t is the value of the key t."""


class KeepRule(Document):
    """One kind of readings: where they come from, and what they are called."""

    topic: str = ""
    """An MQTT topic filter; + is any one level, # all that follow."""
    devices: str = ""
    """A type of devices instead, the name of a file of device-types/: all of its metrics, with the label device."""
    exchange: ShortName = ""
    """A topic exchange of AMQP, instead of a topic."""
    key: ShortName = "#"
    """The routing keys of it; * is any one word, # all that follow."""
    durable: bool = False
    """Whether the exchange is kept when the broker restarts."""
    metric: Metric = ""
    """What the readings are called; where left out, the last level of the topic."""
    value: str | FromJson = "body"
    """Where the number is: the body, or {json: /t}."""
    values: dict[str, Pointer] = {}
    """Several of one JSON body, each metric with its JSON pointer, instead of metric and value."""
    labels: Annotated[dict[str, str | FromJson], Field(max_length=_MOST_LABELS)] = {}
    """What tells series apart: a text in which {2} is the second level of the topic, or header.NAME, or {json: /id}.
    Where left out, the topic is the label."""
    time: str = ""
    """Where the time of the reading is: a JSON pointer or header.NAME. Where left out, it is looked for."""

    def __hash__(self) -> int:
        """Return a hash, which settings have, also of the mappings in it."""
        return hash(self.model_dump_json())

    @property
    def takes_all(self) -> bool:
        """Return whether it names no values: every number is kept, and all else passed over."""
        is_open = self.topic.rpartition("/")[2] in ("+", "#")
        return is_open and not (self.metric or self.values or "value" in self.model_fields_set)

    @property
    def name(self) -> str:
        """Return what its readings are called, unless `values` says it."""
        last = self.topic.rpartition("/")[2]
        return self.metric or (READING if last in ("+", "#") else re.sub(r"\W|^(?=\d)", "_", last, flags=re.ASCII))

    @model_validator(mode="after")
    def _has_source(self) -> Self:
        if [bool(one) for one in (self.topic, self.exchange, self.devices)].count(True) != 1:
            raise ValueError("should have either a topic, such as plant/+/temperature, or an exchange, or devices")
        if self.devices and self.model_fields_set != {"devices"}:
            raise ValueError("devices names a type that says all else, so that nothing else has a place beside it")
        if self.exchange.startswith(RESERVED):
            raise ValueError(
                f"exchange should be one of your own; what MQTT clients publish has a topic: {self.exchange!r}"
            )
        if self.topic:
            Subscription.model_validate({"topic": self.topic})
        return self

    @model_validator(mode="after")
    def _has_value(self) -> Self:
        if self.values and ("value" in self.model_fields_set or self.metric):
            raise ValueError(
                "values names metrics and where they are, so that metric and value have no place beside it"
            )
        if isinstance(self.value, str) and self.value != "body":
            raise ValueError(f"value should be body, or such as {{json: /t}}, not {self.value!r}")
        if self.exchange and not (self.metric or self.values):
            raise ValueError("an exchange needs a metric, or values, that say what its readings are called")
        for name in self.values:
            _check_metric(name)
        return self

    @field_validator("labels")
    @classmethod
    def _are_labels(cls, value: dict[str, str | FromJson]) -> dict[str, str | FromJson]:
        for name, text in value.items():
            if not LABEL.fullmatch(name):
                raise ValueError(f"{name!r} is no label: letters, digits and _, at the beginning no digit and no __")
            if name.startswith(OWN_LABELS):
                raise ValueError(f"{name} is a label that Tidegate sets; choose one that does not begin so")
            if isinstance(text, str):
                _check_template(text)
        return value

    @field_validator("time")
    @classmethod
    def _is_place(cls, value: str) -> str:
        if value and not (value.startswith(_HEADER) or (value.startswith("/") and _POINTER.fullmatch(value))):
            raise ValueError(f"should be a JSON pointer such as /ts, or such as header.time, not {value!r}")
        return value


def _check_template(text: str) -> None:
    for place in _PLACE.findall(text):
        if not place.isdigit() or not int(place):
            raise ValueError(
                f"{{{place}}} should be the number of a level of the topic: {{1}} is the first, in {text!r}"
            )


class Data(Document):
    """What is kept of readings, and how much of this machine that may take."""

    keep: tuple[KeepRule, ...] = ()
    """Which readings; with one, the stack has a store for them, and a recorder that fills it."""
    retention: str = "400d"
    """How long they are kept: days, or a duration such as 48h; what is older goes."""
    scrape: str = "15s"
    """How often the stack's own figures are stored too: events, queues, requests; 0s for never."""
    grafana: bool = False
    """Whether the stack has Grafana, with this data and two dashboards; it comes from a registry only."""
    memory: str = "512Mi"
    """The memory of the store's container."""
    disk_free: str = Field("1G", alias="disk_free")
    """While less of the disk is free, nothing is stored: readings wait in their queue."""

    @property
    def is_kept(self) -> bool:
        """Return whether there is a store."""
        return bool(self.keep)

    @property
    def memory_bytes(self) -> int:
        """Return the store's memory in bytes."""
        return memory_bytes(self.memory)

    @property
    def disk_free_bytes(self) -> int:
        """Return the bytes of the disk that stay free."""
        return memory_bytes(self.disk_free)

    @property
    def retention_seconds(self) -> float:
        """Return how long readings are kept."""
        return parse_days(self.retention)

    @field_validator("retention")
    @classmethod
    def _is_retention(cls, value: str) -> str:
        try:
            seconds = parse_days(value)
        except ValueError:
            raise ValueError(f"should be such as 400d or 48h, not {value!r}") from None
        # VictoriaMetrics takes nothing less.
        if not _DAY <= seconds <= 100 * 366 * _DAY:
            raise ValueError(f"should be between 1d and 100 years, not {value!r}")
        return value

    @property
    def scrape_seconds(self) -> float:
        """Return the seconds between two looks at the stack's own figures; 0 for none."""
        return parse_duration(self.scrape)

    @property
    def is_scraped(self) -> bool:
        """Return whether the store has the stack's own figures as well."""
        return self.is_kept and self.scrape_seconds > 0

    @field_validator("scrape")
    @classmethod
    def _is_interval(cls, value: str) -> str:
        try:
            seconds = parse_duration(value)
        except ValueError:
            raise ValueError(f"should be such as 15s, not {value!r}") from None
        if seconds and not 1 <= seconds <= _HOUR:
            raise ValueError(f"should be between 1s and 1h, or 0s for never, not {value!r}")
        return value

    @field_validator("memory", "disk_free")
    @classmethod
    def _is_quantity(cls, value: str) -> str:
        if memory_bytes(value) < memory_bytes(_LEAST):
            raise ValueError(f"should be at least {_LEAST}, not {value!r}")
        return value
