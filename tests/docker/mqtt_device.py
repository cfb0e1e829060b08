"""A device on the real broker, as tests have it: paho, and what became of each thing that it tried."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

_SECONDS = 20.0
_FAILURE = 128


@dataclass
class MqttDevice:
    """A client, and what the broker told it."""

    client: Client
    connects: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    grants: list[int] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    heard: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def is_in(self) -> bool:
        """Return whether it has come in, and was not put out."""
        return "Success" in self.connects and not self.ends

    def publish(self, topic: str, body: str = "1", **options: Any) -> bool:
        """Return whether the broker took a message."""
        before, refused = len(self.acknowledged), len(self.refused)
        self.client.publish(topic, body, 1, **options)
        self._wait(lambda: len(self.acknowledged) > before or len(self.refused) > refused)
        return len(self.acknowledged) > before

    def subscribe(self, topic: str) -> bool:
        """Return whether the broker granted it."""
        self.grants.clear()
        self.client.subscribe(topic, 1)
        return self._wait(lambda: bool(self.grants)) and self.grants[-1] < _FAILURE

    def _wait(self, is_done: Any) -> bool:
        end = time.monotonic() + _SECONDS
        while not is_done() and not self.ends and time.monotonic() < end:
            time.sleep(0.01)
        return bool(is_done())

    def wait_in(self) -> bool:
        """Return whether it comes in."""
        self._wait(lambda: bool(self.connects))
        return self.is_in

    def wait_out(self, seconds: float) -> bool:
        """Return whether it is put out within so many seconds."""
        end = time.monotonic() + seconds
        while not self.ends and time.monotonic() < end:
            time.sleep(0.01)
        return bool(self.ends)


@contextmanager
def device(port: int, user: str, password: str, *, client_id: str = "", **options: Any) -> Iterator[MqttDevice]:
    """Connect once; it does not come again by itself.

    Options are `will`, a topic; `version`; `keep_alive`, in seconds; `tls`, a context; and `transport`, which may be
    websockets.
    """
    version, transport = options.get("version", MQTTProtocolVersion.MQTTv311), options.get("transport", "tcp")
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id or user,
        protocol=version,
        transport=transport,
        reconnect_on_failure=False,
    )
    if user:
        client.username_pw_set(user, password)
    if "tls" in options:
        client.tls_set_context(options["tls"])
    if "will" in options:
        client.will_set(options["will"], "gone", 1)
    found = MqttDevice(client)
    client.on_connect = lambda _c, _u, _f, reason, _p: found.connects.append(str(reason))
    client.on_disconnect = lambda _c, _u, _f, reason, _p: found.ends.append(str(reason))
    client.on_subscribe = lambda _c, _u, _m, reasons, _p: found.grants.extend(one.value for one in reasons)

    def note(_client: Client, _data: object, mid: int, reason: ReasonCode, _properties: object) -> None:
        (found.refused if reason.is_failure else found.acknowledged).append(mid)

    def hear(_client: Client, _data: object, message: MQTTMessage) -> None:
        found.heard.append((message.topic, bytes(message.payload)))

    client.on_publish, client.on_message = note, hear
    try:
        client.connect("localhost" if "tls" in options else "127.0.0.1", port, options.get("keep_alive", 60))
    except OSError as error:
        found.ends.append(str(error))
    client.loop_start()
    try:
        found.wait_in()
        yield found
    finally:
        client.disconnect()
        client.loop_stop()
