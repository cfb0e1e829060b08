"""Addresses of brokers and of code."""

from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator

_AMQP = ("amqp://", "amqps://")
# Without a scheme it is plain TCP.
_MQTT = ("", "tcp", "mqtt", "ssl", "tls", "mqtts", "ws", "wss")
# Hosts that a trigger's url may name to mean the stack's own broker.
_OWN_HOSTS = ("rabbitmq-mqtt", "rabbitmq")


def is_own_broker(url: str) -> bool:
    """Say whether a trigger's url means the stack's broker: it is empty, or names its service."""
    return not url or _split(url).hostname in _OWN_HOSTS


def _split(url: str) -> SplitResult:
    return urlsplit(url if "://" in url else f"//{url}")


def _check(text: str) -> str:
    try:
        _ = _split(text).port
    except ValueError as error:
        raise ValueError(f"should be an address such as amqp://broker.example:5672, not {text!r} ({error})") from error
    return text


Address = Annotated[str, AfterValidator(_check)]


# What is wrong with an address is not repeated: there may be a password in it.
def _check_amqp(text: str) -> str:
    if not is_own_broker(text) and not (text.startswith(_AMQP) and _is_host(_split(text).hostname or "localhost")):
        raise ValueError("should be an address such as amqp://broker.example:5672, or one that begins with amqps://")
    return text


def _check_mqtt(text: str) -> str:
    parts = _split(text)
    if not is_own_broker(text) and not (parts.scheme in _MQTT and _is_host(parts.hostname or "")):
        schemes = ", ".join(f"{scheme}://" for scheme in _MQTT if scheme)
        raise ValueError(f"should be an address such as mqtt://broker.example:1883; it may begin with {schemes}")
    return text


def _is_host(name: str) -> bool:
    return bool(name) and not any(character.isspace() for character in name)


AmqpAddress = Annotated[Address, AfterValidator(_check_amqp)]
MqttAddress = Annotated[Address, AfterValidator(_check_mqtt)]


def _check_place(text: str) -> str:
    try:
        urlsplit(text)
    except ValueError as error:
        raise ValueError(f"should be an address such as https://code.example/function.zip ({error})") from error
    return text


Place = Annotated[str, AfterValidator(_check_place)]
"""A URL, or a path of this machine."""
