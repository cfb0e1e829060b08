"""What calls have of the broker: whether a device hears them, and how they are published.

That a queue has taken a call does not say that it was the device's, since others may listen to all topics; so the
bindings of its session are looked at.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from math import ceil
from typing import Any

from pika import BasicProperties

from stack.contract import RESPONSE_TOPIC, to_key
from stack.devices.call_store import SCHEMA, CallStore
from stack.devices.calls import Calls
from stack.devices.link import Link, Publication
from stack.devices.store import Store
from stack.errors import BrokerError
from stack.plan.device_call import Call, hears_calls
from stack.rabbitmq.management import Broker, RefusedError

_PERSISTENT = 2
# Seconds: RabbitMQ takes no longer time, should the clock have been wrong.
_LONGEST = 30 * 86_400.0


class BrokerWire:
    """The broker; `describe` tells whether a device is there, and since when."""

    def __init__(self, broker: Broker, link: Link, describe: Callable[[str], Mapping[str, Any]]) -> None:
        self._broker = broker
        self._link = link
        self._describe = describe

    def hears(self, device: str) -> bool:
        """Return whether a device is connected and has subscribed to its calls.

        Raises:
            BrokerError: the broker does not answer.
        """
        return bool(self._describe(device)["connected"]) and hears_calls(device, self._list_keys(device))

    def find_session(self, device: str) -> float | None:
        """Return since when a device's session at the broker has had what was sent to it; None if there is none.

        One that ends with its connection began with it; any other outlives the broker's own end.

        Raises:
            BrokerError: the broker does not answer.
        """
        queues = [found for name in _name_queues(device) if (found := self._find(f"/api/queues/%2F/{name}"))]
        if not queues:
            return None
        if not all(queue.get("exclusive") for queue in queues):
            return 0.0
        presence = self._describe(device)
        return float(presence["since"]) if presence["connected"] else None

    def send(self, call: Call, seconds: float) -> bool:
        """Publish a call, which the broker drops when so many seconds are over; return whether a queue took it.

        Raises:
            BrokerError: it is not known whether the broker has taken it.
        """
        properties = BasicProperties(
            content_type="application/json",
            delivery_mode=_PERSISTENT,
            correlation_id=call.id,
            expiration=str(ceil(min(seconds, _LONGEST) * 1000)),
            headers={RESPONSE_TOPIC: to_key(call.answer_topic)},
        )
        try:
            return self._link.publish(Publication(call.topic, call.body, properties=properties))
        except TimeoutError:
            raise BrokerError("RabbitMQ has not said whether it took a message.") from None

    def _list_keys(self, device: str) -> list[str]:
        paths = [f"/api/queues/%2F/{name}/bindings" for name in _name_queues(device)]
        return [
            str(binding["routing_key"]) for path in paths for binding in self._find(path) or () if binding["source"]
        ]

    def _find(self, path: str) -> Any:
        """Return what the management API tells at a path; None where there is nothing."""
        try:
            return self._broker.request("GET", path)
        except RefusedError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return None
            raise


def _name_queues(device: str) -> list[str]:
    return [f"mqtt-subscription-{device}qos{qos}" for qos in (1, 0)]


def open_calls(store: Store, wire: BrokerWire, *, may_log_in: Callable[[str], bool]) -> Calls:
    """Return the calls that a store has."""
    store.create(SCHEMA)
    return Calls(CallStore(store.transaction), wire, may_log_in)
