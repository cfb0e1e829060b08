"""What of the stack's broker is not as it is declared; repair.py makes it so."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from stack.docker.stack import Stack
from stack.errors import BrokerError
from stack.plan.bridge import BRIDGE, list_queues, list_shovels
from stack.plan.bridge_state import BridgeState
from stack.plan.broker import topology
from stack.plan.definitions import QUEUE, Definitions, read_definitions
from stack.plan.device_account import describe_devices
from stack.plan.diff import Action, Change
from stack.plan.drift import Difference, find_drift, find_occupations
from stack.plan.function import declared_on_broker, own_queues, service_name, taken_queues
from stack.plan.render import DEFINITIONS, render_broker
from stack.plan.replication import COPY_COLUMNS, find_fixed_copies, find_missing_copies, find_single_copies
from stack.plan.stack import Service
from stack.plan.template import Files
from stack.plan.trouble import (
    CONNECTION_COLUMNS,
    GROWTH_SECONDS,
    NODE_COLUMNS,
    QUEUE_COLUMNS,
    Trouble,
    find_alarms,
    find_blocked,
    find_full,
    find_growing,
)
from stack.rabbitmq.bridge import fetch_bridges
from stack.rabbitmq.management import DENIED, Broker, RefusedError, find_broker
from stack.state.deployment import list_deployed
from stack.state.devices import list_logins
from stack.state.lock import find_local_runs, find_rollouts

_ROOT = "/"


@dataclass(frozen=True)
class Declared:
    """What is to be at the broker, and the queues that functions take as they are."""

    definitions: Definitions
    taken: tuple[str, ...]
    consumed: tuple[str, ...]
    kept_users: frozenset[str] = frozenset()
    """Users that are in use for now, though no definition tells of them."""
    nodes: int = 1
    """How many nodes are to keep each queue; a deploy judges only what it declares."""


@dataclass(frozen=True)
class BrokerSurvey:
    """What was found; `problem` says why the broker could not be asked, and `is_locked` that it refuses our account.

    `messages` says how many each queue holds.
    """

    drift: tuple[Difference, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    messages: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""
    is_locked: bool = False
    bridges: tuple[BridgeState, ...] = ()

    def changes(self, username: str) -> tuple[Change, ...]:
        """Return what `up` would do."""
        locked = Change(f"user {username}", Action.CHANGE, "is not let in as administrator")
        return ((locked,) if self.is_locked else ()) + tuple(one.change for one in self.drift)

    @property
    def all_troubles(self) -> tuple[Trouble, ...]:
        """Return what is wrong, and that something is not as declared, in one."""
        if not self.drift:
            return self.troubles
        first, count = self.drift[0], len(self.drift)
        more = f" {count - 1} more of the broker {'is' if count == 2 else 'are'} not as declared." if count > 1 else ""
        advice = "`invoke plan` shows what, and `invoke up` mends it."
        return (*self.troubles, Trouble(first.subject, f"{first.reason}.{more}", advice, "warn"))


def read_declared(files: Files, services: Iterable[Service]) -> Declared:
    """Return what the rendered definitions and the deployed functions declare."""
    documents = [json.loads(text) for path, text in sorted(files.items()) if path.startswith(DEFINITIONS)]
    return _declare(documents, services)


def read_declared_of(services: Sequence[Service]) -> Declared:
    """Return what some functions alone declare."""
    bound = [one for service in services for one in declared_on_broker(service.plan)]
    return _declare([json.loads(topology(bound))], services)


def survey_broker(broker: Broker, read: Callable[[], Declared]) -> BrokerSurvey:
    """Find what differs and what is wrong; a broker that does not answer is a finding, too."""
    try:
        declared, found = fetch_beside(broker, read)
        drift, queues = find_broker_drift(broker, declared, found=found), _fetch_queues(broker)
        messages = {str(one["name"]): int(one.get("messages") or 0) for one in queues}
        full = (*find_full(queues), *find_growing(queues))
        troubles = (*_fetch_alarms(broker), *full, *_find_copies(broker, declared.nodes, found=found))
        return BrokerSurvey(drift, troubles, messages)
    except RefusedError as error:
        return BrokerSurvey(problem=str(error), is_locked=error.code in DENIED)
    except BrokerError as error:
        return BrokerSurvey(problem=str(error))


def fetch_beside(broker: Broker, read: Callable[[], Declared]) -> tuple[Declared, Definitions]:
    """Read what is declared while RabbitMQ writes what is there; with many devices both take long.

    Raises:
        BrokerError: the broker does not answer.
    """
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(broker.export_definitions)
        declared = read()
        return declared, read_definitions([asked.result()])


def find_broker_drift(broker: Broker, declared: Declared, *, found: Definitions) -> tuple[Difference, ...]:
    """Compare what is declared with the definitions that the broker has, and see who keeps a function from its queue.

    Raises:
        BrokerError: the broker does not answer.
    """
    consumers = broker.fetch_list("/api/consumers?columns=queue.name,exclusive,channel_details.connection_name")
    occupied = find_occupations(consumers, declared.consumed)
    drift = find_drift(declared.definitions, found, taken=declared.taken, kept=declared.kept_users)
    known = {one.document["name"] for one in drift if one.kind is QUEUE}
    single = find_single_copies(found) if declared.nodes > 1 else ()
    return (*drift, *(one for one in single if one.document["name"] not in known), *occupied)


def _fetch_alarms(broker: Broker) -> Iterator[Trouble]:
    yield from find_alarms(broker.fetch_list(f"/api/nodes?columns={NODE_COLUMNS}"))
    yield from find_blocked(broker.fetch_list(f"/api/connections?columns={CONNECTION_COLUMNS}"))


def _find_copies(broker: Broker, nodes: int, *, found: Definitions) -> Iterator[Trouble]:
    """Yield what a broker of several nodes does not keep on all of them."""
    if nodes > 1:
        yield from find_fixed_copies(found)
        yield from find_missing_copies(fetch_copies(broker), nodes)


def fetch_copies(broker: Broker) -> list[dict[str, Any]]:
    """Return the queues with the nodes that have them.

    Raises:
        BrokerError: the broker does not answer.
    """
    return broker.fetch_list(f"/api/queues/%2F?columns={COPY_COLUMNS}")


def _fetch_queues(broker: Broker) -> list[dict[str, Any]]:
    samples = f"lengths_age={GROWTH_SECONDS}&lengths_incr={GROWTH_SECONDS}"
    return broker.fetch_list(f"/api/queues/%2F?columns={QUEUE_COLUMNS}&{samples}")


def _declare(documents: Sequence[Mapping[str, Any]], services: Iterable[Service]) -> Declared:
    plans = [one.plan for one in services if one.is_deployed]
    taken = dict.fromkeys(queue for plan in plans for queue in taken_queues(plan))
    consumed = dict.fromkeys(queue for plan in plans for queue in own_queues(plan))
    definitions = read_definitions(documents)
    loose = tuple(name for name in taken if (_ROOT, name) not in definitions.queues)
    return Declared(definitions, loose, tuple(consumed))


def survey_stack_broker(stack: Stack, *, with_oldest: bool = False) -> BrokerSurvey:
    """Find what of the stack's broker is not as declared, what is wrong, and perhaps how old what waits is."""
    broker = find_broker(stack)
    found = survey_broker(broker, lambda: read_stack_declared(stack))
    left = _find_left_behind(found.messages, list_queues(stack.settings))
    found = replace(found, troubles=(*found.troubles, *left))
    if found.problem or not stack.settings.bridge:
        return found
    try:
        bridges = fetch_bridges(stack, broker, with_oldest=with_oldest)
    except BrokerError as error:
        return replace(found, problem=str(error))
    troubles = [trouble for one in bridges for trouble in one.troubles]
    return replace(found, bridges=bridges, troubles=(*found.troubles, *troubles))


def _find_left_behind(messages: Mapping[str, int], queues: Collection[str]) -> Iterator[Trouble]:
    """Yield the queues with messages of bridges that are no more."""
    for name, count in sorted(messages.items()):
        if count and name.startswith(BRIDGE) and name not in queues:
            what = f"holds {count:,} messages of a bridge that is no more."
            advice = "RabbitMQ's own pages show and delete it; with its bridge again, they go."
            yield Trouble(f"queue {name}", what, advice, "warn")


def read_stack_declared(stack: Stack) -> Declared:
    """Return what the stack and its deployed functions declare."""
    declared = read_declared(render_broker(stack.inputs), stack.inputs.services)
    in_use = {*list_deployed(stack.workspace), *find_rollouts(stack.workspace), *find_local_runs(stack.workspace)}
    kept = frozenset(map(service_name, in_use))
    return replace(_add_unrendered(stack, declared), kept_users=kept, nodes=stack.settings.broker.nodes)


def _add_unrendered(stack: Stack, declared: Declared) -> Declared:
    """Return what is declared with what no rendered file has: accounts of devices, and what has passwords in it."""
    devices = stack.registry.devices
    let_in = [devices[name] for name in sorted(list_logins(stack.workspace)) if name in devices]
    inputs = stack.inputs
    shovels = list(list_shovels(stack.settings, inputs.accounts.key, contents=inputs.bridge_accounts))
    found = read_definitions([describe_devices(stack.accounts.key, let_in), {"parameters": shovels}])
    return replace(declared, definitions=declared.definitions.join(found))
