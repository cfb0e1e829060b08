"""A queue in the place of another of the same name that was declared otherwise, with its bindings and its messages.

RabbitMQ does not change a queue, so it is made anew. Meanwhile another one stands in for it, bound alike, and takes
its messages; what is interrupted is seen by it, and goes on the next time. A message that is published in the instant
while both are bound comes twice; none is lost.
"""

from collections.abc import Sequence
from time import sleep
from urllib.parse import quote

from stack.plan.dead_letter import RETRY
from stack.plan.definitions import BINDING, QUEUE, Document, as_document
from stack.plan.drift import MOVING
from stack.run.broker.broker import Broker
from stack.run.broker.replacement import import_definitions, suppress_missing
from stack.run.broker.transfer import CONSUMER_TAG, Rewrite, Transfer, open_transfer

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
    with open_transfer(broker, rewrite) as transfer:
        import_definitions(broker, as_document([(QUEUE, stand_in)]))
        bindings = _bind_alike(broker, queue, stand_in)
        if _exists(broker, queue):
            _empty(broker, transfer, queue, stand_in)
        import_definitions(broker, as_document([(QUEUE, queue)]))
        transfer.move(stand_in["name"], queue["name"])
        import_definitions(broker, as_document([(BINDING, one) for one in bindings]))
        _unbind(broker, stand_in)
        sleep(_SETTLING)
        transfer.move(stand_in["name"], queue["name"])
    broker.request("DELETE", QUEUE.find_path(stand_in))


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


def _empty(broker: Broker, transfer: Transfer, queue: Document, stand_in: Document) -> None:
    """Move all messages, those that wait to be tried again first among them, and delete what is empty."""
    with transfer.occupied(queue["name"], lambda: _send_away(broker, queue)) as occupation:
        _unbind(broker, queue)
        transfer.drain(occupation, stand_in["name"])
        for retry in _list_retries(broker, queue):
            with transfer.occupied(retry["name"], lambda: None) as waiting:
                transfer.drain(waiting, stand_in["name"])
                broker.request("DELETE", QUEUE.find_path(retry))
        sleep(_SETTLING)
        # Of a quorum queue nobody is the only consumer.
        _send_away(broker, queue)
        transfer.drain(occupation, stand_in["name"])
        broker.request("DELETE", QUEUE.find_path(queue))


def _bind_alike(broker: Broker, queue: Document, stand_in: Document) -> list[Document]:
    """Bind what stands in as the queue is bound; return the queue's bindings, those from before an interruption too."""
    found = [*_fetch_bindings(broker, queue), *_fetch_bindings(broker, stand_in)]
    plain = [{name: value for name, value in one.items() if name != "properties_key"} for one in found]
    own = {BINDING.identify(one): one for one in ({**one, "destination": queue["name"]} for one in plain)}
    import_definitions(
        broker, as_document([(BINDING, {**one, "destination": stand_in["name"]}) for one in own.values()])
    )
    return list(own.values())


def _fetch_bindings(broker: Broker, queue: Document) -> list[Document]:
    with suppress_missing():
        return [one for one in broker.request("GET", f"{QUEUE.find_path(queue)}/bindings") if one["source"]]
    return []


def _unbind(broker: Broker, queue: Document) -> None:
    for one in _fetch_bindings(broker, queue):
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
