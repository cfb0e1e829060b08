"""What somebody publishes by hand, as read from a form: over AMQP or over MQTT."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stack.config.trigger.registry import kind_of
from stack.config.yaml_loader import parse_mapping
from stack.contract import EXCHANGE, ROUTING_KEY, SIGNATURE
from stack.errors import ConfigError
from stack.plan.broker import Bound
from stack.plan.function import FunctionPlan, find_queues
from stack.plan.trigger.registry import KINDS, find_kind
from stack.processor.source.rabbitmq.headers import Origin, sign

# What a header may be; AMQP knows more, which no form gives.
Header = str | int | float | bool

# Bytes that are left of MQTT's limit of a topic, and AMQP's of a key.
_LONGEST_TOPIC, _LONGEST_KEY = 65535, 255
_QOS = ("0", "1")


@dataclass(frozen=True)
class AmqpMessage:
    """A message for an exchange; the one with an empty name leads to the queue that the key names."""

    exchange: str
    key: str
    body: bytes
    headers: Mapping[str, Header] = field(default_factory=dict)
    content_type: str = ""
    correlation_id: str = ""
    reply_to: str = ""
    message_id: str = ""
    is_persistent: bool = True


@dataclass(frozen=True)
class MqttMessage:
    """A message for a topic."""

    topic: str
    body: bytes
    qos: int = 0
    is_retained: bool = False


def read_amqp(form: Mapping[str, str]) -> AmqpMessage:
    """Read a message for AMQP.

    Raises:
        ConfigError: the key is too long, or the headers are no mapping of plain values.
    """
    key = form.get("key", "")
    if len(key.encode()) > _LONGEST_KEY:
        raise ConfigError([f"key: may have {_LONGEST_KEY} bytes"])
    return AmqpMessage(
        exchange=form.get("exchange", ""),
        key=key,
        body=form.get("body", "").encode(),
        headers=_read_headers(form.get("headers", "")),
        content_type=form.get("content_type", ""),
        correlation_id=form.get("correlation_id", ""),
        reply_to=form.get("reply_to", ""),
        message_id=form.get("message_id", ""),
        is_persistent=form.get("persistent") == "on",
    )


def read_mqtt(form: Mapping[str, str]) -> MqttMessage:
    """Read a message for MQTT.

    Raises:
        ConfigError: the topic is none that can be published to, or the quality of service none that RabbitMQ has.
    """
    topic, qos = form.get("topic", ""), form.get("qos", "0")
    if not topic or len(topic.encode()) > _LONGEST_TOPIC or any(character in topic for character in "+#\0"):
        raise ConfigError(["topic: should be a topic without + and #, such as iot/sensors/temperature"])
    if qos not in _QOS:
        raise ConfigError([f"qos: should be {' or '.join(_QOS)}"])
    return MqttMessage(topic, form.get("body", "").encode(), int(qos), form.get("retain") == "on")


def _read_headers(text: str) -> dict[str, Header]:
    headers = parse_mapping(text, "headers") if text.strip() else {}
    wrong = [name for name, value in headers.items() if not isinstance(value, Header)]
    if wrong:
        raise ConfigError([f"headers.{name}: should be a text, a number, true or false" for name in wrong])
    return headers


# Stands for what a wildcard leaves open.
_ANY = "test"


@dataclass(frozen=True)
class TestMessage:
    """What a function is tried with; `address` is the topic or routing key that its event tells."""

    address: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = ""


@dataclass(frozen=True)
class QueueTarget:
    """A trigger's queue, and where a message in it may seem to have been published.

    `address` is an example of it: a topic of MQTT, or a routing key of the exchange; of a queue without one, its name.
    """

    trigger: str
    kind: str
    queue: str
    exchange: str
    address: str

    def find_key(self, address: str) -> str:
        """Return the routing key of an address."""
        return KINDS[self.kind].to_key(address)

    def enclose(self, trial: TestMessage, signature_key: bytes) -> AmqpMessage:
        """Return the message for the queue alone; the processor reads from its headers where it was published.

        It believes them for their signature, which is made with the function's key.
        """
        headers = {**trial.headers, **(self._sign(trial, signature_key) if self.exchange else {})}
        return AmqpMessage("", self.queue, trial.body, headers, trial.content_type, is_persistent=False)

    def _sign(self, trial: TestMessage, key: bytes) -> dict[str, str]:
        routing_key = self.find_key(trial.address)
        signature = sign(key, self.queue, Origin(self.exchange, routing_key), trial.body)
        return {EXCHANGE: self.exchange, ROUTING_KEY: routing_key, SIGNATURE: signature}


def find_targets(plan: FunctionPlan) -> tuple[QueueTarget, ...]:
    """List the queues of a function that a test message can be put into; a trigger whose broker is another has none."""
    return tuple(
        _describe(plan, name, bound)
        for name, bound in find_queues(plan).items()
        if find_kind(plan.triggers[name]).is_on_stack(plan.triggers[name])
    )


def _describe(plan: FunctionPlan, name: str, bound: Bound) -> QueueTarget:
    kind = kind_of(plan.triggers[name])
    if not bound.topics:
        return QueueTarget(name, kind, bound.queue, "", bound.queue)
    address = fill_wildcards(KINDS[kind].to_address(bound.topics[0]))
    return QueueTarget(name, kind, bound.queue, bound.exchange, address)


def fill_wildcards(pattern: str) -> str:
    """Return a topic or a routing key that a pattern lets through."""
    return pattern.replace("*", _ANY).replace("+", _ANY).replace("#", _ANY)


# Names of a field that holds a reading, in the order in which they are looked for.
_FIELDS = ("value", "temperature", "reading")


def read_text(body: bytes, longest: int) -> str:
    """Return the first so many characters of a body; of bytes that are no text, their number."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return f"{len(body)} bytes that are no text"
    more = len(text) - longest
    return f"{text[:longest]}… ({more} characters more)" if more > 0 else text


def read_number(body: bytes) -> float | None:
    """Return the number that a body is, or that is the reading of its JSON object; None if there is none."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(document, dict):
        document = _find_reading(document)
    if isinstance(document, bool) or not isinstance(document, int | float):
        return None
    try:
        number = float(document)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _find_reading(document: dict[str, Any]) -> Any:
    named = (document[name] for name in _FIELDS if name in document)
    numbers = [value for value in document.values() if isinstance(value, int | float)]
    return next(named, numbers[0] if len(numbers) == 1 else None)
