"""The broker of a cluster: a RabbitmqCluster, and the topology and accounts as objects of its topology operator."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stack.config.network import Tls
from stack.plan.account import describe_accounts, function_account
from stack.plan.broker import AMQP_PORT, GUEST, MQTT_PORT, SERVICE, policies, topology
from stack.plan.function import declared_on_broker
from stack.plan.inputs import Inputs
from stack.plan.kubernetes.name import make_name
from stack.plan.kubernetes.workload import Workload
from stack.plan.render import render_broker
from stack.plan.tls import AMQPS_PORT, MQTTS_PORT

# What it is called, and so its Service: functions find it by the name that it has in Compose.
CLUSTER = SERVICE
# The account by which KEDA looks at queues: it sees all of them, and may use none.
KEDA = "tidegate-keda"
PEOPLE = "tidegate-people"
# Plugins that the operator enables itself, and those of the service of devices, which is not exported.
_OTHER_PLUGINS = ("rabbitmq_management", "rabbitmq_prometheus", "rabbitmq_auth_backend_http", "rabbitmq_event_exchange")
# Keys of rabbitmq.conf that the operator writes, or that only make sense beside what is not exported.
_OTHER_KEYS = re.compile(
    r"definitions\.|loopback_users|auth_backends\.|auth_http\.|log\.exchange|cluster_formation\.|mqtt\.a"
)
_LEAST_GIBIBYTES = 10
_NOTHING = "^$"
_PORTS = {"amqp": AMQP_PORT, "mqtt": MQTT_PORT, "amqps": AMQPS_PORT, "mqtts": MQTTS_PORT}

_REFERENCE = {"rabbitmqClusterReference": {"name": CLUSTER}}


@dataclass(frozen=True)
class Cluster:
    """The RabbitmqCluster."""

    image: str
    replicas: int
    config: str
    advanced_config: str
    plugins: tuple[str, ...]
    memory: str
    storage: str
    ports: Mapping[str, int]
    """The ports that devices outside the cluster can reach, by name."""
    has_tls: bool


@dataclass(frozen=True)
class Resource:
    """An object of the topology operator."""

    kind: str
    name: str
    spec: Mapping[str, Any]


# The virtual host that is there, where a durable queue of no type is to be on several nodes, too. It stays when its
# object is deleted, and with it every queue.
_VHOST = Resource(
    "Vhost", "vhost-default", {"name": "/", "defaultQueueType": "quorum", "deletionPolicy": "retain", **_REFERENCE}
)


def plan_cluster(inputs: Inputs) -> Cluster:
    """Return the broker with the settings that it has here: without TLS, which the operator sets up, and bridges."""
    settings = inputs.settings
    files = render_broker(_plainly(inputs))
    lines = (line.strip() for line in files["rabbitmq/rabbitmq.conf"].decode().splitlines())
    kept = [line for line in lines if line and not line.startswith("#") and not _OTHER_KEYS.match(line)]
    plugins = re.findall(r"\w+", files["rabbitmq/enabled_plugins"].decode())
    return Cluster(
        image=f"{settings.images.mirror}{settings.images.rabbitmq}",
        replicas=settings.broker.nodes,
        config="\n".join([*kept, "mqtt.allow_anonymous = false"]),
        advanced_config=files["rabbitmq/advanced.config"].decode().rstrip(),
        plugins=tuple(one for one in plugins if one not in _OTHER_PLUGINS),
        memory=settings.broker.memory,
        storage=f"{max(_LEAST_GIBIBYTES, math.ceil(2 * settings.broker.disk_free_bytes / 1024**3))}Gi",
        ports={name: port for name, port in _PORTS.items() if settings.is_open(name)},
        has_tls=settings.tls.is_on,
    )


def _plainly(inputs: Inputs) -> Inputs:
    plain = inputs.settings.model_copy(update={"tls": Tls.model_construct(), "bridge": ()})
    return Inputs(plain, inputs.base_images, inputs.accounts, inputs.services)


def plan_topology(inputs: Inputs, workloads: Sequence[Workload], *, is_scaled: bool) -> list[Resource]:
    """Return queues, exchanges, bindings, policies and accounts, in the order in which one may need another."""
    plans = [one.service.plan for one in workloads]
    bound = [one for plan in plans for one in declared_on_broker(plan)]
    is_replicated = inputs.settings.broker.nodes > 1
    declared = json.loads(topology(bound, is_replicated=is_replicated))
    found = [
        *([_VHOST] if is_replicated else ()),
        *(_describe("Exchange", one["name"], one) for one in declared["exchanges"]),
        *map(_describe_queue, declared["queues"]),
        *map(_describe_binding, declared["bindings"]),
        *map(_describe_policy, json.loads(policies(inputs.settings))["policies"]),
        *_list_accounts(inputs, workloads),
    ]
    return [*found, *(_list_keda() if is_scaled else ())]


def _describe(kind: str, text: str, document: Mapping[str, Any], **other: Any) -> Resource:
    """Return what definitions say of a thing; the operator spells its keys in another way."""
    left_out = ("internal", "arguments") if not document.get("arguments") else ("internal",)
    spec = {_CAMEL.get(key, key): value for key, value in document.items() if key not in left_out}
    return Resource(kind, make_name(text, f"{kind.lower()}-"), {**spec, **other, **_REFERENCE})


_CAMEL = {
    "auto_delete": "autoDelete",
    "destination_type": "destinationType",
    "routing_key": "routingKey",
    "apply-to": "applyTo",
}


def _describe_queue(document: Mapping[str, Any]) -> Resource:
    """Return a queue, which stays with its messages when its object is deleted."""
    arguments = dict(document["arguments"])
    kind = arguments.pop("x-queue-type", "")
    other = {**({"type": kind} if kind else {}), "deletionPolicy": "retain"}
    return _describe("Queue", document["name"], {**document, "arguments": arguments}, **other)


def _describe_binding(document: Mapping[str, Any]) -> Resource:
    text = json.dumps([document["source"], document["destination"], document["routing_key"]])
    resource = _describe("Binding", text, document)
    return Resource("Binding", make_name(f"{document['destination']}/{text}", "binding-"), resource.spec)


def _describe_policy(document: Mapping[str, Any]) -> Resource:
    return _describe("Policy", document["name"].removeprefix("tidegate-"), document)


def _list_accounts(inputs: Inputs, workloads: Sequence[Workload]) -> Iterator[Resource]:
    """Yield the accounts that there are to be: of functions that use the broker, and of people where one was made."""
    plans = [one.service.plan for one in workloads]
    document = json.loads(describe_accounts(inputs.accounts, plans, settings=inputs.settings))
    names = {function_account(inputs.accounts.key, one.service.plan.name).username: one.name for one in workloads}
    used = {one.name for one in workloads if one.has_account}
    people = inputs.accounts.current.username
    names = {user: name for user, name in names.items() if name in used} | ({people: PEOPLE} if people != GUEST else {})
    for user in document["users"]:
        if name := names.get(user["name"]):
            yield _user(name, f"{name}.broker", user["tags"])
    for section, kind in (("permissions", "Permission"), ("topic_permissions", "TopicPermission")):
        for one in document[section]:
            if name := names.get(one["user"]):
                allowed = {key: value for key, value in one.items() if key not in ("user", "vhost")}
                yield Resource(kind, name, {"vhost": one["vhost"], **_of(name), "permissions": allowed, **_REFERENCE})


def _user(name: str, secret: str, tags: Sequence[str]) -> Resource:
    given = {"tags": list(tags)} if tags else {}
    return Resource("User", name, {"importCredentialsSecret": {"name": secret}, **given, **_REFERENCE})


def _of(name: str) -> dict[str, Any]:
    return {"userReference": {"name": name}}


def _list_keda() -> Iterator[Resource]:
    yield _user(KEDA, f"{KEDA}.broker", ("monitoring",))
    nothing = {"configure": _NOTHING, "write": _NOTHING, "read": _NOTHING}
    yield Resource("Permission", KEDA, {"vhost": "/", **_of(KEDA), "permissions": nothing, **_REFERENCE})
