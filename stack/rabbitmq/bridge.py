"""How the stack's bridges are, as its broker tells."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from time import monotonic, sleep, time
from typing import Any
from urllib.parse import quote

from pika.exceptions import AMQPError

from stack.config.bridge import Bridge
from stack.docker.container import Container
from stack.docker.stack import Stack
from stack.errors import BrokerError, EngineError
from stack.plan.bridge import name_queue, name_shovels, needs_shovels
from stack.plan.bridge_state import BLOCKED, RUNNING, BridgeState, explain_alarm, explain_end
from stack.plan.broker import is_node
from stack.rabbitmq.connection import connected
from stack.rabbitmq.management import Broker, RefusedError

_MEGABYTE = 1000 * 1000
# Lines of the broker's log in which the reason of an end is looked for.
_LINES = 400
# RabbitMQ's program that shows a message of a queue by its place.
_PEEK = ("rabbitmq-queues", "--silent", "--formatter", "json", "peek")
_NOT_FOUND = 404
# Seconds that a shovel has to let go of a queue.
_PATIENCE, _PAUSE = 5.0, 0.1
# RabbitMQ tells nothing of a shovel between two attempts, or which it does not know.
_ABSENT = "absent"
_SLOWED = "flow"


def fetch_bridges(stack: Stack, broker: Broker, *, with_oldest: bool = False) -> tuple[BridgeState, ...]:
    """Return the state of each bridge; where one does not run, why.

    To look at the oldest message RabbitMQ's own program is started, which takes it seconds.

    Raises:
        BrokerError: the broker does not answer.
    """
    bridges = stack.settings.bridge
    if not bridges:
        return ()
    shovels = _fetch_shovels(broker) if needs_shovels(bridges) else {}
    states = [_fetch_bridge(broker, one, shovels=shovels) for one in bridges]
    needs_log = any(one.shovels and not one.runs for one in states)
    needs_oldest = with_oldest and any(one.may_lag for one in states)
    nodes = _list_containers(stack) if needs_log or needs_oldest else []
    if needs_log:
        log = "\n".join(_read_log(stack, one) for one in nodes)
        states = [_add_reason(one, bridge, log=log) for one, bridge in zip(states, bridges, strict=True)]
    if nodes and needs_oldest:
        states = [replace(one, oldest=_look(stack, nodes[0], state=one)) for one in states]
    return tuple(states)


def _fetch_shovels(broker: Broker) -> dict[str, str]:
    """Return the state of each shovel, by name; none where the broker has not been started with them yet."""
    try:
        found = broker.request("GET", "/api/shovels/%2F")
    except RefusedError as error:
        if error.code != _NOT_FOUND:
            raise
        return {}
    return {str(one.get("name", "")): _read_state(one) for one in found}


def _read_state(shovel: Mapping[str, Any]) -> str:
    """Return the state of a shovel: one that runs may be held up by an alarm of the broker that it publishes to.

    One that is slowed by its line runs.
    """
    state = str(shovel.get("state", ""))
    if BLOCKED in (state, shovel.get("blocked_status")):
        return BLOCKED
    return RUNNING if state == _SLOWED else state


def _fetch_bridge(broker: Broker, bridge: Bridge, *, shovels: Mapping[str, str]) -> BridgeState:
    queue = _fetch_queue(broker, name_queue(bridge.name)) if bridge.sends else {}
    return BridgeState(
        bridge.name,
        messages=int(queue.get("messages") or 0),
        size=int(queue.get("message_bytes") or 0),
        most=bridge.megabytes * _MEGABYTE,
        buffer=bridge.buffer_seconds,
        shovels={way: shovels.get(name, _ABSENT) for name, way in name_shovels(bridge).items()},
        connections=0 if bridge.connects else _count_connections(broker, name_queue(bridge.name)),
        most_connections=bridge.sends + bridge.receives,
        consumers=int(queue.get("consumers") or 0) if bridge.sends else None,
    )


def _count_connections(broker: Broker, user: str) -> int:
    return len(broker.request("GET", f"/api/connections/username/{quote(user, safe='')}"))


def _fetch_queue(broker: Broker, name: str) -> Mapping[str, Any]:
    path = f"/api/queues/%2F/{quote(name, safe='')}?columns=messages,message_bytes,consumers"
    try:
        return dict(broker.request("GET", path))
    except RefusedError as error:
        if error.code != _NOT_FOUND:
            raise
        return {}


def _add_reason(state: BridgeState, bridge: Bridge, *, log: str) -> BridgeState:
    """Add why the first shovel that does not run ended last, or waits."""
    stopped = [(name, way) for name, way in name_shovels(bridge).items() if state.shovels.get(way) != RUNNING]
    for name, way in stopped[:1]:
        is_blocked = state.shovels.get(way) == BLOCKED
        return replace(state, reason=explain_alarm(way) if is_blocked else explain_end(log, name))
    return state


def _list_containers(stack: Stack) -> list[Container]:
    """Return the containers of the broker, one of which runs the shovels; none where Docker does not tell them."""
    try:
        return [one for one in stack.engine.containers() if is_node(one.service) and one.is_running]
    except EngineError:
        return []


def _read_log(stack: Stack, container: Container) -> str:
    try:
        return stack.engine.last_logs(container, lines=_LINES)
    except EngineError:
        return ""


def _look(stack: Stack, container: Container, *, state: BridgeState) -> float | None:
    """Return for how many seconds the oldest message waits; nothing where none does, or none that has its time.

    It stays where it is: to take it and give it back would put it behind others.
    """
    if not state.may_lag:
        return None
    said = stack.engine.execute(container, *_PEEK, name_queue(state.name), "1")
    with suppress(ValueError, TypeError, KeyError):
        return max(0.0, time() - float(json.loads(said)["message"]["timestamp"]))
    return None


def delete_empty_queue(broker: Broker, name: str) -> str:
    """Delete a queue that no one consumes and that holds nothing; return why it is kept otherwise.

    The management API would tell a number that is seconds old. What a consumer had is back when it is gone.

    Raises:
        BrokerError: the broker does not answer, or refuses.
    """
    try:
        with connected(broker, "tidegate-bridges", "Nothing was lost.") as connection:
            channel = connection.channel()
            deadline = monotonic() + _PATIENCE
            found = channel.queue_declare(name, passive=True).method
            while found.consumer_count and monotonic() < deadline:
                sleep(_PAUSE)
                found = channel.queue_declare(name, passive=True).method
            if found.message_count:
                return f"holds {found.message_count} messages"
            if found.consumer_count:
                return "is consumed by the other place"
            channel.queue_delete(name)
            return ""
    except AMQPError as error:
        raise BrokerError(f"RabbitMQ did not let the queue {name} be deleted: {error!r}.") from error
