"""The broker: who may use it, how it is reached, and what it is told at its start."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from stack.config.secret import Secret

SERVICE = "rabbitmq-mqtt"
AMQP_PORT = 5672
MQTT_PORT = 1883
MANAGEMENT_PORT = 15672
METRICS_PORT = 15692
GUEST = "guest"
# The exchange through which RabbitMQ takes what devices publish over MQTT.
MQTT_EXCHANGE = "amq.topic"
# What the names of RabbitMQ's own exchanges begin with.
RESERVED = "amq."


@dataclass(frozen=True)
class Credentials:
    """An account of the broker."""

    username: str
    password: Secret

    @property
    def is_guest(self) -> bool:
        """Say whether it is the account that everybody knows."""
        return self.username == GUEST

    def url(self, host: str, port: int, scheme: str = "amqp") -> str:
        """Return the URL of a broker, with the password in it."""
        user, word = quote(self.username, safe=""), quote(self.password.get_secret_value(), safe="")
        return f"{scheme}://{user}:{word}@{host}:{port}/"


GUEST_CREDENTIALS = Credentials(GUEST, Secret(GUEST))


def hash_password(credentials: Credentials) -> str:
    """Hash a password as RabbitMQ does: base64 of a 4-byte salt and SHA-256 of salt and password.

    The salt is made of the user's name, so that the same credentials always render to the same file.
    """
    salt = _find_salt(credentials.username)
    word = credentials.password.get_secret_value().encode()
    return base64.b64encode(salt + hashlib.sha256(salt + word).digest()).decode()


def is_own_hash(username: str, password_hash: str) -> bool:
    """Return whether `hash_password` made the hash of a user's password: RabbitMQ's own salts are random."""
    try:
        return base64.b64decode(password_hash, validate=True).startswith(_find_salt(username))
    except ValueError:
        return False


def _find_salt(username: str) -> bytes:
    return hashlib.sha256(username.encode()).digest()[:4]


@dataclass(frozen=True)
class Bound:
    """A queue that is bound to a topic exchange, as a function's trigger declares both."""

    exchange: str
    is_durable_exchange: bool
    queue: str
    is_durable_queue: bool
    topics: tuple[str, ...]
    queue_type: str = ""


def topology(bound: Sequence[Bound]) -> str:
    """Return the definitions of what functions declare themselves when they connect.

    An exchange that is not durable is gone when the broker restarts, with all that is bound to it. Definitions are
    imported before the first client is let in, so that no message slips past a function that is not back yet.
    """
    # RabbitMQ makes its own exchanges itself, and lets nobody declare them.
    exchanges = {one.exchange: _exchange(one) for one in bound if not one.exchange.startswith(RESERVED)}
    queues = {one.queue: _queue(one) for one in bound}
    bindings = [_binding(one, topic) for one in bound for topic in one.topics]
    document = {"exchanges": list(exchanges.values()), "queues": list(queues.values()), "bindings": bindings}
    return json.dumps(document, indent=2) + "\n"


def has_own_account(url: str) -> bool:
    """Say whether a url logs in as somebody else than the guest of the tutorial."""
    parts = urlsplit(url if "://" in url else f"//{url}")
    return unquote(parts.username or GUEST) != GUEST


def _exchange(one: Bound) -> dict[str, object]:
    flags = {"durable": one.is_durable_exchange, "auto_delete": False, "internal": False}
    return {"name": one.exchange, "vhost": "/", "type": "topic", **flags, "arguments": {}}


def _queue(one: Bound) -> dict[str, object]:
    flags = {"durable": one.is_durable_queue, "auto_delete": False}
    arguments = {"x-queue-type": one.queue_type} if one.queue_type else {}
    return {"name": one.queue, "vhost": "/", **flags, "arguments": arguments}


def _binding(one: Bound, topic: str) -> dict[str, object]:
    ends = {"source": one.exchange, "destination": one.queue, "destination_type": "queue"}
    return {"vhost": "/", **ends, "routing_key": topic, "arguments": {}}
