"""The account of a device at the broker: on which topics it may speak, and nothing else.

Its user has a password that no one is told: RabbitMQ's own check refuses the device's, and asks the program of
stack/devices/ instead, which knows the client id too. Without that a device could log in by another's client id, and
RabbitMQ would end the other's session. What the user may do RabbitMQ decides itself.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

from stack.config.device import DeviceConfig
from stack.config.environment import Secret, SecretContent
from stack.contract import MQTT_EXCHANGE, device_topic, to_key
from stack.plan.account import Permission, derive, permission_entry, user_entry
from stack.plan.broker import Credentials, hash_password
from stack.plan.definitions import Document

# The service that tells RabbitMQ whether a device may log in, where it is asked, and where it has their digests from.
SERVICE = "devices"
LOGIN_PORT, LOGIN_PATH = 8071, "/user"
LOGINS = "secrets/devices"
# How many bytes a second each device may send that has a limit; below .stack/.
LIMITS = "devices/limits.json"
# Its own account at the broker, of which its container has the password in a file below .stack/; its exchanges.
SERVICE_ACCOUNT = "tidegate-devices"
# Its queue of what devices and functions say to it; that of what the broker says is called like the account.
SERVICE_MESSAGES = f"{SERVICE_ACCOUNT}-messages"
SERVICE_LOGIN, PASSWORD = "secrets/devices-service", "password"
EVENTS, LOG = "amq.rabbitmq.event", "amq.rabbitmq.log"
# Memory of its container: some messages of 16 MiB at once, and 70 MiB with 1,000 devices.
MEMORY = 512 * 1024**2
# Where it keeps what it is to know, and in which volume.
DATA_FOLDER, VOLUME = "/var/lib/tidegate/devices", "devices-data"

_LABEL, _SERVICE_LABEL = b"device", b"devices-service"
# A key is a topic with dots for slashes. Of a filter of its own, a device may use a narrower one too, whose + is a *.
_LEVEL, _BELOW = r"[^.#]*", r"(?:\..*)?"
# A longer topic of MQTT fits into no delivery of AMQP.
_SHORT = r"(?=.{0,255}\z)"
_NOTHING = r"(?!)"
# A device that connects again may be there before its older connection has gone.
_LIMITS = {"max-connections": 2, "max-channels": 8}
_OWN_QUEUE = f"(?:{re.escape(SERVICE_MESSAGES)}|{re.escape(SERVICE_ACCOUNT)})"
_SERVICE = Permission(
    rf"^{_OWN_QUEUE}\z",
    rf"^(?:{_OWN_QUEUE}|{re.escape(MQTT_EXCHANGE)})\z",
    rf"^(?:{_OWN_QUEUE}|{'|'.join(map(re.escape, (MQTT_EXCHANGE, EVENTS, LOG)))})\z",
)
# What every device may publish of itself, and hear, below its own topic: how it is and is to be, and calls.
_ANY_DEVICE = "ANYDEVICE"
_PUBLISHED, _HEARD = ("twin/reported", "ack/+"), ("twin/delta", "cmd/#")


def describe_devices(key: SecretContent, devices: Iterable[DeviceConfig]) -> dict[str, list[Document]]:
    """Return the definitions of the accounts of devices."""
    document: dict[str, list[Document]] = {"users": [], "permissions": [], "topic_permissions": []}
    chosen = tuple(devices)
    if chosen:
        own = service_account(key)
        # It closes the connections of devices that send too much, which RabbitMQ lets no one else do.
        document["users"].append(user_entry(own.username, hash_password(own), tags=("administrator",)))
        document["permissions"].append(permission_entry(own.username, _SERVICE))
        document["topic_permissions"].append(_describe_own_topics())
    for device in chosen:
        user = user_entry(device.name, hash_password(_lock(key, device.name)), tags=())
        document["users"].append({**user, "limits": _LIMITS})
        document["permissions"].append(permission_entry(device.name, _allow(device.name)))
        document["topic_permissions"].append(_describe_topics(device))
    return document


def service_account(key: SecretContent) -> Credentials:
    """Return the account of the service of devices."""
    return Credentials(SERVICE_ACCOUNT, Secret(derive(key, _SERVICE_LABEL, name=SERVICE_ACCOUNT).hex()))


def service_files(key: SecretContent) -> Mapping[str, bytes]:
    """Return the files of SERVICE_LOGIN, by name."""
    return {PASSWORD: service_account(key).password.get_secret_value().encode()}


def _lock(key: SecretContent, name: str) -> Credentials:
    return Credentials(name, Secret(derive(key, _LABEL, name=name).hex()))


def _allow(name: str) -> Permission:
    """Return what a device may do: use the queues of its own client id, and the exchange of MQTT.

    RabbitMQ asks after topics only where an exchange has topic permissions, so that no other may be used.
    """
    own = rf"mqtt-subscription-{re.escape(name)}qos[01]"
    mine = rf"^(?:{own}|{re.escape(MQTT_EXCHANGE)})\z"
    return Permission(rf"^{own}\z", mine, mine)


def _describe_topics(device: DeviceConfig) -> dict[str, Any]:
    """Return on which topics a device may speak: those of its own, and none by which the stack knows of another.

    Its filters may be as wide as its owner likes.
    """
    published, heard = (_write_own(part).replace(_ANY_DEVICE, _escape(device.name)) for part in (_PUBLISHED, _HEARD))
    others = r"(?!tidegate\.(?:devices|requests)\.)"
    return {
        "user": device.name,
        "vhost": "/",
        "exchange": MQTT_EXCHANGE,
        "write": rf"(?s)\A{_SHORT}(?:{published}|{others}{write_expression(device.publish)})\z",
        "read": rf"(?s)\A(?:{heard}|{write_expression(device.subscribe)})\z",
    }


@cache
def _write_own(part: tuple[str, ...]) -> str:
    """Return the expression of a part of what every device may do, with a word for its name: there are many."""
    return write_expression(device_topic(_ANY_DEVICE, one) for one in part)


def _describe_own_topics() -> dict[str, Any]:
    """Return on which topics the service speaks: it hears the stack's own alone, and answers functions anywhere."""
    own = r"\Atidegate\..*\z"
    return {"user": SERVICE_ACCOUNT, "vhost": "/", "exchange": MQTT_EXCHANGE, "write": ".*", "read": own}


def write_expression(filters: Iterable[str]) -> str:
    """Return an expression for the routing keys that topic filters match, and for the binding keys of narrower ones."""
    found = "|".join(map(_match, filters))
    return f"(?:{found})" if found else _NOTHING


# Most levels are those of other devices, too.
_escape = lru_cache(re.escape)


def _match(topic: str) -> str:
    levels = to_key(topic).split(".")
    is_open = levels[-1] == "#"
    kept = levels[:-1] if is_open else levels
    if is_open and not kept:
        return ".*"
    return r"\.".join(_LEVEL if level == "*" else _escape(level) for level in kept) + (_BELOW if is_open else "")
