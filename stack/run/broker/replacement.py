"""Exchanges in the place of others of the same name that were declared otherwise, such that no message is lost."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from stack.plan.definitions import BINDING, EXCHANGE, POLICY, Document, as_document
from stack.plan.drift import MOVING
from stack.run.broker.broker import Broker, RefusedError

# It applies to the exchange whatever else does, for a moment.
_HIGHEST = 1_000_000
_NOT_FOUND = 404


def import_definitions(broker: Broker, document: dict[str, list[Document]]) -> None:
    """Have RabbitMQ make what is missing, and change what can be changed.

    Raises:
        BrokerError: the broker does not answer, or refuses.
    """
    if document:
        broker.request("POST", "/api/definitions", document)


def declare_exchange(broker: Broker, exchange: Document, bindings: Sequence[Document]) -> None:
    """Declare an exchange, and bind it as is declared and as what it replaces was.

    Until all is bound, what it cannot route goes through an exchange that stands in; once it is bound to that, too, a
    message still reaches each queue once, as RabbitMQ routes.

    Raises:
        BrokerError: the broker does not answer, or refuses.
    """
    found = [*_fetch_bindings(broker, exchange), *_fetch_stand_in_bindings(broker, exchange)]
    every = {BINDING.identify(one): one for one in [*bindings, *found]}
    own = [one for one in every.values() if one["source"] == exchange["name"]]
    with _standing_in(broker, exchange, own) as stand_in:
        broker.request("DELETE", EXCHANGE.find_path(exchange))
        through = {"source": exchange["name"], "vhost": exchange["vhost"], "destination": stand_in}
        through |= {"destination_type": "exchange", "routing_key": "#", "arguments": {}}
        import_definitions(broker, as_document([(EXCHANGE, exchange), (BINDING, through)]))
        import_definitions(broker, as_document([(BINDING, one) for one in every.values()]))


@contextmanager
def _standing_in(broker: Broker, exchange: Document, bindings: Sequence[Document]) -> Iterator[str]:
    """Have another exchange with these bindings take what the one cannot route.

    It stays where something fails meanwhile, since messages may come by nothing else; the next time goes on from there.
    """
    name, vhost = exchange["name"] + MOVING, exchange["vhost"]
    stand_in = {"name": name, "vhost": vhost, "type": "topic", "durable": False, "auto_delete": False, "arguments": {}}
    policy = {"name": name, "vhost": vhost, "pattern": f"^{re.escape(exchange['name'])}$", "apply-to": "exchanges"}
    policy |= {"priority": _HIGHEST, "definition": {"alternate-exchange": name}}
    bound = [(BINDING, {**one, "source": name}) for one in bindings]
    import_definitions(broker, as_document([(EXCHANGE, stand_in), (POLICY, policy), *bound]))
    yield name
    broker.request("DELETE", POLICY.find_path(policy))
    broker.request("DELETE", EXCHANGE.find_path(stand_in))


def _fetch_bindings(broker: Broker, exchange: Document) -> list[Document]:
    """Return the bindings to and from an exchange, but that to what stands in; none if it is not there."""
    found: list[Document] = []
    with suppress_missing():
        for end in ("source", "destination"):
            found += broker.request("GET", f"{EXCHANGE.find_path(exchange)}/bindings/{end}")
    stand_in = ("exchange", exchange["name"] + MOVING)
    kept = [one for one in found if (one["destination_type"], one["destination"]) != stand_in]
    return [{name: value for name, value in one.items() if name != "properties_key"} for one in kept]


def _fetch_stand_in_bindings(broker: Broker, exchange: Document) -> list[Document]:
    """Return the bindings from what stands in since the last time, which was interrupted, as the exchange's own."""
    stand_in = {**exchange, "name": exchange["name"] + MOVING}
    found = _fetch_bindings(broker, stand_in)
    return [{**one, "source": exchange["name"]} for one in found if one["source"] == stand_in["name"]]


@contextmanager
def suppress_missing() -> Iterator[None]:
    """Go on where something that is asked for does not exist."""
    try:
        yield
    except RefusedError as error:
        if error.code != _NOT_FOUND:
            raise
