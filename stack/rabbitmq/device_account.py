"""Accounts of devices at a broker that runs: made, and removed, which ends the sessions that they have."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from stack.config.device import DeviceConfig
from stack.docker.stack import Stack
from stack.plan.device_account import describe_devices
from stack.rabbitmq.management import Broker, RefusedError, find_broker

# One import of RabbitMQ answers when all of it is done; each account takes it 2 ms.
_AT_ONCE = 500
# For more queues than this, those that are there are asked for.
_FEW = 100


def make_accounts(stack: Stack, devices: Sequence[DeviceConfig]) -> Iterator[int]:
    """Make the accounts of devices, or change those that are there; yield how many are done.

    Raises:
        BrokerError: the broker does not answer, or refuses.
    """
    broker, done = find_broker(stack), 0
    for first in range(0, len(devices), _AT_ONCE):
        part = devices[first : first + _AT_ONCE]
        broker.import_definitions(describe_devices(stack.accounts.key, part))
        done += len(part)
        yield done


def remove_accounts(broker: Broker, names: Sequence[str]) -> None:
    """Remove the accounts of devices, and their sessions; RabbitMQ closes their connections within milliseconds.

    A session that is kept would bring another device of the name what the first had subscribed to.

    Raises:
        BrokerError: the broker does not answer, or refuses.
    """
    for first in range(0, len(names), _AT_ONCE):
        broker.request("POST", "/api/users/bulk-delete", {"users": list(names[first : first + _AT_ONCE])})
    _delete_sessions(broker, names)


def _delete_sessions(broker: Broker, names: Sequence[str]) -> None:
    queues = [f"mqtt-subscription-{name}qos{qos}" for name in names for qos in (0, 1)]
    if len(queues) > _FEW:
        there = broker.queues()
        queues = [queue for queue in queues if queue in there]
    for queue in queues:
        # One that its connection alone may use goes with that.
        with suppress(RefusedError):
            broker.delete_queue(queue)


def close_sessions(broker: Broker, name: str) -> None:
    """Close the connections of a device.

    Raises:
        BrokerError: the broker does not answer, or refuses.
    """
    broker.request("DELETE", f"/api/connections/username/{name}")
