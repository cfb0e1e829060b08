"""The stack's broker made as it is declared, by `up` and by deploys."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Thread
from time import monotonic, sleep
from typing import Any

from stack import console
from stack.contract import RETRY
from stack.docker.stack import Stack
from stack.errors import BrokerError
from stack.plan.bridge import BRIDGE, BRIDGE_KINDS, is_of_bridge
from stack.plan.broker import SERVICE
from stack.plan.definitions import BINDING, EXCHANGE, POLICY, QUEUE, USER, Document, Kind, as_document, read_definitions
from stack.plan.diff import Action
from stack.plan.drift import Binding, Difference
from stack.plan.render import DEFINITIONS, render_broker
from stack.plan.replication import find_missing_copies
from stack.plan.stack import Service
from stack.rabbitmq.account import find_keys
from stack.rabbitmq.bridge import delete_empty_queue
from stack.rabbitmq.device_account import close_sessions
from stack.rabbitmq.drift import (
    Declared,
    fetch_beside,
    fetch_copies,
    find_broker_drift,
    read_declared_of,
    read_stack_declared,
)
from stack.rabbitmq.management import DENIED, Broker, RefusedError, find_broker
from stack.rabbitmq.replacement import declare_exchange, import_definitions, replace_queue, replace_retry_queue
from stack.rabbitmq.stale_topology import unbind
from stack.rabbitmq.transfer import Rewrite, keep_origin

# What is declared may depend on what was missing: topic permissions are removed all of a user's at once, for one.
_ROUNDS = 2
_PATIENCE_SECONDS = 10
# How long copies may take, which are made ten seconds after a node has come, and seconds between two looks.
_COPIES_SECONDS, _LOOK_SECONDS = 120.0, 0.5


def mend_broker(broker: Broker, read: Callable[[], Declared], *, rewrite: Rewrite) -> bool:
    """Make what is there what is declared; return whether there was anything to do. What cannot be done is warned of.

    Raises:
        BrokerError: the broker does not answer, or refuses.
    """
    declared, found = fetch_beside(broker, read)
    drift = first = find_broker_drift(broker, declared, found=found)
    if first:
        # A device that was added meanwhile is not to lose its account.
        declared = read()
        drift = first = find_broker_drift(broker, declared, found=found)
    for one in first:
        console.note(f"{one.subject}: {one.action}: {one.reason}.")
    for _ in range(_ROUNDS):
        if drift:
            _mend(broker, declared, drift=drift, rewrite=rewrite)
            drift = find_broker_drift(broker, declared, found=read_definitions([broker.export_definitions()]))
    for one in drift:
        console.warn(f"{one.subject} {one.reason}, still.")
    return bool(first)


def _mend(broker: Broker, declared: Declared, *, drift: Sequence[Difference], rewrite: Rewrite) -> None:
    """Remove what is not to be, then make what others depend on first, and bindings last.

    What was of a bridge goes at the end: another may take its place, and no message is to slip between them.
    """
    gone = [one for one in drift if one.action is Action.REMOVE]
    old_bridges = [one for one in gone if one.kind in BRIDGE_KINDS and is_of_bridge(one.kind, one.document)]
    _remove(broker, [one for one in gone if one not in old_bridges])
    _make(broker, declared, drift=drift, rewrite=rewrite)
    _remove(broker, old_bridges)
    for one in old_bridges:
        if one.kind is POLICY:
            _remove_queue(broker, one.document["name"])


def _remove(broker: Broker, drift: Sequence[Difference]) -> None:
    for one in drift:
        if one.kind is BINDING:
            queue = one.document["destination"]
            unbind(broker, queue, [Binding(queue, one.document["source"], one.document["routing_key"])])
        else:
            broker.request("DELETE", one.kind.find_path(one.document))


def _make(broker: Broker, declared: Declared, *, drift: Sequence[Difference], rewrite: Rewrite) -> None:
    made = [one for one in drift if one.action is not Action.REMOVE]
    plain = [one for one in made if one.kind not in (EXCHANGE, BINDING) and not _is_replaced_queue(one)]
    import_definitions(broker, as_document([(one.kind, one.document) for one in plain]))
    _end_old_logins(broker, plain)
    for one in sorted(filter(_is_replaced_queue, made), key=_is_of_retries):
        _try_replace(broker, one, rewrite=rewrite)
    for one in made:
        if one.kind is EXCHANGE:
            declare_exchange(broker, one.document, _bindings_of(declared, one.document))
    bindings: list[tuple[Kind, Document]] = [(BINDING, one.document) for one in made if one.kind is BINDING]
    import_definitions(broker, as_document(bindings))


def _end_old_logins(broker: Broker, changed: Sequence[Difference]) -> None:
    """Close what another place has opened by a password that has changed: RabbitMQ itself would let it go on."""
    for one in changed:
        if one.kind is USER and one.action is Action.CHANGE and one.document["name"].startswith(BRIDGE):
            close_sessions(broker, one.document["name"])


def _remove_queue(broker: Broker, name: str) -> None:
    """Remove the queue of a bridge that is no more, unless it holds messages: those are the user's."""
    if reason := delete_empty_queue(broker, name):
        console.warn(f"The queue {name} {reason}, and is kept; RabbitMQ's own pages show it.")


def _is_replaced_queue(one: Difference) -> bool:
    return one.kind is QUEUE and one.action is Action.REPLACE


def _is_of_retries(one: Difference) -> bool:
    return RETRY in one.document["name"]


def _try_replace(broker: Broker, one: Difference, *, rewrite: Rewrite) -> None:
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


def ask_ahead(stack: Stack) -> Future[dict[str, Any]] | None:
    """Have the broker of a stack that was there before tell what it has, which takes it a while with many devices."""
    if not stack.engine.compose_file.exists():
        return None
    answer, broker = Future[dict[str, Any]](), find_broker(stack)

    def ask() -> None:
        try:
            answer.set_result(broker.export_definitions())
        except BrokerError as error:
            answer.set_exception(error)

    Thread(target=ask, daemon=True).start()
    return answer


def mend_stack_broker(stack: Stack, ahead: Future[dict[str, Any]] | None = None) -> bool:
    """Make the broker what is declared, and return whether it was not; why that cannot be done is only told.

    Where what it told `ahead` is as declared, there is nothing to do; where not, it is asked again.
    """
    broker = find_broker(stack)
    if ahead and _is_as_declared(stack, broker, ahead=ahead):
        return False
    is_let_in = _is_locked(broker) and _let_in(stack, broker)
    return (
        _try_mend(stack, broker, read=lambda: read_stack_declared(stack), services=stack.inputs.services) or is_let_in
    )


def _is_as_declared(stack: Stack, broker: Broker, *, ahead: Future[dict[str, Any]]) -> bool:
    declared = read_stack_declared(stack)
    try:
        found = read_definitions([ahead.result(_PATIENCE_SECONDS)])
        return not find_broker_drift(broker, declared, found=found)
    except (BrokerError, TimeoutError):
        return False


def await_copies(stack: Stack) -> None:
    """Wait until all nodes have each quorum queue: RabbitMQ makes copies some seconds after a node has come."""
    nodes = stack.settings.broker.nodes
    if nodes == 1:
        return
    broker, deadline, lacking = find_broker(stack), monotonic() + _COPIES_SECONDS, ["?"]
    with console.working("Waiting until all nodes have each queue"):
        while lacking and monotonic() < deadline:
            lacking = _find_lacking(broker, nodes)
            sleep(_LOOK_SECONDS if lacking else 0)
    for text in lacking:
        console.warn(text)


def _find_lacking(broker: Broker, nodes: int) -> list[str]:
    try:
        return [str(one) for one in find_missing_copies(fetch_copies(broker), nodes)]
    except BrokerError as error:
        return [str(error)]


def mend_functions(stack: Stack, services: Sequence[Service]) -> None:
    """Make what functions declare be at the broker; functions declare it themselves, but only when they connect."""
    _try_mend(stack, find_broker(stack), read=lambda: read_declared_of(services), services=services)


def _try_mend(stack: Stack, broker: Broker, *, read: Callable[[], Declared], services: Sequence[Service]) -> bool:
    try:
        return mend_broker(broker, read, rewrite=keep_origin(find_keys(stack, services)))
    except BrokerError as error:
        console.warn(f"The broker was not compared with what is declared: {error}")
        return False


def _is_locked(broker: Broker) -> bool:
    """Return whether the broker is there and refuses our account."""
    try:
        # Only an administrator is told, and of one user in no time.
        broker.request("GET", f"/api/users/{broker.credentials.username}")
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
