"""Messages of an MQTT session, with any broker; paho on an I/O thread.

The session is persistent: its client id stays the same and the broker keeps what arrives while the function is away.
Messages are acknowledged after the handler.
"""

import threading
import time
from typing import Any
from urllib.parse import urlsplit

from paho.mqtt.client import (
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
    MQTTv5,
    MQTTv31,
    MQTTv311,
)
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from stack.processor.attributes import ConfigurationError
from stack.processor.configuration import Function, Trigger
from stack.processor.delivery import Failure, Intake, Report
from stack.processor.message import MqttMessage
from stack.processor.response import Response
from stack.processor.source.delay import Delays
from stack.processor.source.subscription import read_filters
from stack.processor.status import State
from stack.processor.thread import start_thread

_VERSIONS: dict[int, MQTTProtocolVersion] = {3: MQTTv31, 4: MQTTv311, 5: MQTTv5}
# Nuclio's URL schemes, whether each is over TLS, its transport, and its port.
_SCHEMES = {
    "tcp": (False, "tcp", 1883),
    "mqtt": (False, "tcp", 1883),
    "ssl": (True, "tcp", 8883),
    "tls": (True, "tcp", 8883),
    "mqtts": (True, "tcp", 8883),
    "ws": (False, "websockets", 80),
    "wss": (True, "websockets", 443),
}
_KEEP_ALIVE = 30
_LONGEST_DELAY = 15.0
# Seconds that a broker keeps an MQTT 5 session without a connection.
_SESSION_EXPIRY = 24 * 3600
# Messages that may wait for the handler: what is acknowledged the broker holds back by itself, but QoS 0 would fill
# the memory.
_WAITING_LIMIT = 10_000


class MqttDelivery:
    """One message on its way through a worker."""

    __slots__ = ("_mid", "_qos", "_session", "_source", "message")

    def __init__(self, source: "MqttSource", message: MqttMessage, *, mid: int, qos: int, session: int) -> None:
        self.message = message
        self._source = source
        self._mid = mid
        self._qos = qos
        self._session = session

    def claim(self) -> bool:
        """Tell whether its connection is still there: the broker sends again what was not acknowledged."""
        self._source.note_claim()
        return self._qos == 0 or self._source.is_current(self._session)

    def done(self, response: Response) -> None:
        """Have the message acknowledged."""
        if self._qos:
            self._source.acknowledge(self._mid, self._qos, self._session)

    def failed(self, response: Response, failure: Failure) -> None:
        """Have the message acknowledged all the same: an MQTT broker has nowhere to keep it, and the log has the error.

        A broker repeats what is not acknowledged only when the client connects again, and until then it may hold back
        everything behind it.
        """
        self.done(response)


class MqttSource:
    """One session with a broker, and what its subscriptions bring."""

    def __init__(self, trigger: Trigger, function: Function, intake: Intake, report: Report) -> None:
        self._waiting = 0
        self._lock = threading.Lock()
        self._filters = read_filters(trigger)
        self._intake = intake
        self._report = report
        self._address = trigger.url_to_show
        self._delays = Delays(_LONGEST_DELAY)
        self._session = 0
        self._is_stopping = False
        self._client = self._open_client(trigger, function)

    def start(self) -> None:
        """Connect, subscribe, and do so again for ever."""
        start_thread("mqtt", self._run)

    def flush(self) -> None:
        """Do nothing: outcomes are sent as they come."""

    def stop(self) -> None:
        """Take nothing more in; what is not acknowledged stays with the broker."""
        self._is_stopping = True
        self._intake.close()

    def close(self, timeout: float) -> None:
        """Leave the broker, which keeps the session."""
        self._client.disconnect()

    def is_current(self, session: int) -> bool:
        """Tell whether a connection is the one that there is now, and its messages are still to be handled."""
        return session == self._session and not self._is_stopping

    def note_claim(self) -> None:
        """Note that a message waits no longer."""
        with self._lock:
            self._waiting -= 1

    def acknowledge(self, mid: int, qos: int, session: int) -> None:
        """Acknowledge a message, unless its connection is gone."""
        if session == self._session:
            self._client.ack(mid, qos)

    def _open_client(self, trigger: Trigger, function: Function) -> Client:
        attributes = trigger.attributes
        version = attributes.integer("protocolVersion", 4)
        if version not in _VERSIONS:
            raise ConfigurationError(f"{attributes.path}.protocolVersion: should be 3, 4 or 5, not {version}")
        self._version = _VERSIONS[version]
        scheme, self._host, self._port = _read_url(trigger)
        is_secure, transport, _ = _SCHEMES[scheme]
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=attributes.text("clientID") or f"nuclio-{function.namespace}-{function.name}-{trigger.name}",
            clean_session=None if version == 5 else False,
            protocol=self._version,
            transport=transport,  # type: ignore[arg-type]
            manual_ack=True,
            reconnect_on_failure=False,
        )
        if trigger.username:
            client.username_pw_set(trigger.username, trigger.password or None)
        if is_secure:
            client.tls_set()
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _run(self) -> None:
        while not self._is_stopping:
            try:
                self._connect()
            except (OSError, ValueError) as error:
                self._report(State.WAITING, f"no connection to the broker {self._address}: {error}")
            else:
                self._client.loop_forever()
            if not self._is_stopping:
                time.sleep(self._delays.next())

    def _connect(self) -> None:
        if self._version == MQTTv5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = _SESSION_EXPIRY
            self._client.connect(self._host, self._port, _KEEP_ALIVE, clean_start=False, properties=properties)
        else:
            self._client.connect(self._host, self._port, _KEEP_ALIVE)

    def _on_connect(self, client: Client, _data: Any, _flags: ConnectFlags, code: ReasonCode, _properties: Any) -> None:
        if code.is_failure:
            self._report(State.WAITING, f"the broker {self._address} refused the session: {code}")
            return
        self._session += 1
        self._delays.reset()
        if self._filters:
            client.subscribe(list(self._filters.items()))
        else:
            self._report(State.READY, "")

    def _on_subscribe(self, client: Client, _data: Any, _mid: int, codes: list[ReasonCode], _properties: Any) -> None:
        refused = [f"{topic}: {code}" for topic, code in zip(self._filters, codes, strict=False) if code.is_failure]
        if refused:
            self._report(State.WAITING, f"the broker {self._address} refused the subscription {'; '.join(refused)}")
        else:
            self._report(State.READY, "")

    def _on_disconnect(
        self, client: Client, _data: Any, _flags: DisconnectFlags, code: ReasonCode, _properties: Any
    ) -> None:
        self._session += 1
        if not self._is_stopping:
            self._report(State.WAITING, f"the broker {self._address} is gone: {code}")

    def _on_message(self, client: Client, _data: Any, message: MQTTMessage) -> None:
        with self._lock:
            if not message.qos and self._waiting >= _WAITING_LIMIT:
                return
            self._waiting += 1
        delivery = MqttDelivery(self, _read_message(message), mid=message.mid, qos=message.qos, session=self._session)
        self._intake.put(delivery)


def _read_url(trigger: Trigger) -> tuple[str, str, int]:
    """Return scheme, host and port; a URL without a scheme is over plain TCP, as with Nuclio."""
    url = trigger.url if "://" in trigger.url else f"tcp://{trigger.url}"
    parts = urlsplit(url)
    where = f"spec.triggers.{trigger.name}.url"
    if parts.scheme not in _SCHEMES or not parts.hostname:
        schemes = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        raise ConfigurationError(f"{where}: {trigger.url_to_show!r} should be host:port after one of {schemes}")
    try:
        return parts.scheme, parts.hostname, parts.port or _SCHEMES[parts.scheme][2]
    except ValueError as error:
        raise ConfigurationError(f"{where}: {error}") from None


def _read_message(message: MQTTMessage) -> MqttMessage:
    properties = message.properties
    headers: dict[str, Any] = {"x-mqtt-publish-qos": message.qos, "x-mqtt-retain": message.retain}
    headers.update(getattr(properties, "UserProperty", ()))
    return MqttMessage(
        topic=message.topic,
        payload=bytes(message.payload),
        packet_id=message.mid,
        headers=headers,
        content_type=getattr(properties, "ContentType", ""),
        received=time.time(),
    )
