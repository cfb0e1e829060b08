"""The device: readings sent to the broker, as a sensor would."""

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from stack.errors import BrokerError
from stack.plan.device import MQTT, TOPIC, Reading, SendRequest
from stack.rabbitmq.device_amqp import AmqpDevice
from stack.rabbitmq.management import Broker

Sent = Callable[[Reading], None]

# How many readings may wait for the broker's acknowledgement.
_WINDOW = 200
# Seconds that the broker may take to answer at first, and that it may stay away later on.
_CONNECT_SECONDS, _PATIENCE = 10.0, 60.0
_LOOK = 0.1
# Seconds between attempts to connect again.
_LONGEST_DELAY = 2
_UNSUPPORTED_VERSION = "Unsupported protocol version"
# The reason that MQTT 5 gives for a message which no subscription takes.
_NO_SUBSCRIBERS = 16


class MqttDevice:
    """Publishes readings at QoS 1; `sent` is told of each as it goes out.

    With MQTT 5 the sensor and the reading's identity travel as user properties; a broker that knows only 3.1.1 gets the
    plain number. paho connects again by itself, and sends again what was not acknowledged.
    """

    def __init__(self, broker: Broker, readings: Sequence[Reading], rate: float, sent: Sent) -> None:
        self._broker = broker
        self._readings = readings
        self._rate = rate
        self._sent = sent
        self._unacknowledged: dict[int, Reading] = {}
        self._unheard: list[Reading] = []
        self._answers: SimpleQueue[ReasonCode] = SimpleQueue()
        self._acknowledged: SimpleQueue[tuple[int, ReasonCode]] = SimpleQueue()

    def run(self, stop: threading.Event) -> Sequence[Reading]:
        """Send everything until all is acknowledged or `stop` is set; return the readings that no queue took.

        Raises:
            BrokerError: the broker cannot be reached, or stayed away.
        """
        self._stop = stop
        client = self._open()
        try:
            self._publish_all(client)
            self._settle(0)
        finally:
            client.disconnect()
            client.loop_stop()
        return self._unheard

    def _open(self) -> Client:
        """Connect with MQTT 5, or 3.1.1 where the broker does not speak it."""
        reason = ""
        for version in (MQTTv5, MQTTv311):
            client = self._connect(version)
            try:
                code = self._answers.get(timeout=_CONNECT_SECONDS)
            except Empty:
                reason = "it does not answer"
            else:
                if not code.is_failure:
                    return client
                reason = str(code)
            client.disconnect()
            client.loop_stop()
            if reason != _UNSUPPORTED_VERSION:
                break
        raise self._explain(reason)

    def _connect(self, version: MQTTProtocolVersion) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, protocol=version)
        client.max_inflight_messages_set(_WINDOW)
        client.reconnect_delay_set(max_delay=_LONGEST_DELAY)
        credentials = self._broker.credentials
        client.username_pw_set(credentials.username, credentials.password.get_secret_value())
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        try:
            client.connect(self._broker.host, self._broker.mqtt_port)
        except OSError as error:
            raise self._explain(error.strerror or str(error)) from error
        client.loop_start()
        return client

    def _publish_all(self, client: Client) -> None:
        start = monotonic()
        for number, reading in enumerate(self._readings):
            self._settle(_WINDOW - 1)
            due = start + number / self._rate if self._rate else 0.0
            if self._stop.wait(max(0.0, due - monotonic())):
                return
            self._sent(reading)
            message = client.publish(TOPIC, reading.value, qos=1, properties=_describe(client, reading))
            self._unacknowledged[message.mid] = reading

    def _settle(self, most: int) -> None:
        """Take acknowledgements in, and wait until at most so many are missing."""
        progress = monotonic()
        while not self._stop.is_set():
            is_full = len(self._unacknowledged) > most
            try:
                mid, code = self._acknowledged.get(is_full, _LOOK)
            except Empty:
                if not is_full:
                    return
                if monotonic() > progress + _PATIENCE:
                    reason = f"{len(self._unacknowledged)} readings were not acknowledged"
                    raise self._explain(reason) from None
                continue
            progress = monotonic()
            reading = self._unacknowledged.pop(mid, None)
            if reading and code.value == _NO_SUBSCRIBERS:
                self._unheard.append(reading)

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        self._answers.put(code)

    def _on_publish(self, _client: Client, _data: Any, mid: int, code: ReasonCode, _properties: Any) -> None:
        # paho calls this with locks held that `publish` wants, so nothing may be waited for here.
        self._acknowledged.put((mid, code))

    def _explain(self, reason: str) -> BrokerError:
        address = f"{self._broker.host}:{self._broker.mqtt_port}"
        return BrokerError(f"RabbitMQ does not take MQTT at {address}: {reason}. Type `invoke up`, then this again.")


def _describe(client: Client, reading: Reading) -> Properties | None:
    """Return the user properties of a reading, which only MQTT 5 has."""
    if client.protocol != MQTTv5:
        return None
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = [("sensor", reading.sensor), ("reading", reading.identity)]
    return properties


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
