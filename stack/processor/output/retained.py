"""A topic whose last message RabbitMQ retains: it does so only with what MQTT clients publish.

So an output of such a topic has an MQTT connection of its own, which is made with its first message.
"""

from socket import IPPROTO_TCP, TCP_NODELAY
from threading import Event, Lock
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from stack.processor.attributes import ConfigurationError
from stack.processor.configuration import Function, Output
from stack.processor.output.message import OutputError, OutputMessage, describe_message
from stack.processor.output.target import Address, Target

# Seconds: after which the broker has not taken a message, and between attempts to connect.
_TIMEOUT, _LONGEST_DELAY = 30.0, 5


class RetainingPublisher:
    """Publishes to one output's topics, from any thread."""

    def __init__(self, name: str, url: str, qos: int) -> None:
        self._name = name
        self._url = urlsplit(url)
        self._qos = qos
        self._lock = Lock()
        self._client: Client | None = None
        self._is_connected = Event()
        self._trouble = "it does not answer"
        # Why the broker refused messages, by their packet ids.
        self._refusals: dict[int, ReasonCode] = {}

    def publish(self, message: OutputMessage) -> None:
        """Publish a message, and wait until the broker has it.

        Raises:
            OutputError: it does not take it.
        """
        deadline = monotonic() + _TIMEOUT
        client = self._open()
        if not self._is_connected.wait(_TIMEOUT):
            raise self._fail(f"no connection to the broker {self._url.hostname}:{self._url.port}: {self._trouble}")
        sent = client.publish(message.address, message.body, self._qos, retain=True, properties=_describe(message))
        try:
            sent.wait_for_publish(deadline - monotonic())
        except RuntimeError as error:
            raise self._fail(str(error)) from None
        if not sent.is_published():
            raise self._fail(f"the broker has not taken it within {_TIMEOUT:g} s")
        if refusal := self._refusals.pop(sent.mid, None):
            raise OutputError(f"the output {self._name}: the broker refused it: {refusal}")

    def close(self) -> None:
        """Disconnect; the next message connects again."""
        with self._lock:
            client, self._client = self._client, None
            self._is_connected.clear()
        if client:
            client.disconnect()
            client.loop_stop()

    def _open(self) -> Client:
        with self._lock:
            if self._client is None:
                # Known before it connects, which another thread is told of.
                self._client = client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
                client.username_pw_set(self._url.username or "", self._url.password)
                client.reconnect_delay_set(1, _LONGEST_DELAY)
                client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
                client.on_publish, client.on_socket_open = self._on_publish, _send_at_once
                client.connect_async(self._url.hostname or "", self._url.port or 0)
                client.loop_start()
            return self._client

    def _fail(self, reason: str) -> OutputError:
        """Disconnect, so that nothing leaves after its event has failed; return the error."""
        self.close()
        return OutputError(f"the output {self._name}: {reason}")

    def _on_connect(self, client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        if code.is_failure:
            self._trouble = str(code)
        elif client is self._client:
            self._is_connected.set()

    def _on_disconnect(self, client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        if client is self._client:
            self._is_connected.clear()
            self._trouble = str(code)

    def _on_publish(self, _client: Client, _data: Any, number: int, code: ReasonCode, _properties: Any) -> None:
        if code.is_failure:
            self._refusals[number] = code


def _send_at_once(_client: Client, _data: Any, connection: Any) -> None:
    """Have the kernel not wait for more to send."""
    connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)


def open_target(output: Output, function: Function) -> Target:
    """Return what publishes to a topic by MQTT.

    Raises:
        ConfigurationError: the stack's broker is not known.
    """
    if not function.broker_mqtt_url and not function.reloads:
        where = f"spec.outputs.{output.name}.retain"
        raise ConfigurationError(f"{where}: the stack's broker is not known: there is no secret broker.mqtt")
    attributes = output.attributes
    publisher = RetainingPublisher(output.name, function.broker_mqtt_url, attributes.integer("qos", 1))
    address = Address(attributes.text("topic"), is_topic=True)
    return Target(output.name, address, call=publisher.publish, timeout=_TIMEOUT, close=publisher.close)


def _describe(message: OutputMessage) -> Properties:
    """Return what goes along: what MQTT has no property for, by the names that HTTP has for it."""
    headers = describe_message(message)
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = headers.pop("Content-Type")
    properties.CorrelationData = message.correlation_id.encode()
    del headers["X-Correlation-Id"]
    properties.UserProperty = [
        (name, value if isinstance(value, str) else value.decode()) for name, value in headers.items()
    ]
    return properties
