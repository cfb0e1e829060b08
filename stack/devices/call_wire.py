"""What calls have of the broker: whether a device hears them, and how they are published.

That a queue has taken a call does not say that it was the device's, since others may listen to all topics; so the
bindings of its session are looked at.
"""

from collections.abc import Callable
from http import HTTPStatus
from math import ceil

from pika import BasicProperties

from stack.contract import RESPONSE_TOPIC, to_key
from stack.devices.call_store import SCHEMA, CallStore
from stack.devices.calls import Calls
from stack.devices.link import Link, Publication
from stack.devices.store import Store
from stack.plan.device_call import Call, hears_calls
from stack.rabbitmq.management import Broker, RefusedError

_PERSISTENT = 2


class BrokerWire:
    """The broker; `is_connected` tells whether a device is there."""

    def __init__(self, broker: Broker, link: Link, is_connected: Callable[[str], bool]) -> None:
        self._broker = broker
        self._link = link
        self._is_connected = is_connected

    def hears(self, device: str) -> bool:
        """Return whether a device is connected and has subscribed to its calls.

        Raises:
            BrokerError: the broker does not answer.
        """
        return self._is_connected(device) and hears_calls(device, self._list_keys(device))

    def has_session(self, device: str) -> bool:
        """Return whether the broker has a session of a device, which may be away.

        Raises:
            BrokerError: the broker does not answer.
        """
        return bool(self._list_keys(device))

    def send(self, call: Call, seconds: float) -> None:
        """Publish a call, which the broker drops when so many seconds are over.

        Raises:
            BrokerError: the broker has not taken it.
        """
        properties = BasicProperties(
            content_type="application/json",
            delivery_mode=_PERSISTENT,
            correlation_id=call.id,
            expiration=str(ceil(seconds * 1000)),
            headers={RESPONSE_TOPIC: to_key(call.answer_topic)},
        )
        self._link.publish(Publication(call.topic, call.body, properties=properties))

    def _list_keys(self, device: str) -> list[str]:
        return [key for qos in (1, 0) for key in self._list_keys_of(f"mqtt-subscription-{device}qos{qos}")]

    def _list_keys_of(self, queue: str) -> list[str]:
        try:
            return [binding.key for binding in self._broker.bindings(queue)]
        except RefusedError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return []
            raise


def open_calls(store: Store, wire: BrokerWire, may_log_in: Callable[[str], bool]) -> Calls:
    """Return the calls that a store has."""
    store.create(SCHEMA)
    return Calls(CallStore(store.transaction), wire, may_log_in)
