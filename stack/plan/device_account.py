"""The account of a device at the broker: on which topics it may speak, and nothing else.

Its user has a password that no one is told: RabbitMQ's own check refuses the device's, and asks the program of
stack/devices/ instead, which knows the client id too. Without that a device could log in by another's client id, and
RabbitMQ would end the other's session. What the user may do RabbitMQ decides itself.
"""

import re
from collections.abc import Iterable
from typing import Any

from stack.config.device import DeviceConfig
from stack.config.environment import Secret, SecretContent
from stack.contract import MQTT_EXCHANGE, to_key
from stack.plan.account import Permission, derive, permission_entry, user_entry
from stack.plan.broker import Credentials, hash_password
from stack.plan.definitions import Document

# The service that tells RabbitMQ whether a device may log in, where it is asked, and where it has their digests from.
SERVICE = "devices"
LOGIN_PORT, LOGIN_PATH = 8071, "/user"
LOGINS = "secrets/devices"

_LABEL = b"device"
# A key is a topic with dots for slashes. Of a filter of its own, a device may use a narrower one too, whose + is a *.
_LEVEL, _BELOW = r"[^.#]*", r"(?:\..*)?"
# A longer topic of MQTT fits into no delivery of AMQP.
_SHORT = r"(?=.{0,255}\z)"
_NOTHING = r"(?!)"
# A device that connects again may be there before its older connection has gone.
_LIMITS = {"max-connections": 2, "max-channels": 8}


def describe_devices(key: SecretContent, devices: Iterable[DeviceConfig]) -> dict[str, list[Document]]:
    """Return the definitions of the accounts of devices."""
    document: dict[str, list[Document]] = {"users": [], "permissions": [], "topic_permissions": []}
    for device in devices:
        user = user_entry(device.name, hash_password(_lock(key, device.name)), ())
        document["users"].append({**user, "limits": _LIMITS})
        document["permissions"].append(permission_entry(device.name, _allow(device.name)))
        document["topic_permissions"].append(_describe_topics(device))
    return document


def _lock(key: SecretContent, name: str) -> Credentials:
    return Credentials(name, Secret(derive(key, _LABEL, name).hex()))


def _allow(name: str) -> Permission:
    """Return what a device may do: use the queues of its own client id, and the exchange of MQTT.

    RabbitMQ asks after topics only where an exchange has topic permissions, so that no other may be used.
    """
    own = rf"mqtt-subscription-{re.escape(name)}qos[01]"
    mine = rf"^(?:{own}|{re.escape(MQTT_EXCHANGE)})\z"
    return Permission(rf"^{own}\z", mine, mine)


def _describe_topics(device: DeviceConfig) -> dict[str, Any]:
    return {
        "user": device.name,
        "vhost": "/",
        "exchange": MQTT_EXCHANGE,
        "write": rf"(?s)\A{_SHORT}{write_expression(device.publish)}\z",
        "read": rf"(?s)\A{write_expression(device.subscribe)}\z",
    }


def write_expression(filters: Iterable[str]) -> str:
    """Return an expression for the routing keys that topic filters match, and for the binding keys of narrower ones."""
    found = "|".join(map(_match, filters))
    return f"(?:{found})" if found else _NOTHING


def _match(topic: str) -> str:
    levels = to_key(topic).split(".")
    is_open = levels[-1] == "#"
    kept = levels[:-1] if is_open else levels
    if is_open and not kept:
        return ".*"
    return r"\.".join(_LEVEL if level == "*" else re.escape(level) for level in kept) + (_BELOW if is_open else "")
