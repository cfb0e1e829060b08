"""Bridges: the queue in which messages wait for another place, who may fetch them, and the shovels that move them.

A shovel is a program in RabbitMQ that consumes a queue here and publishes there, and acknowledges what the other broker
has confirmed. What it is told has a password in it, so that no rendered file has it: it is told while the broker runs.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from stack.config.bridge import Bridge
from stack.config.environment import Secret, SecretContent, SecretRef
from stack.config.settings import FILE, Settings
from stack.contract import MQTT_EXCHANGE, to_key
from stack.errors import ConfigError
from stack.plan.account import Permission, derive, permission_entry, user_entry
from stack.plan.broker import AMQP_PORT, Credentials, hash_password
from stack.plan.definitions import BINDING, PARAMETER, POLICY, Document, Kind
from stack.plan.device_account import write_expression
from stack.plan.gateway_frontend import CONTROL_HOST, find_lines
from stack.plan.image import BaseImages
from stack.plan.secret import Vault

# What the names of queues, shovels, policies and accounts of bridges begin with; and the one that comes back.
BRIDGE = "tidegate-bridge-"
_BACK = ".receive"
SHOVEL = "shovel"
TO, FROM = "to", "from"
# The files of certificates, by the name of the bridge: below .stack/, and where the broker sees them.
AUTHORITIES, FOLDER = "secrets/bridge", "/etc/tidegate/bridge"
_LABEL = b"bridge"
_VHOST, _MEGABYTE = "/", 1000 * 1000
# One that is published elsewhere under its own user would be refused, and all behind it would wait for ever.
_TAGS = ("impersonator",)
_NOTHING = r"^\b$"
# Above those for all queues and for temporary ones.
_PRIORITY = 3
_DELIVERIES = 1_000_000_000
# Seconds between two attempts, and after which a silent line is no line.
_RECONNECT, _HEARTBEAT = 5, 15


def name_queue(name: str) -> str:
    """Return the queue of what waits for another place."""
    return f"{BRIDGE}{name}"


def list_queues(settings: Settings) -> tuple[str, ...]:
    """Return the queues here of what waits for other places."""
    return tuple(name_queue(one.name) for one in settings.bridge if one.sends)


def check_bridges(settings: Settings, base_images: BaseImages, vault: Vault) -> None:
    """Refuse bridges over which nothing could go.

    Raises:
        ConfigError: an account is missing, or this RabbitMQ is too old; every problem is named.
    """
    problems = [problem for one in settings.bridge for problem in _find_problems(one, vault)]
    if settings.bridge and not (base_images.is_registry or base_images.archive.has_deprecated_features):
        way = "Have a newer one pulled, `images: {source: registry}`, or use Debian 13 or newer."
        problems.append(f"bridge: the RabbitMQ of this system's packages is too old for it. {way}")
    if problems:
        raise ConfigError([f"{FILE}: {problem}" for problem in problems])


def _find_problems(bridge: Bridge, vault: Vault) -> Iterator[str]:
    ref, own = bridge.secret_ref, name_queue(bridge.name)
    where = f"bridge.{bridge.name}.secret"
    what = "USER:PASSWORD" if bridge.connects else f"{own}:PASSWORD"
    way = f"Set it: invoke secret set {ref.name} {ref.key}, with {what} for its value"
    account = find_account(bridge, vault.contents)
    if ref not in vault.contents:
        yield f"{where}: there is no secret {ref}. {way}"
    elif account is None:
        yield f"{where}: {ref} is no account, such as {what}. {way}"
    elif not bridge.connects and account.username != own:
        yield f"{where}: {ref} should have the user {own}, by which the other place logs in. {way}"


def find_account(bridge: Bridge, contents: Mapping[SecretRef, SecretContent]) -> Credentials | None:
    """Return the account at the broker that is connected to; nothing where the secret holds none."""
    content = contents.get(bridge.secret_ref, SecretContent(b"")).get_secret_value()
    user, colon, word = content.decode(errors="replace").strip().partition(":")
    return Credentials(user, Secret(word)) if user and colon and word else None


def render_bridges(
    settings: Settings,
    key: SecretContent,
    *,
    contents: Mapping[SecretRef, SecretContent],
    exchanges: Mapping[str, bool],
) -> str:
    """Return the definitions of queues, what is bound to them, their bounds, and the accounts for bridges.

    `exchanges` says of those that functions declare whether they are durable: a bridge's is as they have it.
    """
    accounts = [entry for one in settings.bridge for entry in _list_accounts(one, key, contents=contents)]
    waiting = [one for one in settings.bridge if one.sends]
    durable = {one.exchange: one.durable for one in settings.bridge if one.exchange}
    durable |= {name: is_durable for name, is_durable in exchanges.items() if name in durable}
    document = {
        "users": [user for user, _, _ in accounts],
        "permissions": [permission for _, permission, _ in accounts],
        "topic_permissions": [topics for _, _, topics in accounts],
        "policies": [_describe_policy(one) for one in waiting],
        "exchanges": [_describe_exchange(name, is_durable=is_durable) for name, is_durable in durable.items()],
        "queues": [_describe_queue(one) for one in waiting],
        "bindings": [binding for one in waiting for binding in _list_bindings(one)],
    }
    return json.dumps(document, indent=2) + "\n"


def _describe_exchange(name: str, *, is_durable: bool) -> dict[str, Any]:
    flags = {"durable": is_durable, "auto_delete": False, "internal": False}
    return {"name": name, "vhost": _VHOST, "type": "topic", **flags, "arguments": {}}


def _describe_queue(bridge: Bridge) -> dict[str, Any]:
    flags = {"durable": True, "auto_delete": False}
    return {"name": name_queue(bridge.name), "vhost": _VHOST, **flags, "arguments": {"x-queue-type": "quorum"}}


def _list_bindings(bridge: Bridge) -> Iterator[dict[str, Any]]:
    found = [(MQTT_EXCHANGE, to_key(topic)) for topic in bridge.topics]
    found += [(bridge.exchange, "#")] if bridge.exchange and bridge.connects else []
    ends = {"destination": name_queue(bridge.name), "destination_type": "queue"}
    for source, key in dict.fromkeys(found):
        yield {"vhost": _VHOST, "source": source, **ends, "routing_key": key, "arguments": {}}


def _describe_policy(bridge: Bridge) -> dict[str, Any]:
    """Return the bounds of a queue: the oldest messages go.

    Were new ones refused, RabbitMQ would refuse them for the functions and devices of this place, too.
    """
    definition = {
        "message-ttl": round(bridge.buffer_seconds * 1000),
        "max-length-bytes": bridge.megabytes * _MEGABYTE,
        "overflow": "drop-head",
        # Without a limit RabbitMQ would put what is given back behind all others.
        "delivery-limit": _DELIVERIES,
    }
    name = name_queue(bridge.name)
    pattern = {"pattern": f"^{re.escape(name)}$", "apply-to": "quorum_queues", "priority": _PRIORITY}
    return {"vhost": _VHOST, "name": name, **pattern, "definition": definition}


def _list_accounts(
    bridge: Bridge, key: SecretContent, *, contents: Mapping[SecretRef, SecretContent]
) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Yield the account by which messages leave here and come in here: the shovels' own, or the other place's."""
    account = local_account(bridge, key) if bridge.connects else find_account(bridge, contents)
    if account:
        name = account.username
        allowed = permission_entry(name, _allow(bridge))
        yield user_entry(name, hash_password(account), tags=_TAGS), allowed, _describe_topics(bridge, name)


def local_account(bridge: Bridge, key: SecretContent) -> Credentials:
    """Return the account of a bridge's shovels at the broker of the place that connects."""
    name = name_queue(bridge.name)
    return Credentials(name, Secret(derive(key, _LABEL, name=bridge.name).hex()))


def _allow(bridge: Bridge) -> Permission:
    """Return what may be done with the names of queues and exchanges: to fetch, and to publish what is received."""
    exchanges = [MQTT_EXCHANGE] if bridge.receive else []
    exchanges += [bridge.exchange] if bridge.exchange and not bridge.connects else []
    written = rf"^(?:{'|'.join(map(re.escape, exchanges))})\z" if exchanges else _NOTHING
    return Permission(_NOTHING, written, rf"^{re.escape(name_queue(bridge.name))}\z")


def _describe_topics(bridge: Bridge, user: str) -> dict[str, Any]:
    """Return what may be published for clients of MQTT: what is received, of a length that fits into AMQP."""
    written = rf"(?s)\A(?=.{{0,255}}\z){write_expression(bridge.receive)}\z"
    return {"user": user, "vhost": _VHOST, "exchange": MQTT_EXCHANGE, "write": written, "read": _NOTHING}


def list_shovels(
    settings: Settings, key: SecretContent, *, contents: Mapping[SecretRef, SecretContent]
) -> Iterator[Document]:
    """Yield the shovels of the places that this one connects to, as parameters of RabbitMQ; they have passwords."""
    lines = {one.name: f"{CONTROL_HOST}:{one.port}" for one in find_lines(settings)}
    for one in settings.bridge:
        account = find_account(one, contents) if one.connects else None
        if account is None:
            continue
        here, there = f"{local_account(one, key).url('localhost', AMQP_PORT)}%2f", write_address(one, account)
        if one.sends:
            limited = write_address(one, account, authority=lines.get(one.name, ""))
            yield _describe_shovel(one, name_queue(one.name), source=(name_queue(one.name), here), destination=limited)
        if one.receives:
            yield _describe_shovel(
                one, name_shovel_back(one.name), source=(name_queue(settings.site_name), there), destination=here
            )


def name_shovel_back(name: str) -> str:
    """Return the shovel of what comes from another place."""
    return f"{BRIDGE}{name}{_BACK}"


def name_shovels(bridge: Bridge) -> Mapping[str, str]:
    """Return the shovels that run here for a bridge, and which way each goes."""
    ways = ((name_queue(bridge.name), TO, bridge.sends), (name_shovel_back(bridge.name), FROM, bridge.receives))
    return {name: way for name, way, is_there in ways if is_there and bridge.connects}


def _describe_shovel(bridge: Bridge, name: str, *, source: tuple[str, str], destination: str) -> Document:
    """Return a shovel by which a message keeps its exchange and key, and says of which queue and broker it comes.

    In the header x-shovelled, `shovelled-by` is the name of the cluster, which is that of the place.
    """
    queue, broker = source
    value = {
        "src-protocol": "amqp091",
        "src-uri": broker,
        "src-queue": queue,
        "src-prefetch-count": bridge.prefetch,
        "dest-protocol": "amqp091",
        "dest-uri": destination,
        "dest-add-forward-headers": True,
        "ack-mode": "on-confirm",
        "reconnect-delay": _RECONNECT,
    }
    return {"component": SHOVEL, "vhost": _VHOST, "name": name, "value": value}


def write_address(bridge: Bridge, account: Credentials, *, authority: str = "") -> str:
    """Return the URI of the other broker, with the password in it; by another host and port, if they are given."""
    options: dict[str, str | int] = {"heartbeat": _HEARTBEAT, "connection_timeout": 10_000}
    if authority:
        # RabbitMQ passes over it. With another limit the shovel connects again: a connection keeps the one that it had.
        options["rate"] = bridge.bytes_a_second
    if bridge.is_secure:
        authorities = f"{FOLDER}/{bridge.name}.pem"
        options |= {"cacertfile": authorities, "verify": "verify_peer", "server_name_indication": bridge.host}
    user, word = (quote(text, safe="") for text in (account.username, account.password.get_secret_value()))
    scheme = bridge.to.partition("://")[0]
    vhost = quote(bridge.vhost, safe="")
    return f"{scheme}://{user}:{word}@{authority or bridge.authority}/{vhost}?{urlencode(options, safe='/')}"


# In the order in which they go when a bridge does: what brings messages, then what takes them.
BRIDGE_KINDS = (BINDING, PARAMETER, POLICY)


def is_of_bridge(kind: Kind, document: Document) -> bool:
    """Return whether a policy, a shovel or a binding is of a bridge, of now or of before."""
    if kind is PARAMETER and document["component"] != SHOVEL:
        return False
    return str(document["destination" if kind is BINDING else "name"]).startswith(BRIDGE)


def needs_shovels(bridges: Iterable[Bridge]) -> bool:
    """Return whether any shovel runs here."""
    return any(one.connects for one in bridges)


def secure_bridges(bridges: Iterable[Bridge]) -> Sequence[Bridge]:
    """Return the bridges for which the broker is to have certificates."""
    return [one for one in bridges if one.connects and one.is_secure]
