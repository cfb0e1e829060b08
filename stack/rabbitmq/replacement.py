"""Exchanges in the place of others of the same name that were declared otherwise, such that no message is lost."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import sleep
from urllib.parse import quote

from pika import BlockingConnection, URLParameters
from pika.exceptions import AMQPError, ChannelClosedByBroker

from stack.contract import RETRY
from stack.errors import BrokerError
from stack.plan.broker import Policy
from stack.plan.definitions import BINDING, EXCHANGE, POLICY, QUEUE, Document, as_document
from stack.plan.drift import MOVED, MOVING
from stack.rabbitmq.management import Broker, RefusedError
from stack.rabbitmq.transfer import CONSUMER_TAG, Rewrite, Transfer, open_transfer

# It applies to the exchange whatever else does, for a moment.
_HIGHEST = 1_000_000
# Bytes that no disk has; and that none are dropped when the limit is there again.
_NO_LIMIT = {"max-length-bytes": 10**15, "overflow": "reject-publish"}
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
    with _standing_in(broker, exchange, bindings=own) as stand_in:
        broker.request("DELETE", EXCHANGE.find_path(exchange))
        through = {"source": exchange["name"], "vhost": exchange["vhost"], "destination": stand_in}
        through |= {"destination_type": "exchange", "routing_key": "#", "arguments": {}}
        import_definitions(broker, as_document([(EXCHANGE, exchange), (BINDING, through)]))
        import_definitions(broker, as_document([(BINDING, one) for one in every.values()]))


@contextmanager
def _standing_in(broker: Broker, exchange: Document, *, bindings: Sequence[Document]) -> Iterator[str]:
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


_STAND_IN = {"durable": True, "auto_delete": False, "type": "quorum", "arguments": {}}
# Seconds in which what was routed before a queue was unbound has come.
_SETTLING = 0.2


def replace_queue(broker: Broker, queue: Document, rewrite: Rewrite) -> None:
    """Replace a queue by one that is declared like this, and go on with what was interrupted.

    Who consumes it is sent away, gives back what was not acknowledged, and comes back to the new queue.

    Raises:
        BrokerError: it could not be done; every message is in the queue or in the one that stands in.
    """
    stand_in = {**_STAND_IN, "vhost": queue["vhost"], "name": queue["name"] + MOVING}
    with open_transfer(broker, rewrite) as transfer, _unlimited(broker, queue, stand_in=stand_in):
        bindings = _bind_alike(broker, queue, stand_in=stand_in)
        if _exists(broker, queue):
            _empty(broker, transfer, queue=queue, stand_in=stand_in)
        import_definitions(broker, as_document([(QUEUE, queue)]))
        transfer.move(stand_in["name"], queue["name"])
        import_definitions(broker, as_document([(BINDING, one) for one in bindings]))
        _unbind(broker, stand_in)
        sleep(_SETTLING)
        transfer.move(stand_in["name"], queue["name"])
    broker.request("DELETE", QUEUE.find_path(stand_in))


@contextmanager
def _unlimited(broker: Broker, queue: Document, *, stand_in: Document) -> Iterator[None]:
    """Make what stands in, and let both queues take more than a queue may hold while messages are moved.

    A queue that is full, whose limit is met only roughly, has more than fits into another, while others come. What a
    kill leaves of this is removed with what stands in.
    """
    pattern = f"^{re.escape(queue['name'])}({re.escape(MOVING)})?$"
    both = list(Policy(MOVED, pattern, _HIGHEST, _NO_LIMIT).documents())
    import_definitions(broker, as_document([(QUEUE, stand_in), *((POLICY, one) for one in both)]))
    try:
        yield
    finally:
        for one in both:
            with suppress_missing():
                broker.request("DELETE", POLICY.find_path(one))


def replace_retry_queue(broker: Broker, queue: Document, rewrite: Rewrite) -> None:
    """Send the messages of a queue of retries to be tried now, and delete it: the function makes it when it needs it.

    Raises:
        BrokerError: it could not be done; every message is in one of the queues.
    """
    if not _exists(broker, queue):
        # It went with the queue to which its messages go back.
        return
    with open_transfer(broker, rewrite) as transfer, transfer.occupied(queue["name"], lambda: None) as occupation:
        transfer.drain(occupation, queue["name"].partition(RETRY)[0])
        broker.request("DELETE", QUEUE.find_path(queue))


def _empty(broker: Broker, transfer: Transfer, *, queue: Document, stand_in: Document) -> None:
    """Move all messages, those that wait to be tried again first among them, and delete what is empty."""
    with transfer.occupied(queue["name"], lambda: _send_away(broker, queue)) as occupation:
        _unbind(broker, queue)
        transfer.drain(occupation, stand_in["name"])
        for retry in _list_retries(broker, queue):
            with transfer.occupied(retry["name"], lambda: None) as waiting:
                transfer.drain(waiting, stand_in["name"])
                broker.request("DELETE", QUEUE.find_path(retry))
        sleep(_SETTLING)
        # Of a quorum queue no one is the only consumer.
        _send_away(broker, queue)
        transfer.drain(occupation, stand_in["name"])
        broker.request("DELETE", QUEUE.find_path(queue))


def _bind_alike(broker: Broker, queue: Document, *, stand_in: Document) -> list[Document]:
    """Bind what stands in as the queue is bound; return the queue's bindings, those from before an interruption too."""
    found = [*_fetch_bindings_queue_replacement(broker, queue), *_fetch_bindings_queue_replacement(broker, stand_in)]
    plain = [{name: value for name, value in one.items() if name != "properties_key"} for one in found]
    own = {BINDING.identify(one): one for one in ({**one, "destination": queue["name"]} for one in plain)}
    import_definitions(
        broker, as_document([(BINDING, {**one, "destination": stand_in["name"]}) for one in own.values()])
    )
    return list(own.values())


def _fetch_bindings_queue_replacement(broker: Broker, queue: Document) -> list[Document]:
    with suppress_missing():
        found = broker.request("GET", f"{QUEUE.find_path(queue)}/bindings")
        return [one for one in found if one["source"] not in ("", MOVED)]
    return []


def _unbind(broker: Broker, queue: Document) -> None:
    for one in _fetch_bindings_queue_replacement(broker, queue):
        ends = f"e/{quote(one['source'], safe='')}/q/{quote(queue['name'], safe='')}"
        path = f"/api/bindings/{quote(queue['vhost'], safe='')}/{ends}/{quote(one['properties_key'], safe='')}"
        broker.request("DELETE", path)


def _send_away(broker: Broker, queue: Document) -> None:
    """Close the connections of the queue's consumers, but our own."""
    for name in _list_consumers(broker, queue):
        broker.request("DELETE", f"/api/connections/{quote(name, safe='')}")


def _list_consumers(broker: Broker, queue: Document) -> set[str]:
    """Return the names of the connections; RabbitMQ tells of a new consumer a second or two late."""
    found = broker.request("GET", "/api/consumers?columns=queue.name,consumer_tag,channel_details.connection_name")
    found = [one for one in found if one["queue"]["name"] == queue["name"] and one.get("consumer_tag") != CONSUMER_TAG]
    channels = [one.get("channel_details") or {} for one in found]
    return {one["connection_name"] for one in channels if one.get("connection_name")}


def _list_retries(broker: Broker, queue: Document) -> Sequence[Document]:
    found = broker.request("GET", f"/api/queues/{quote(queue['vhost'], safe='')}?columns=name,vhost")
    return [one for one in found if one["name"].startswith(queue["name"] + RETRY)]


def _exists(broker: Broker, queue: Document) -> bool:
    with suppress_missing():
        broker.request("GET", QUEUE.find_path(queue))
        return True
    return False


_NOT_FOUND_IDLE_QUEUE = 404


def delete_idle_queue(broker: Broker, name: str) -> bool:
    """Delete a queue, unless it holds a message or somebody consumes it; return whether it is gone.

    A quorum queue, which RabbitMQ deletes under no condition, is asked first: what is sent to it by its name between
    the answer and the end of it is gone with it.

    Raises:
        BrokerError: the broker does not answer.
    """
    if broker.delete_idle_queue(name):
        return True
    if not _is_idle(broker, name):
        return False
    broker.delete_queue(name)
    return True


def _is_idle(broker: Broker, name: str) -> bool:
    """Return whether a queue holds nothing and no one consumes it; the management API knows that a second later."""
    try:
        with BlockingConnection(URLParameters(broker.amqp_url)) as connection:
            found = connection.channel().queue_declare(name, passive=True).method
    except ChannelClosedByBroker as error:
        return int(error.reply_code) == _NOT_FOUND_IDLE_QUEUE
    except (AMQPError, OSError) as error:
        raise BrokerError(f"RabbitMQ does not answer at {broker.host}:{broker.amqp_port}: {error}") from error
    return not (int(found.message_count) or int(found.consumer_count))
