"""The stack's broker as it is declared: found out by `plan` and `status`, and made so again by `up` and by deploys."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stack import console
from stack.contract import RETRY
from stack.docker.stack import Stack
from stack.errors import BrokerError
from stack.plan.broker import SERVICE, topology
from stack.plan.definitions import BINDING, EXCHANGE, QUEUE, Definitions, Document, Kind, as_document, read_definitions
from stack.plan.diff import Action, Change
from stack.plan.drift import Difference, find_drift, find_occupations
from stack.plan.function import bound_queues, own_queues, service_name, taken_queues
from stack.plan.metrics import (
    CONNECTION_COLUMNS,
    GROWTH_SECONDS,
    NODE_COLUMNS,
    QUEUE_COLUMNS,
    Trouble,
    find_alarms,
    find_blocked,
    find_growing,
)
from stack.plan.render import DEFINITIONS, Files, render_broker
from stack.plan.stack import Service
from stack.rabbitmq.account import find_keys
from stack.rabbitmq.management import DENIED, Broker, RefusedError, find_broker
from stack.rabbitmq.replacement import declare_exchange, import_definitions, replace_queue, replace_retry_queue
from stack.rabbitmq.transfer import Rewrite, keep_origin
from stack.state.deployment import list_deployed
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
    bound = [one for service in services for one in bound_queues(service.plan)]
    return _declare([json.loads(topology(bound))], services)


def survey_broker(broker: Broker, declared: Declared) -> BrokerSurvey:
    """Find what differs and what is wrong; a broker that does not answer is a finding, too."""
    try:
        drift, queues = find_broker_drift(broker, declared), _fetch_queues(broker)
        messages = {str(one["name"]): int(one.get("messages") or 0) for one in queues}
        return BrokerSurvey(drift, (*_fetch_alarms(broker), *find_growing(queues)), messages)
    except RefusedError as error:
        return BrokerSurvey(problem=str(error), is_locked=error.code in DENIED)
    except BrokerError as error:
        return BrokerSurvey(problem=str(error))


def find_broker_drift(broker: Broker, declared: Declared) -> tuple[Difference, ...]:
    """Compare what is declared with what is there.

    Raises:
        BrokerError: the broker does not answer.
    """
    found = read_definitions([broker.request("GET", "/api/definitions")])
    consumers = broker.request("GET", "/api/consumers?columns=queue.name,exclusive,channel_details.connection_name")
    occupied = find_occupations(consumers, declared.consumed)
    drift = find_drift(declared.definitions, found, declared.taken, declared.kept_users)
    return (*drift, *occupied)


def _fetch_alarms(broker: Broker) -> Iterator[Trouble]:
    yield from find_alarms(_list_known(broker, f"/api/nodes?columns={NODE_COLUMNS}"))
    yield from find_blocked(_list_known(broker, f"/api/connections?columns={CONNECTION_COLUMNS}"))


def _list_known(broker: Broker, path: str) -> list[dict[str, Any]]:
    """Return what there are figures of: of a node that has just started RabbitMQ tells an empty list instead."""
    return [one for one in broker.request("GET", path) if isinstance(one, dict)]


def _fetch_queues(broker: Broker) -> list[Mapping[str, Any]]:
    samples = f"lengths_age={GROWTH_SECONDS}&lengths_incr={GROWTH_SECONDS}"
    return list(broker.request("GET", f"/api/queues/%2F?columns={QUEUE_COLUMNS}&{samples}"))


def _declare(documents: Sequence[Mapping[str, Any]], services: Iterable[Service]) -> Declared:
    plans = [one.plan for one in services if one.is_deployed]
    taken = dict.fromkeys(queue for plan in plans for queue in taken_queues(plan))
    consumed = dict.fromkeys(queue for plan in plans for queue in own_queues(plan))
    definitions = read_definitions(documents)
    loose = tuple(name for name in taken if (_ROOT, name) not in definitions.queues)
    return Declared(definitions, loose, tuple(consumed))


# What is declared may depend on what was missing: topic permissions are removed all of a user's at once, for one.
_ROUNDS = 2


def mend_broker(broker: Broker, declared: Declared, rewrite: Rewrite) -> bool:
    """Make what is there what is declared; return whether there was anything to do. What cannot be done is warned of.

    Raises:
        BrokerError: the broker does not answer, or refuses.
    """
    drift = first = find_broker_drift(broker, declared)
    for one in first:
        console.note(f"{one.subject}: {one.action}: {one.reason}.")
    for _ in range(_ROUNDS):
        if drift:
            _mend(broker, declared, drift, rewrite)
            drift = find_broker_drift(broker, declared)
    for one in drift:
        console.warn(f"{one.subject} {one.reason}, still.")
    return bool(first)


def _mend(broker: Broker, declared: Declared, drift: Sequence[Difference], rewrite: Rewrite) -> None:
    """Remove what is not to be, then make what others depend on first, and bindings last."""
    for one in drift:
        if one.action is Action.REMOVE:
            broker.request("DELETE", one.kind.find_path(one.document))
    made = [one for one in drift if one.action is not Action.REMOVE]
    plain = [one for one in made if one.kind not in (EXCHANGE, BINDING) and not _is_replaced_queue(one)]
    import_definitions(broker, as_document([(one.kind, one.document) for one in plain]))
    for one in sorted(filter(_is_replaced_queue, made), key=_is_of_retries):
        _try_replace(broker, one, rewrite)
    for one in made:
        if one.kind is EXCHANGE:
            declare_exchange(broker, one.document, _bindings_of(declared, one.document))
    bindings: list[tuple[Kind, Document]] = [(BINDING, one.document) for one in made if one.kind is BINDING]
    import_definitions(broker, as_document(bindings))


def _is_replaced_queue(one: Difference) -> bool:
    return one.kind is QUEUE and one.action is Action.REPLACE


def _is_of_retries(one: Difference) -> bool:
    return RETRY in one.document["name"]


def _try_replace(broker: Broker, one: Difference, rewrite: Rewrite) -> None:
    """Replace a queue; where that cannot be done now, no message is lost, and the others are mended."""
    replace = replace_retry_queue if _is_of_retries(one) else replace_queue
    try:
        with console.working(f"Moving what is in the {one.subject}"):
            replace(broker, one.document, rewrite)
    except BrokerError as error:
        console.warn(str(error))


def _bindings_of(declared: Declared, exchange: Document) -> list[Document]:
    return [one for one in declared.definitions.of(BINDING).values() if one["source"] == exchange["name"]]


# Where the broker's container has the definitions.
_MOUNTED = "/etc/rabbitmq/definitions"


def survey_stack_broker(stack: Stack) -> BrokerSurvey:
    """Find what of the stack's broker is not as declared, and what is wrong with it."""
    return survey_broker(find_broker(stack), _read_declared(stack))


def mend_stack_broker(stack: Stack) -> bool:
    """Make the broker what is declared, and return whether it was not; why that cannot be done is only told."""
    declared, broker = _read_declared(stack), find_broker(stack)
    is_let_in = _is_locked(broker) and _let_in(stack, broker)
    return _try_mend(stack, broker, declared, stack.inputs.services) or is_let_in


def mend_functions(stack: Stack, services: Sequence[Service]) -> None:
    """Make what functions declare be at the broker; functions declare it themselves, but only when they connect."""
    _try_mend(stack, find_broker(stack), read_declared_of(services), services)


def _read_declared(stack: Stack) -> Declared:
    declared = read_declared(render_broker(stack.inputs), stack.inputs.services)
    in_use = {*list_deployed(stack.workspace), *find_rollouts(stack.workspace), *find_local_runs(stack.workspace)}
    return replace(declared, kept_users=frozenset(map(service_name, in_use)))


def _try_mend(stack: Stack, broker: Broker, declared: Declared, services: Sequence[Service]) -> bool:
    try:
        return mend_broker(broker, declared, keep_origin(find_keys(stack, services)))
    except BrokerError as error:
        console.warn(f"The broker was not compared with what is declared: {error}")
        return False


def _is_locked(broker: Broker) -> bool:
    """Return whether the broker is there and refuses our account."""
    try:
        broker.request("GET", "/api/definitions")
    except RefusedError as error:
        return error.code in DENIED
    except BrokerError:
        return False
    return False


def _let_in(stack: Stack, broker: Broker) -> bool:
    """Have the broker make our account again by its own command, which needs none."""
    console.note(f"user {broker.credentials.username}: change: is not let in as administrator.")
    first = min(path for path in render_broker(stack.inputs) if path.startswith(DEFINITIONS))
    running = [one for one in stack.engine.containers() if one.service == SERVICE and one.is_running]
    for container in running[:1]:
        file = f"{_MOUNTED}/{first.rpartition('/')[2]}"
        stack.engine.execute(container, "rabbitmqctl", "import_definitions", file)
    return bool(running)
