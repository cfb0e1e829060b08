"""The broker: who may use it, how it is reached, and what it is told at its start."""

import base64
import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from stack.config.environment import Secret, SecretRef
from stack.config.settings import Settings
from stack.config.trigger.base import QUORUM
from stack.contract import BROKER_MQTT_URL, BROKER_URL, DEAD, NODES_VARIABLE, RETRY, SIGNATURE_KEY
from stack.plan.definitions import OPERATOR_POLICY, POLICY, QUEUE, Definitions, Document

SERVICE = "rabbitmq-mqtt"
# What all nodes of a broker of several answer to, whichever of them are there.
NODES = "rabbitmq"
AMQP_PORT = 5672
MQTT_PORT = 1883
MANAGEMENT_PORT = 15672
METRICS_PORT = 15692
GUEST = "guest"
# Where functions find it, without an account.
AMQP_URL, MQTT_URL = f"amqp://{SERVICE}:{AMQP_PORT}", f"mqtt://{SERVICE}:{MQTT_PORT}"
# The secret that holds the broker's URL with its password, mounted as the file `broker.url`; and where it speaks MQTT.
BROKER_SECRET = SecretRef(*BROKER_URL.split("."))
MQTT_SECRET = SecretRef(*BROKER_MQTT_URL.split("."))
# The key by which the processor signs what it writes into the headers of a message that is tried again.
SIGNATURE_SECRET = SecretRef(*SIGNATURE_KEY.split("."))
STACK_SECRETS = (MQTT_SECRET, SIGNATURE_SECRET, BROKER_SECRET)
# What the names of RabbitMQ's own exchanges begin with.
RESERVED = "amq."


def list_nodes(settings: Settings) -> tuple[str, ...]:
    """Return the services of the broker's nodes, which are their host names too.

    RabbitMQ's data belongs to a name: the first node has that of a broker of one, and so its data when others come.
    """
    return (SERVICE, *(f"{SERVICE}-{number}" for number in range(2, settings.broker.nodes + 1)))


def is_node(service: str) -> bool:
    """Return whether a service is a node of the broker."""
    return service == SERVICE or service.startswith(f"{SERVICE}-")


def find_host(settings: Settings) -> str:
    """Return where the broker's clients find it in Docker's networks."""
    return SERVICE if settings.broker.nodes == 1 else NODES


def describe_nodes(settings: Settings) -> dict[str, str]:
    """Return what processors are told of the nodes, as variables; nothing of one alone."""
    return {NODES_VARIABLE: str(settings.broker.nodes)} if settings.broker.nodes > 1 else {}


@dataclass(frozen=True)
class Credentials:
    """An account of the broker."""

    username: str
    password: Secret

    @property
    def is_guest(self) -> bool:
        """Return whether it is the account that everybody knows."""
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
    """A queue that is bound to a topic exchange, as a trigger declares both; an output has one of the two."""

    exchange: str
    is_durable_exchange: bool
    queue: str
    is_durable_queue: bool
    topics: tuple[str, ...]
    queue_type: str = ""


def topology(bound: Sequence[Bound], *, is_replicated: bool = False) -> str:
    """Return the definitions of what functions declare themselves when they connect.

    On a broker of several nodes, durable queues are quorum queues, whatever an older deployment says.

    An exchange that is not durable is gone when the broker restarts, with all that is bound to it. Definitions are
    imported before the first client is let in, so that no message slips past a function that is not back yet.
    """
    # RabbitMQ makes its own exchanges itself, and lets no one declare them.
    named = [one for one in bound if one.exchange and not one.exchange.startswith(RESERVED)]
    exchanges = {one.exchange: _exchange(one) for one in named}
    queues = {one.queue: _queue(_replicate(one) if is_replicated else one) for one in bound if one.queue}
    bindings = [_binding(one, topic) for one in bound for topic in one.topics]
    document = {"exchanges": list(exchanges.values()), "queues": list(queues.values()), "bindings": bindings}
    return json.dumps(document, indent=2) + "\n"


def _replicate(one: Bound) -> Bound:
    return replace(one, queue_type=QUORUM) if one.is_durable_queue else one


def has_own_account(url: str) -> bool:
    """Return whether a url logs in as somebody else than the guest of the tutorial."""
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


_MEGABYTE = 1000 * 1000
_DAY_MILLISECONDS = 24 * 3600 * 1000
# Only a quorum queue counts deliveries, and forgets a message after 20 unless it is told otherwise. A function has a
# rule of its own, by attempts. Without any limit RabbitMQ would put what is given back behind all others.
_DELIVERIES = {"delivery-limit": 1_000_000_000}
_REFUSE = {"overflow": "reject-publish"}
_DROP_OLDEST = {"overflow": "drop-head"}
# The queues that the example's functions answer on: what is read there now and then, or never.
EXAMPLES = re.compile("^iot/(logs|alerts)$")
_EXAMPLE_MEGABYTES = 10
# One policy alone applies to a queue: that of the highest priority whose pattern matches.
_ALL, _TEMPORARY, _DEAD = 0, 1, 2


@dataclass(frozen=True)
class Policy:
    """What holds for the queues whose names match a pattern, of the one type and of the other."""

    name: str
    pattern: str
    priority: int
    definition: Mapping[str, Any]

    def documents(self) -> Iterator[dict[str, Any]]:
        """Yield it as RabbitMQ takes it: a policy with a key that a type of queues does not know is none for these."""
        for queues, more in (("classic_queues", {}), ("quorum_queues", _DELIVERIES)):
            yield {
                "vhost": "/",
                "name": f"{self.name}-{queues.partition('_')[0]}",
                "pattern": self.pattern,
                "apply-to": queues,
                "definition": {**self.definition, **more},
                "priority": self.priority,
            }


def policies(settings: Settings) -> str:
    """Return the definitions of the policies as a JSON document.

    A full queue refuses publishers, so that nothing that was confirmed is lost. Dead letters are kept for a while, and
    the oldest go first: were new ones refused, the function would have to hold them, and to stop. What waits for a
    client that has left for a moment drops the oldest too: it must not stand in the way of an exchange's other queues.
    So does what functions of the example say while no one listens: were it refused, their events would fail.
    """
    most = settings.queue.megabytes * _MEGABYTE
    dead = {
        "max-length-bytes": settings.dead_letters.megabytes * _MEGABYTE,
        "message-ttl": settings.dead_letters.days * _DAY_MILLISECONDS,
        **_DROP_OLDEST,
    }
    found = (
        Policy("tidegate-queues", ".*", _ALL, {"max-length-bytes": most, **_REFUSE}),
        Policy(
            "tidegate-temporary",
            r"^(amq\.gen|mqtt-subscription-|tidegate-)",
            _TEMPORARY,
            {"max-length-bytes": most, **_DROP_OLDEST},
        ),
        Policy(
            "tidegate-examples",
            EXAMPLES.pattern,
            _TEMPORARY,
            {"max-length-bytes": min(most, _EXAMPLE_MEGABYTES * _MEGABYTE), **_DROP_OLDEST},
        ),
        Policy("tidegate-dead", re.escape(DEAD) + "$", _DEAD, dead),
    )
    return json.dumps({"policies": [one for policy in found for one in policy.documents()]}, indent=2) + "\n"


_VHOST = "/"


def find_overrides(
    wanted: Definitions, found: Definitions, *, queues: Collection[str]
) -> Iterator[tuple[Document, Document, str]]:
    """Yield each policy that applies in the place of a declared one, that one, and the first queue where it does.

    `queues` are those of functions; to what users make for themselves their own policies may apply.
    """
    declared = list(wanted.of(POLICY).values())
    foreign = [one for identity, one in found.of(POLICY).items() if identity not in wanted.of(POLICY)]
    for one in foreign:
        for queue in _own_queues(wanted, found, queues=queues):
            own = _choose(declared, queue)
            if own and _matches(one, queue) and _priority(one) >= _priority(own):
                yield one, own, queue["name"]
                break


def find_operator_policies(
    wanted: Definitions, found: Definitions, *, queues: Collection[str]
) -> Iterator[tuple[Document, str]]:
    """Yield each operator policy that is not declared and applies to a function's queue, and the first such queue."""
    for identity, one in found.of(OPERATOR_POLICY).items():
        if identity not in wanted.of(OPERATOR_POLICY):
            names = (queue["name"] for queue in _own_queues(wanted, found, queues=queues) if _matches(one, queue))
            if name := next(names, ""):
                yield one, name


def _own_queues(wanted: Definitions, found: Definitions, *, queues: Collection[str]) -> Iterator[Document]:
    """Yield the queues of functions as they are declared or, if they only are there, as they are."""
    yield from wanted.of(QUEUE).values()
    for identity, one in found.of(QUEUE).items():
        if identity not in wanted.of(QUEUE) and _find_source(one["name"]) in queues:
            yield one


def _find_source(name: str) -> str:
    """Return the queue to which one belongs that holds retries or dead letters; the queue itself if it is neither."""
    return name.partition(RETRY)[0].removesuffix(DEAD)


def _choose(policies: Sequence[Document], queue: Document) -> Document | None:
    return max((one for one in policies if _matches(one, queue)), key=_priority, default=None)


def _priority(policy: Document) -> float:
    return float(policy.get("priority", 0))


def _matches(policy: Document, queue: Document) -> bool:
    kinds = ("all", "queues", f"{queue['type']}_queues")
    if policy.get("vhost", _VHOST) != queue.get("vhost", _VHOST) or policy.get("apply-to", "all") not in kinds:
        return False
    try:
        return re.search(policy.get("pattern", ""), queue["name"]) is not None
    except re.error:
        # RabbitMQ's expressions know a little more than Python's.
        return False
