"""Drift: what is not at the broker as it is declared, because somebody changed it by hand.

Compared are the definitions that are rendered, the desired state, with those that the broker tells. What users add for
themselves, queues, bindings, users and the like, is theirs, and is only told where it changes what is declared.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stack.contract import DEAD, RETRY
from stack.plan.account import is_own_account
from stack.plan.bridge import BRIDGE_KINDS, is_of_bridge
from stack.plan.broker import find_operator_policies, find_overrides
from stack.plan.definitions import (
    BINDING,
    CONSUMER,
    EXCHANGE,
    GLOBAL_PARAMETER,
    KINDS,
    OPERATOR_POLICY,
    PARAMETER,
    PERMISSION,
    POLICY,
    QUEUE,
    TOPIC_PERMISSION,
    USER,
    USER_LIMIT,
    VHOST,
    VHOST_LIMIT,
    Definitions,
    Document,
    Kind,
)
from stack.plan.diff import Action, Change
from stack.plan.function import FunctionPlan, bound_queues, own_queues
from stack.plan.recorder import RECORDER_QUEUES

# What stands in for an exchange or a queue while it is made again is called as it is, and this.
MOVING = ".moving"
# By this exchange go messages that keep their routing key while they are moved; no function may use it.
MOVED = "tidegate-moving"
# Declared again in the place of what is there, which cannot be changed.
_FIXED = (EXCHANGE, QUEUE)
# They lead the clients of MQTT into another virtual host than the declared one.
_LEADING = ("mqtt_default_vhosts", "mqtt_port_to_vhost_mapping")
# Never shown, not even as a hash: there are passwords in it.
_HIDDEN = {"password_hash": "its password was changed"}
_VHOST = "/"
GOES_ON = "was to be replaced, which goes on"
_OLDER = "type: classic instead of quorum"
# Arguments by which a queue of dead letters would lose them.
_LOSING = ("x-expires", "x-max-length", "x-max-length-bytes", "x-message-ttl")


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it should be; `document` is how it is to be, or what is to go."""

    kind: Kind
    document: Document
    action: Action
    reason: str

    @property
    def subject(self) -> str:
        """Return what it is called."""
        return name_thing(self.kind, self.document)

    @property
    def change(self) -> Change:
        """Return it as a step of the plan."""
        return Change(self.subject, self.action, self.reason)


def find_drift(
    wanted: Definitions, found: Definitions, *, taken: Collection[str] = (), kept: Collection[str] = ()
) -> tuple[Difference, ...]:
    """Compare what is declared with what is there.

    `taken` are queues that only have to exist, and `kept` users that are in use though they are not declared.
    """
    types = {name: "" for name in taken} | {name: one["type"] for (_, name), one in wanted.queues.items()}
    queues = types.keys()
    drift = [
        *(one for kind in KINDS for one in _compare(kind, wanted, found=found)),
        *_find_taken(found, taken),
        *_find_failure_queues(found, types),
        *_find_additions(wanted, found),
        *_find_old_accounts(wanted, found, kept=kept),
        *_find_old_bindings(wanted, found),
        *_find_old_bridges(wanted, found),
        *(_override(*one) for one in find_overrides(wanted, found, queues=queues)),
        *(
            Difference(OPERATOR_POLICY, one, Action.REMOVE, f"limits the queue {queue}")
            for one, queue in find_operator_policies(wanted, found, queues=queues)
        ),
    ]
    return tuple(_continue_exchanges(list(_continue_moves(drift, found, queues=queues)), wanted, found=found))


def find_occupations(consumers: Sequence[Document], queues: Collection[str]) -> Iterator[Difference]:
    """Yield who consumes a function's queue exclusively, which functions never do: they get nothing meanwhile.

    `consumers` are those of the management API. Who is cut off gives back what it had not acknowledged.
    """
    for one in consumers:
        queue, connection = one["queue"]["name"], (one.get("channel_details") or {}).get("connection_name", "")
        if one.get("exclusive") and queue in queues and connection:
            document = {"connection": connection, "queue": queue}
            yield Difference(CONSUMER, document, Action.REMOVE, "keeps the function from its messages")


def name_thing(kind: Kind, one: Document) -> str:
    """Return what a thing is called, such as queue iot/logs."""
    if kind is BINDING:
        return f"binding {one['source']} → {one['destination']} ({one['routing_key']})"
    if kind is CONSUMER:
        return f"exclusive consumer of queue {one['queue']}"
    if kind is USER_LIMIT:
        return f"limit {one['name']} of user {one['user']}"
    if kind is VHOST_LIMIT:
        return f"limit {one['name']} of virtual host {one['vhost']}"
    exchange = f" on {one['exchange']}" if kind is TOPIC_PERMISSION else ""
    word = one["component"] if kind is PARAMETER else kind.word
    return f"{word} {one['user'] if 'user' in kind.keys else one['name']}{exchange}"


def _compare(kind: Kind, wanted: Definitions, *, found: Definitions) -> Iterator[Difference]:
    there = found.of(kind)
    for identity, one in wanted.of(kind).items():
        if identity not in there:
            yield Difference(kind, one, Action.CREATE, "is missing at the broker")
        elif reasons := list(_tell_fields(kind, one, found=there[identity])):
            action = Action.REPLACE if kind in _FIXED else Action.CHANGE
            yield Difference(kind, one, action, " and ".join(reasons))


def _tell_fields(kind: Kind, wanted: Document, *, found: Document) -> Iterator[str]:
    """Say what is otherwise than declared."""
    for name, default in kind.fields.items():
        is_, should = found.get(name, default), wanted.get(name, default)
        if is_ != should:
            hidden = "is not as declared" if kind is PARAMETER else _HIDDEN.get(name)
            yield hidden or f"{name.replace('_', ' ')}: {_show(is_)} instead of {_show(should)}"


def _find_taken(found: Definitions, taken: Collection[str]) -> Iterator[Difference]:
    """Yield queues that are consumed as they are, and are not there; the function makes one like this, too."""
    for name in taken:
        if (_VHOST, name) not in found.of(QUEUE):
            one = {"vhost": _VHOST, "name": name, "durable": True, "type": "classic", "arguments": {}}
            yield Difference(QUEUE, one, Action.CREATE, "is missing at the broker")


def _find_failure_queues(found: Definitions, types: Mapping[str, str]) -> Iterator[Difference]:
    """Yield queues of retries and dead letters that would keep messages for ever, or lose them."""
    for (_, name), one in found.queues.items():
        source, is_retry, delay = name.partition(RETRY)
        if is_retry and source in types and delay.removesuffix("ms").isdigit():
            yield from _check_retries(one, int(delay.removesuffix("ms")), queue_type=types[source])
        elif name.endswith(DEAD) and name.removesuffix(DEAD) in types:
            yield from _check_dead_letters(one, types[name.removesuffix(DEAD)])


def _check_retries(found: Document, delay: int, *, queue_type: str) -> Iterator[Difference]:
    source = found["name"].partition(RETRY)[0]
    wanted = {"x-message-ttl": delay, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": source}
    if wrong := [key for key, value in wanted.items() if found["arguments"].get(key) != value]:
        yield _rebuild(
            found,
            found["arguments"] | wanted,
            reason=f"its argument {wrong[0]} is not as declared",
            queue_type=queue_type,
        )
    elif _is_older(found, queue_type):
        yield _rebuild(found, found["arguments"], reason=_OLDER, queue_type=queue_type)


def _check_dead_letters(found: Document, queue_type: str) -> Iterator[Difference]:
    losing = [key for key in _LOSING if key in found["arguments"]]
    kept = {key: value for key, value in found["arguments"].items() if key not in losing}
    if losing:
        yield _rebuild(found, kept, reason=f"its argument {losing[0]} loses dead letters", queue_type=queue_type)
    elif not found["durable"]:
        yield _rebuild(found, kept, reason="is not durable", queue_type=queue_type)
    elif _is_older(found, queue_type):
        yield _rebuild(found, kept, reason=_OLDER, queue_type=queue_type)


def _rebuild(found: Document, arguments: dict[str, Any], *, reason: str, queue_type: str) -> Difference:
    wanted = {**found, "durable": True, "arguments": arguments, "type": queue_type or found["type"]}
    return Difference(QUEUE, wanted, Action.REPLACE, reason)


def _is_older(found: Document, queue_type: str) -> bool:
    """Return whether a queue is a classic one, as older versions made them, beside a quorum queue."""
    return queue_type == "quorum" and found["type"] == "classic"


def _continue_moves(
    drift: Sequence[Difference], found: Definitions, *, queues: Collection[str]
) -> Iterator[Difference]:
    """Have what an interrupted replacement left come first: until then the queue is not compared."""
    names = {name.removesuffix(MOVING) for _, name in found.queues if name.endswith(MOVING)}
    moving = {name for name in names if name.removesuffix(DEAD) in queues}
    for name in sorted(moving):
        known = [one.document for one in drift if one.kind is QUEUE and one.document["name"] == name]
        stand_in = found.queues[_VHOST, name + MOVING]
        wanted = [*known, found.queues.get((_VHOST, name)), {**stand_in, "name": name}]
        yield Difference(QUEUE, next(filter(None, wanted)), Action.REPLACE, GOES_ON)
    yield from (one for one in drift if one.kind is not QUEUE or one.document["name"] not in moving)


def _continue_exchanges(
    drift: Sequence[Difference], wanted: Definitions, *, found: Definitions
) -> Iterator[Difference]:
    """Have exchanges replaced again for which others still stand in, or the policies that lead to these."""
    there = [name for kind in (EXCHANGE, POLICY) for _, name in found.of(kind) if name.endswith(MOVING)]
    moving = {name.removesuffix(MOVING) for name in there}
    yield from (one for one in drift if one.kind is not EXCHANGE or one.document["name"] not in moving)
    for (_, name), one in wanted.of(EXCHANGE).items():
        if name in moving:
            yield Difference(EXCHANGE, one, Action.REPLACE, GOES_ON)


def _find_additions(wanted: Definitions, found: Definitions) -> Iterator[Difference]:
    """Yield what was added to what is declared, and may do more or less by it."""
    for kind in (USER_LIMIT, PERMISSION, TOPIC_PERMISSION, VHOST_LIMIT, GLOBAL_PARAMETER):
        for identity, one in found.of(kind).items():
            if identity not in wanted.of(kind) and _concerns(one, wanted):
                yield Difference(kind, one, Action.REMOVE, "is not declared")


def _find_old_accounts(wanted: Definitions, found: Definitions, *, kept: Collection[str]) -> Iterator[Difference]:
    """Yield accounts of Tidegate's making that no one has any more, such as of a function deleted without the broker.

    A deploy declares no users, and so judges none.
    """
    declared = wanted.of(USER)
    for identity, one in found.of(USER).items():
        if declared and identity not in declared and one["name"] not in kept and is_own_account(one):
            yield Difference(USER, one, Action.REMOVE, "is of a function, a device or a login that is no more")


def _find_old_bindings(wanted: Definitions, found: Definitions) -> Iterator[Difference]:
    """Yield what brings the recorder messages that no rule is about any more; no one else binds its queues.

    A deploy declares no users and not the recorder, and so judges none.
    """
    for identity, one in found.of(BINDING).items():
        is_recorders = one["source"] and one["destination"].startswith(RECORDER_QUEUES)
        if wanted.of(USER) and is_recorders and identity not in wanted.of(BINDING):
            yield Difference(BINDING, one, Action.REMOVE, "is of a rule that is no more")


def _find_old_bridges(wanted: Definitions, found: Definitions) -> Iterator[Difference]:
    """Yield what is of a bridge that is no more; its queue goes with its policy, if nothing is left in it.

    A deploy declares no users and no bridges, and so judges none.
    """
    for kind in BRIDGE_KINDS if wanted.of(USER) else ():
        for identity, one in found.of(kind).items():
            if identity not in wanted.of(kind) and is_of_bridge(kind, one) and (kind is not BINDING or one["source"]):
                yield Difference(kind, one, Action.REMOVE, "is of a bridge or a topic that is no more")


def _concerns(one: Document, wanted: Definitions) -> bool:
    """Return whether a limit, permission or global parameter is about users and virtual hosts that are declared."""
    if "user" not in one and "vhost" not in one:
        return one["name"] in _LEADING
    is_user = "user" not in one or (one["user"],) in wanted.of(USER)
    return is_user and ("vhost" not in one or (one["vhost"],) in wanted.of(VHOST))


def _override(foreign: Document, own: Document, queue: str) -> Difference:
    """Have a policy of somebody else come after the declared one; it stays for whatever else it matches."""
    priority = own.get("priority", 0) - 1
    reason = f"takes the place of the policy {own['name']} on the queue {queue}; its priority is to be {priority}"
    return Difference(POLICY, {**foreign, "priority": priority}, Action.CHANGE, reason)


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}={item}" for name, item in sorted(value.items())) or "none"
    return str(value) or "empty"


@dataclass(frozen=True, order=True)
class Binding:
    """What brings messages of an exchange into a queue."""

    queue: str
    exchange: str
    key: str


def find_bindings(plan: FunctionPlan) -> frozenset[Binding]:
    """List the bindings that a function's processor makes when it connects."""
    return frozenset(Binding(one.queue, one.exchange, key) for one in bound_queues(plan) for key in one.topics)


def stale_bindings(older: Iterable[FunctionPlan], deployed: Iterable[FunctionPlan]) -> frozenset[Binding]:
    """List what older versions bound and nothing that is deployed binds; what no one's version bound is not ours."""
    wanted = {binding for plan in deployed for binding in find_bindings(plan)}
    return frozenset(binding for plan in older for binding in find_bindings(plan)) - wanted


def stale_queues(older: Iterable[FunctionPlan], deployed: Iterable[FunctionPlan]) -> frozenset[str]:
    """List the queues that older versions consumed and nothing that is deployed consumes."""
    wanted = {queue for plan in deployed for queue in own_queues(plan)}
    return frozenset(queue for plan in older for queue in own_queues(plan)) - wanted
