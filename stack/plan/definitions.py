"""RabbitMQ's definitions as what they are about: documents by kind and identity, spelt alike no matter who wrote them.

A document lists users, policies, queues and so on, as files of definitions and the management API's answer do.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

Document = Mapping[str, Any]
# What tells one thing of a kind from others of it.
Identity = tuple[str, ...]

DEFAULT_TYPE = "classic"
_TYPE = "x-queue-type"


@dataclass(frozen=True)
class Kind:
    """What there may be at the broker: the key of its list, its word, what identifies one, and what else it says.

    `fields` are the values that stand for what is left out. `path` is where the management API has one of them.
    """

    section: str
    word: str
    keys: tuple[str, ...]
    fields: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""

    def identify(self, document: Document) -> Identity:
        """Return what identifies a thing of this kind."""
        return tuple(_spell(document.get(key, "")) for key in self.keys)

    def find_path(self, document: Document) -> str:
        """Return the path of a thing in the management API."""
        names = {key: quote(_spell(document[key]), safe="") for key in self.keys if key in document}
        return self.path.format(**names)


VHOST = Kind("vhosts", "virtual host", ("name",))
USER = Kind("users", "user", ("name",), {"password_hash": "", "tags": []}, "/api/users/{name}")
USER_LIMIT = Kind(
    "user_limits", "limit of the user", ("user", "name"), {"value": None}, "/api/user-limits/{user}/{name}"
)
PERMISSION = Kind(
    "permissions",
    "permissions of",
    ("user", "vhost"),
    {"configure": "", "write": "", "read": ""},
    "/api/permissions/{vhost}/{user}",
)
TOPIC_PERMISSION = Kind(
    "topic_permissions",
    "topic permissions of",
    ("user", "vhost", "exchange"),
    {"write": "", "read": ""},
    "/api/topic-permissions/{vhost}/{user}",
)
VHOST_LIMIT = Kind("vhost_limits", "limit", ("vhost", "name"), {"value": None}, "/api/vhost-limits/{vhost}/{name}")
PARAMETER = Kind(
    "parameters",
    "parameter",
    ("component", "vhost", "name"),
    {"value": None},
    "/api/parameters/{component}/{vhost}/{name}",
)
GLOBAL_PARAMETER = Kind(
    "global_parameters", "global parameter", ("name",), {"value": None}, "/api/global-parameters/{name}"
)
_POLICY_FIELDS = {"pattern": "", "apply-to": "all", "priority": 0, "definition": {}}
POLICY = Kind("policies", "policy", ("vhost", "name"), _POLICY_FIELDS, "/api/policies/{vhost}/{name}")
OPERATOR_POLICY = Kind(
    "operator_policies", "operator policy", ("vhost", "name"), _POLICY_FIELDS, "/api/operator-policies/{vhost}/{name}"
)
EXCHANGE = Kind(
    "exchanges",
    "exchange",
    ("vhost", "name"),
    {"type": "direct", "durable": False, "auto_delete": False, "internal": False, "arguments": {}},
    "/api/exchanges/{vhost}/{name}",
)
QUEUE = Kind(
    "queues",
    "queue",
    ("vhost", "name"),
    {"type": DEFAULT_TYPE, "durable": False, "auto_delete": False, "arguments": {}},
    "/api/queues/{vhost}/{name}",
)
BINDING = Kind(
    "bindings", "binding", ("vhost", "source", "destination_type", "destination", "routing_key", "arguments")
)

# Who consumes, which no definitions tell of.
CONSUMER = Kind("consumers", "consumer", ("connection",), {}, "/api/connections/{connection}")

# In the order in which one may need another.
KINDS = (
    VHOST,
    USER,
    USER_LIMIT,
    PERMISSION,
    TOPIC_PERMISSION,
    VHOST_LIMIT,
    PARAMETER,
    GLOBAL_PARAMETER,
    POLICY,
    OPERATOR_POLICY,
    EXCHANGE,
    QUEUE,
    BINDING,
)


@dataclass(frozen=True)
class Definitions:
    """What is declared, or what is there: the things of each kind by their identities."""

    things: Mapping[str, Mapping[Identity, Document]] = field(default_factory=dict)

    def of(self, kind: Kind) -> Mapping[Identity, Document]:
        """Return the things of a kind."""
        return self.things.get(kind.section, {})

    @property
    def queues(self) -> Mapping[Identity, Document]:
        """Return the queues."""
        return self.of(QUEUE)

    def join(self, other: "Definitions") -> "Definitions":
        """Return the things of both; of two with one identity the other's counts."""
        sections = {*self.things, *other.things}
        return Definitions({one: {**self.things.get(one, {}), **other.things.get(one, {})} for one in sections})


def read_definitions(documents: Sequence[Document]) -> Definitions:
    """Put documents together; of two things with one identity the later counts."""
    things: dict[str, dict[Identity, Document]] = {}
    for document in documents:
        for kind, one in _list_things(document):
            things.setdefault(kind.section, {})[kind.identify(one)] = one
    return Definitions(things)


def as_document(things: Sequence[tuple[Kind, Document]]) -> dict[str, list[Document]]:
    """Return a document that RabbitMQ imports."""
    document: dict[str, list[Document]] = {}
    for kind, one in things:
        for section, written in _write(kind, one):
            document.setdefault(section, []).append(written)
    return document


def _list_things(document: Document) -> Iterator[tuple[Kind, Document]]:
    for one in document.get("users", ()):
        yield USER, {**one, "tags": _read_tags(one.get("tags", []))}
        for name, value in (one.get("limits") or {}).items():
            yield USER_LIMIT, {"user": one["name"], "name": name, "value": value}
    for one in document.get("parameters", ()):
        yield from _read_parameter(one)
    for one in document.get("queues", ()):
        yield QUEUE, _read_queue(one)
    for kind in (VHOST, PERMISSION, TOPIC_PERMISSION, GLOBAL_PARAMETER, POLICY, EXCHANGE, BINDING):
        for one in document.get(kind.section, ()):
            yield kind, one


def _read_parameter(one: Document) -> Iterator[tuple[Kind, Document]]:
    """Read a parameter; RabbitMQ keeps limits of virtual hosts and operator policies as such."""
    value = one.get("value")
    if one["component"] == "operator_policy" and isinstance(value, Mapping):
        yield OPERATOR_POLICY, {"vhost": one["vhost"], "name": one["name"], **value}
    elif one["component"] == "vhost-limits" and isinstance(value, Mapping):
        for name, limit in value.items():
            yield VHOST_LIMIT, {"vhost": one["vhost"], "name": name, "value": limit}
    else:
        yield PARAMETER, one


def _read_queue(one: Document) -> Document:
    """Read a queue; its type is an argument, which newer releases write where no one gave it."""
    arguments = {name: value for name, value in (one.get("arguments") or {}).items() if name != _TYPE}
    return {**one, "type": (one.get("arguments") or {}).get(_TYPE, DEFAULT_TYPE), "arguments": arguments}


def _read_tags(tags: str | Sequence[str]) -> list[str]:
    names = tags.split(",") if isinstance(tags, str) else tags
    return sorted(name.strip() for name in names if name.strip())


def _write(kind: Kind, one: Document) -> Iterator[tuple[str, Document]]:
    """Yield a thing as RabbitMQ imports it, and the list that it belongs to."""
    if kind is QUEUE:
        arguments = dict(one["arguments"])
        if one["type"] != DEFAULT_TYPE:
            arguments[_TYPE] = one["type"]
        yield "queues", {**{name: value for name, value in one.items() if name != "type"}, "arguments": arguments}
    elif kind is OPERATOR_POLICY:
        value = {name: value for name, value in one.items() if name in _POLICY_FIELDS}
        yield "parameters", {"component": "operator_policy", "vhost": one["vhost"], "name": one["name"], "value": value}
    elif kind not in (USER_LIMIT, VHOST_LIMIT):
        yield kind.section, one


def _spell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value or {}, sort_keys=True)
