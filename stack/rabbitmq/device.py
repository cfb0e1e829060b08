"""The device: readings sent to the broker, as a sensor would."""

import threading
from collections.abc import Callable, Sequence

from stack.plan.device import MQTT, Reading, SendRequest
from stack.rabbitmq.device_amqp import AmqpDevice
from stack.rabbitmq.device_mqtt import MqttDevice
from stack.rabbitmq.management import Broker


def send(
    broker: Broker,
    order: SendRequest,
    readings: Sequence[Reading],
    *,
    show: Callable[[Reading], None],
    stop: threading.Event,
) -> Sequence[Reading]:
    """Send readings over the order's protocol; return those that no queue took.

    Raises:
        BrokerError: the broker cannot be reached.
    """
    # Each client library takes a tenth of a second to import.
    if order.protocol == MQTT:
        return MqttDevice(broker, readings, order.rate, show).run(stop)
    return AmqpDevice(broker, readings, order.rate, show).run(stop)
