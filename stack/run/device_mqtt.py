"""The device over MQTT: one session, QoS 1, every acknowledgement awaited."""

import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from stack.errors import BrokerError
from stack.plan.device import TOPIC, Reading
from stack.run.broker import Broker

Sent = Callable[[Reading], None]

# How many readings may wait for the broker's acknowledgement.
_WINDOW = 200
# Seconds that the broker may take to answer at first, and that it may stay away later on.
_CONNECT_SECONDS, _PATIENCE = 10.0, 60.0
_LOOK = 0.1
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
        self._changed = threading.Condition()
        self._answer: ReasonCode | None = None
        self._last_progress = 0.0

    def run(self, stop: threading.Event) -> Sequence[Reading]:
        """Send everything until all is acknowledged or `stop` is set; return the readings that no queue took.

        Raises:
            BrokerError: the broker cannot be reached, or stayed away.
        """
        self._stop = stop
        client = self._open(MQTTv5) or self._open(MQTTv311)
        if client is None:
            raise self._explain(str(self._answer or "it does not answer"))
        try:
            self._publish_all(client)
            self._wait(lambda: not self._unacknowledged)
        finally:
            client.disconnect()
            client.loop_stop()
        return self._unheard

    def _open(self, version: MQTTProtocolVersion) -> Client | None:
        """Connect; return nothing if the broker does not speak this version."""
        client = Client(CallbackAPIVersion.VERSION2, protocol=version)
        client.max_inflight_messages_set(_WINDOW)
        credentials = self._broker.credentials
        client.username_pw_set(credentials.username, credentials.password.get_secret_value())
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        self._answer = None
        try:
            client.connect(self._broker.host, self._broker.mqtt_port)
        except OSError as error:
            raise self._explain(str(error)) from error
        client.loop_start()
        with self._changed:
            self._changed.wait_for(lambda: self._answer is not None, _CONNECT_SECONDS)
        if self._answer is not None and not self._answer.is_failure:
            return client
        client.disconnect()
        client.loop_stop()
        if self._answer is None or str(self._answer) != _UNSUPPORTED_VERSION:
            raise self._explain(str(self._answer or "it does not answer"))
        return None

    def _publish_all(self, client: Client) -> None:
        start = monotonic()
        for number, reading in enumerate(self._readings):
            self._wait(lambda: len(self._unacknowledged) < _WINDOW)
            if self._rate and self._stop.wait(max(0.0, start + number / self._rate - monotonic())):
                return
            if self._stop.is_set():
                return
            self._sent(reading)
            with self._changed:
                message = client.publish(TOPIC, reading.value, qos=1, properties=_describe(client, reading))
                self._unacknowledged[message.mid] = reading

    def _wait(self, is_done: Callable[[], bool]) -> None:
        with self._changed:
            self._last_progress = monotonic()
            while not is_done() and not self._stop.is_set():
                self._changed.wait(_LOOK)
                if monotonic() > self._last_progress + _PATIENCE:
                    raise self._explain(f"{len(self._unacknowledged)} readings were not acknowledged")

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        with self._changed:
            self._answer = code
            self._changed.notify_all()

    def _on_publish(self, _client: Client, _data: Any, mid: int, code: ReasonCode, _properties: Any) -> None:
        with self._changed:
            reading = self._unacknowledged.pop(mid, None)
            if reading and code.value == _NO_SUBSCRIBERS:
                self._unheard.append(reading)
            self._last_progress = monotonic()
            self._changed.notify_all()

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
