"""Mending: the broker is made again what is declared, and no message that it holds is lost for it."""

from collections.abc import Sequence

from stack import console
from stack.errors import BrokerError
from stack.plan.change import Action
from stack.plan.dead_letter import RETRY
from stack.plan.definitions import BINDING, EXCHANGE, QUEUE, Document, Kind, as_document
from stack.plan.drift import Difference
from stack.run.broker.broker import Broker
from stack.run.broker.queue_replacement import replace_queue, replace_retry_queue
from stack.run.broker.replacement import declare_exchange, import_definitions
from stack.run.broker.survey import Declared, find_broker_drift
from stack.run.broker.transfer import Rewrite

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
