"""What is told of a broker that somebody changed by hand, and what is not: it is theirs."""

from copy import deepcopy
from typing import Any

import pytest

from stack.config.environment import Secret
from stack.plan.broker import Credentials, hash_password
from stack.plan.definitions import as_document, read_definitions
from stack.plan.drift import find_drift, find_occupations

Document = dict[str, Any]

_BINDING = {"vhost": "/", "source": "e", "destination": "q", "destination_type": "queue", "routing_key": "a.*"}
_POLICY = {"vhost": "/", "name": "ours", "pattern": ".*", "apply-to": "all", "priority": 0, "definition": {"a": 1}}
WANTED: Document = {
    "vhosts": [{"name": "/"}],
    "users": [{"name": "ann", "password_hash": "x", "hashing_algorithm": "sha", "tags": ["administrator"]}],
    "permissions": [{"user": "ann", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
    "policies": [_POLICY],
    "exchanges": [{"vhost": "/", "name": "e", "type": "topic", "durable": False}],
    "queues": [{"vhost": "/", "name": "q", "durable": True, "arguments": {"x-queue-type": "quorum"}}],
    "bindings": [{**_BINDING, "arguments": {}}],
}
_QUEUE = {"vhost": "/", "durable": True, "auto_delete": False, "arguments": {"x-queue-type": "quorum"}}
_RETRY = {"x-queue-type": "quorum", "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q"}
# As /api/definitions tells it, which says more.
FOUND: Document = {
    "vhosts": [{"name": "/", "description": "", "metadata": {}, "default_queue_type": "classic"}],
    "users": [{**WANTED["users"][0], "limits": {}}],
    "permissions": deepcopy(WANTED["permissions"]),
    "topic_permissions": [],
    "parameters": [],
    "global_parameters": [{"name": "cluster_tags", "value": []}],
    "policies": deepcopy(WANTED["policies"]),
    "exchanges": [{**WANTED["exchanges"][0], "auto_delete": False, "internal": False, "arguments": {}}],
    "queues": [
        {**_QUEUE, "name": "q"},
        {**_QUEUE, "name": "q.retry.5000ms", "arguments": {**_RETRY, "x-message-ttl": 5000}},
        {**_QUEUE, "name": "q.dead"},
        {"vhost": "/", "name": "taken", "durable": False, "auto_delete": False, "arguments": {}},
    ],
    "bindings": deepcopy(WANTED["bindings"]),
}


def tell(found: Document) -> dict[str, str]:
    drift = find_drift(read_definitions([WANTED]), read_definitions([found]), taken=["taken"])
    return {one.subject: f"{one.action}: {one.reason}" for one in drift}


def change(section: str, number: int = 0, **values: Any) -> Document:
    found = deepcopy(FOUND)
    found[section][number] |= values
    return found


def remove(section: str, number: int = 0) -> Document:
    found = deepcopy(FOUND)
    del found[section][number]
    return found


def add(section: str, **values: Any) -> Document:
    found = deepcopy(FOUND)
    found[section].append(values)
    return found


def limit(component: str, value: Document, name: str = "by hand") -> Document:
    return add("parameters", component=component, vhost="/", name=name, value=value)


BINDING_NAME = "binding e → q (a.*)"


@pytest.mark.parametrize(
    ("found", "subject", "told"),
    [
        (remove("vhosts"), "virtual host /", "create: is missing at the broker"),
        (remove("users"), "user ann", "create: is missing at the broker"),
        (change("users", password_hash="y"), "user ann", "change: its password was changed"),
        (change("users", tags=[]), "user ann", "change: tags: none instead of administrator"),
        (
            change("users", limits={"max-connections": 1}),
            "limit max-connections of user ann",
            "remove: is not declared",
        ),
        (remove("permissions"), "permissions of ann", "create: is missing at the broker"),
        (change("permissions", write="^$"), "permissions of ann", "change: write: ^$ instead of .*"),
        (
            add("topic_permissions", user="ann", vhost="/", exchange="amq.topic", write="^$", read=".*"),
            "topic permissions of ann on amq.topic",
            "remove: is not declared",
        ),
        (limit("vhost-limits", {"max-queues": 0}), "limit max-queues of virtual host /", "remove: is not declared"),
        (
            add("global_parameters", name="mqtt_default_vhosts", value={}),
            "global parameter mqtt_default_vhosts",
            "remove: is not declared",
        ),
        (remove("policies"), "policy ours", "create: is missing at the broker"),
        (change("policies", definition={"a": 2}), "policy ours", "change: definition: a=2 instead of a=1"),
        (change("policies", pattern="^$"), "policy ours", "change: pattern: ^$ instead of .*"),
        (change("policies", priority=-3), "policy ours", "change: priority: -3 instead of 0"),
        (
            add("policies", **_POLICY | {"name": "theirs", "priority": 1}),
            "policy theirs",
            "change: takes the place of the policy ours on the queue q; its priority is to be -1",
        ),
        (
            limit("operator_policy", {"pattern": "^q$", "definition": {"max-length": 1}, "apply-to": "queues"}),
            "operator policy by hand",
            "remove: limits the queue q",
        ),
        (remove("exchanges"), "exchange e", "create: is missing at the broker"),
        (change("exchanges", type="fanout"), "exchange e", "replace: type: fanout instead of topic"),
        (change("exchanges", durable=True), "exchange e", "replace: durable: yes instead of no"),
        (change("exchanges", internal=True), "exchange e", "replace: internal: yes instead of no"),
        (remove("queues"), "queue q", "create: is missing at the broker"),
        (change("queues", arguments={}), "queue q", "replace: type: classic instead of quorum"),
        (change("queues", durable=False), "queue q", "replace: durable: no instead of yes"),
        (
            change("queues", arguments={"x-queue-type": "quorum", "x-max-length": 1}),
            "queue q",
            "replace: arguments: x-max-length=1 instead of none",
        ),
        (
            change("queues", 1, arguments=_RETRY),
            "queue q.retry.5000ms",
            "replace: its argument x-message-ttl is not as declared",
        ),
        (
            change("queues", 2, arguments={"x-queue-type": "quorum", "x-expires": 1}),
            "queue q.dead",
            "replace: its argument x-expires loses dead letters",
        ),
        (remove("queues", 3), "queue taken", "create: is missing at the broker"),
        (remove("bindings"), BINDING_NAME, "create: is missing at the broker"),
        (change("bindings", routing_key="b"), BINDING_NAME, "create: is missing at the broker"),
        (change("bindings", arguments={"x": 1}), BINDING_NAME, "create: is missing at the broker"),
    ],
)
def test_what_was_changed_by_hand_is_told(found: Document, subject: str, told: str) -> None:
    assert tell(found)[subject] == told


@pytest.mark.parametrize(
    "left",
    [
        add("exchanges", vhost="/", name="e.moving", type="topic", durable=False),
        add("policies", vhost="/", name="e.moving", pattern="^e$", **{"apply-to": "exchanges"}, priority=1),
    ],
)
def test_exchange_whose_replacement_was_interrupted_is_replaced_again(left: Document) -> None:
    assert tell(left) == {"exchange e": "replace: was to be replaced, which goes on"}
    left["exchanges"][0]["durable"] = True
    assert tell(left) == {"exchange e": "replace: was to be replaced, which goes on"}


THEIR_POLICY = {"vhost": "/", "name": "theirs", "priority": 5, "definition": {"max-length": 1}, "apply-to": "queues"}


@pytest.mark.parametrize(
    "found",
    [
        FOUND,
        add("users", name="bob", password_hash="z", tags=[], limits={"max-channels": 1}),
        add("permissions", user="bob", vhost="/", configure="", write="", read=".*"),
        add("permissions", user="ann", vhost="lab", configure=".*", write=".*", read=".*"),
        add("topic_permissions", user="bob", vhost="/", exchange="e", write="", read=""),
        add("exchanges", vhost="/", name="own", type="fanout", durable=True),
        add("queues", vhost="/", name="own", durable=False, arguments={}),
        add("queues", vhost="/", name="own.dead", durable=False, arguments={"x-expires": 5}),
        add("bindings", **_BINDING | {"destination": "own", "arguments": {}}),
        add("bindings", **_BINDING | {"routing_key": "more", "arguments": {}}),
        add("policies", **THEIR_POLICY | {"pattern": "^own"}),
        add("policies", **THEIR_POLICY | {"pattern": ".*", "priority": -1}),
        add("policies", **THEIR_POLICY | {"pattern": ".*", "apply-to": "exchanges"}),
        add("policies", **THEIR_POLICY | {"pattern": "(?unknown"}),
        limit("operator_policy", {"pattern": "^own", "definition": {"max-length": 1}, "apply-to": "queues"}),
        limit("federation-upstream", {"uri": "amqp://far.example"}),
        add("global_parameters", name="own", value=1),
        change("queues", 3, durable=True, arguments={"x-max-length": 3}),
    ],
)
def test_what_users_add_is_theirs(found: Document) -> None:
    assert tell(found) == {}


def declare_user(name: str, tags: tuple[str, ...] = ()) -> Document:
    made = Credentials(name, Secret("password"))
    return {"name": name, "password_hash": hash_password(made), "tags": list(tags), "limits": {}}


@pytest.mark.parametrize("name", ["function-gone", "tidegate", "tidegate-2", "pump-7"])
def test_account_of_what_is_no_more_is_removed(name: str) -> None:
    found = add("users", **declare_user(name))
    assert tell(found) == {f"user {name}": "remove: is of a function, a device or a login that is no more"}
    (one,) = find_drift(read_definitions([WANTED]), read_definitions([found]), taken=["taken"])
    assert one.kind.find_path(one.document) == f"/api/users/{name}"
    assert not find_drift(read_definitions([WANTED]), read_definitions([found]), taken=["taken"], kept=[name])
    topology = read_definitions([{"queues": WANTED["queues"]}])
    assert not find_drift(topology, read_definitions([found]))


def test_recorder_gets_nothing_of_rules_that_are_no_more() -> None:
    ends = {"source": "amq.topic", "destination": "tidegate-recorder-topics", "arguments": {}}
    found = add("bindings", **_BINDING | ends)
    told = tell(found)
    assert told == {"binding amq.topic → tidegate-recorder-topics (a.*)": "remove: is of a rule that is no more"}
    # A deploy, which declares no users, knows nothing of the recorder.
    topology = read_definitions([{"queues": WANTED["queues"]}])
    assert not find_drift(topology, read_definitions([found]))


@pytest.mark.parametrize(
    "user",
    [
        # With a salt of RabbitMQ's own, without a password, and with what is no hash.
        {"name": "function-lab", "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR", "tags": []},
        {"name": "function-lab", "password_hash": "", "tags": []},
        {"name": "tidegate", "password_hash": "none", "tags": []},
    ],
)
def test_account_that_a_person_made_stays(user: Document) -> None:
    assert tell(add("users", **user)) == {}


def test_who_consumes_alone_keeps_functions_out() -> None:
    consumers = [
        {"queue": {"name": "q"}, "exclusive": True, "channel_details": {"connection_name": "1 -> 2"}},
        {"queue": {"name": "q"}, "exclusive": False, "channel_details": {"connection_name": "3 -> 4"}},
        {"queue": {"name": "own"}, "exclusive": True, "channel_details": {"connection_name": "5 -> 6"}},
    ]
    (one,) = find_occupations(consumers, ["q"])
    assert (one.subject, one.action) == ("exclusive consumer of queue q", "remove")
    assert one.kind.find_path(one.document) == "/api/connections/1%20-%3E%202"


def test_a_document_is_what_rabbitmq_imports() -> None:
    drift = find_drift(read_definitions([WANTED]), read_definitions([]), taken=["taken"])
    document = as_document([(one.kind, one.document) for one in drift])
    assert {section: len(things) for section, things in document.items()} == {
        "vhosts": 1, "users": 1, "permissions": 1, "policies": 1, "exchanges": 1, "queues": 2, "bindings": 1,
    }  # fmt: skip
    assert document["queues"][0]["arguments"] == {"x-queue-type": "quorum"}
    assert "type" not in document["queues"][0]
