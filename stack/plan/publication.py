"""What somebody publishes by hand, as read from a form: over AMQP or over MQTT."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stack.config.reading import parse_mapping
from stack.errors import ConfigError

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
