"""Accounts of the broker: who they are, and which queues and exchanges each may use.

RabbitMQ asks three regular expressions for each user, for names of queues and exchanges alike: `configure` to declare
and delete, `write` to publish and to bind a queue, `read` to consume, to purge and to bind to an exchange.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stack.config.environment import Secret, SecretContent
from stack.config.settings import Processor, Settings
from stack.contract import DEAD, MQTT_EXCHANGE, RETRY, name_lock
from stack.plan.base_image import chosen_processor
from stack.plan.broker import EXAMPLES, GUEST, Credentials, hash_password, is_own_hash
from stack.plan.function import FunctionPlan, declared_by_outputs, own_queues, service_name
from stack.plan.trigger.registry import find_kind

# What a derived secret is for; one label's never tells another's.
ACCOUNT = b"account"
ADMINISTRATION = b"administrator"
SIGNATURE = b"signature"
COOKIE = b"cookie"


def derive(key: SecretContent, label: bytes, *, name: str) -> bytes:
    """Return the 32 bytes that belong to a name: HMAC-SHA256 of the label and the name by the stack key."""
    return hmac.digest(key.get_secret_value(), label + b":" + name.encode(), hashlib.sha256)


def signature_key(key: SecretContent, function: str) -> bytes:
    """Return the 32 bytes by which the retries of a function's messages are signed."""
    return derive(key, SIGNATURE, name=function)


def erlang_cookie(key: SecretContent) -> SecretContent:
    """Return the secret by which nodes of one broker know each other: who has it rules all of them."""
    return SecretContent(derive(key, COOKIE, name="rabbitmq").hex().encode())


ADMINISTRATOR = "tidegate-administrator"
# People see everything on RabbitMQ's own pages, and change nothing there but queues and messages that they may use.
PEOPLE_TAGS = ("monitoring",)
# Queues with the names that Nuclio gives, and what belongs to RabbitMQ and to Tidegate's own programs.
_RESERVED = (r"nuclio-.*", r"tidegate-.*", r"amq\.rabbitmq\..*")
_SUFFIX = f"(?:{re.escape(DEAD)}|{re.escape(RETRY)}.*)?"


@dataclass(frozen=True)
class Permission:
    """What an account may do, as regular expressions of names."""

    configure: str
    write: str
    read: str


# A longer topic of MQTT fits into no delivery of AMQP: RabbitMQ closes the connection of the queue's consumer over it,
# and delivers the message again, for ever. Who publishes is asked this expression, byte by byte.
_SHORT_TOPIC = r"(?s)\A.{0,255}\z"

EVERYTHING = Permission(".*", ".*", ".*")


@dataclass(frozen=True)
class Accounts:
    """What the broker's accounts are made of: the stack key, and the accounts of people and their devices."""

    key: SecretContent
    current: Credentials
    former: tuple[Credentials, ...] = ()
    """Those that `credentials --overlap` lets go on for a while."""

    @property
    def people(self) -> tuple[Credentials, ...]:
        """Return the accounts of people and devices, the current one first."""
        return (self.current, *self.former)


def administrator(key: SecretContent) -> Credentials:
    """Return the account of Tidegate's own programs."""
    return Credentials(ADMINISTRATOR, Secret(derive(key, ADMINISTRATION, name=ADMINISTRATOR).hex()))


def function_account(key: SecretContent, function: str) -> Credentials:
    """Return the account that a function has of its own."""
    return Credentials(service_name(function), Secret(derive(key, ACCOUNT, name=function).hex()))


def is_own_account(user: Mapping[str, Any]) -> bool:
    """Return whether Tidegate made a user of RabbitMQ's definitions: for a function, a device, or people.

    The salt of its password says so, which is random where another program made the user.
    """
    return is_own_hash(str(user["name"]), str(user.get("password_hash", "")))


def describe_base_image(key: SecretContent, nodes: int = 1) -> str:
    """Return the definitions without which no one could log in: the virtual host and the administrator.

    With several nodes, durable queues that are declared without a type are quorum queues. RabbitMQ takes that for a
    virtual host that was there before as metadata alone.
    """
    user = administrator(key)
    document = {
        "vhosts": [{"name": "/", **({"metadata": {"default_queue_type": "quorum"}} if nodes > 1 else {})}],
        "users": [user_entry(user.username, hash_password(user), tags=["administrator"])],
        "permissions": [permission_entry(user.username, EVERYTHING)],
        "topic_permissions": [_topic_permission(user.username)],
    }
    return json.dumps(document, indent=2) + "\n"


def describe_accounts(accounts: Accounts, plans: Sequence[FunctionPlan], *, settings: Settings) -> str:
    """Return the definitions of all other accounts: those of people and devices, and one for each function.

    Without `guest` among the people, that account is kept without a password, which RabbitMQ refuses to log in, so that
    an older volume lets no one in.
    """
    people, taken = accounts.people, [_claim(plan, settings.broker.nodes) for plan in plans]
    users = [user_entry(one.username, hash_password(one), tags=PEOPLE_TAGS) for one in people]
    permissions = [
        permission_entry(one.username, _allow_people(one, plans, claims=taken, settings=settings)) for one in people
    ]
    if not any(one.is_guest for one in people):
        users.append(user_entry(GUEST, "", tags=()))
    for plan, own in zip(plans, taken, strict=True):
        account = function_account(accounts.key, plan.name)
        users.append(user_entry(account.username, hash_password(account), tags=()))
        permissions.append(permission_entry(account.username, allow_function(own, taken)))
    topics = [_topic_permission(str(one["user"])) for one in permissions]
    document = {"users": users, "permissions": permissions, "topic_permissions": topics}
    return json.dumps(document, indent=2) + "\n"


@dataclass(frozen=True)
class Claim:
    """What one function uses of the broker: its queues, other names that it alone declares, and its exchanges."""

    queues: frozenset[str]
    names: frozenset[str]
    exchanges: frozenset[str]
    outputs: frozenset[str] = frozenset()
    """Exchanges that it sends to. Into a queue it sends by the default exchange, without a right to the queue."""


def allow_function(own: Claim, all_claims: Iterable[Claim]) -> Permission:
    """Return what a function may do: all that concerns no queue of another's.

    Where an exchange has the name of another function's queue, RabbitMQ cannot tell one from the other: then the name
    may be declared and published to, and read only by a function with a trigger of that exchange.
    """
    claims = tuple(all_claims)
    exchanges = frozenset[str]().union(*(one.exchanges for one in claims))
    others = frozenset[str]().union(*(one.queues for one in claims)) - own.queues
    mine = sorted(_with_suffix(own.queues)) + sorted(map(re.escape, own.names))
    return Permission(
        configure=_match(mine, others - exchanges),
        write=_match(mine, others - exchanges - own.outputs),
        read=_match(mine, others - own.exchanges),
    )


def _allow_people(
    who: Credentials, plans: Sequence[FunctionPlan], *, claims: Sequence[Claim], settings: Settings
) -> Permission:
    """Return what an account of people may do.

    The guest's password is known to every function too, so that it opens no function's queue; Nuclio's own processor,
    which knows no secrets, logs in as the guest.
    """
    if not who.is_guest:
        return EVERYTHING
    original = [
        claim
        for plan, claim in zip(plans, claims, strict=True)
        if chosen_processor(plan.function.config, settings) is Processor.NUCLIO
    ]
    queues = frozenset[str]().union(*(one.queues for one in original))
    exchanges = frozenset[str]().union(*(one.exchanges for one in claims))
    return allow_function(Claim(queues, frozenset(), exchanges), claims)


def _claim(plan: FunctionPlan, nodes: int) -> Claim:
    locks = {
        name_lock(plan.namespace, plan.name, trigger=name)
        for name, trigger in plan.triggers.items()
        if find_kind(trigger).has_lock(trigger, nodes)
    }
    outputs = frozenset(one.exchange for one in declared_by_outputs(plan).values() if one.exchange)
    # All that say something there declare the queue, also over connections of their own.
    queues = frozenset(one for one in own_queues(plan) if not EXAMPLES.search(one))
    return Claim(queues, frozenset(locks), frozenset(_list_exchanges(plan)), outputs)


def _list_exchanges(plan: FunctionPlan) -> Iterator[str]:
    for trigger in plan.triggers.values():
        if name := find_kind(trigger).list_names(trigger).get("exchangeName"):
            yield name


def _match(own: Sequence[str], others: Iterable[str]) -> str:
    """Return an expression for one's own names and for all but reserved ones and others'."""
    refused = "|".join([*_RESERVED, *sorted(_with_suffix(others))])
    return f"^(?:{'|'.join([*own, f'(?!(?:{refused})$).*'])})$"


def _with_suffix(queues: Iterable[str]) -> Iterator[str]:
    """Yield expressions for queues, each with those of its retries and its dead letters."""
    return (f"{re.escape(queue)}{_SUFFIX}" for queue in queues)


def user_entry(name: str, password_hash: str, *, tags: Sequence[str]) -> dict[str, object]:
    """Return a user as definitions have it; without a hash it cannot log in."""
    algorithm = "rabbit_password_hashing_sha256"
    return {"name": name, "password_hash": password_hash, "hashing_algorithm": algorithm, "tags": list(tags)}


def permission_entry(user: str, allowed: Permission) -> dict[str, object]:
    """Return what a user may do, as definitions have it."""
    return {
        "user": user,
        "vhost": "/",
        "configure": allowed.configure,
        "write": allowed.write,
        "read": allowed.read,
    }


def _topic_permission(user: str) -> dict[str, object]:
    return {"user": user, "vhost": "/", "exchange": MQTT_EXCHANGE, "write": _SHORT_TOPIC, "read": ".*"}
