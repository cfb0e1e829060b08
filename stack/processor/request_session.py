"""Requests over MQTT 5: a message to a topic, and the response of the device or the function that takes it.

MQTT 5 (4.10) has the words: the request names a Response Topic, and Correlation Data that the response repeats. A
device of MQTT 3.1.1 knows neither; it answers at a topic of its own, which the caller then names.
"""

import json
import socket
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from nuclio_sdk import Response
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from stack.contract import RESPONSES
from stack.processor.request import RequestError
from stack.processor.response import encode_body

_JSON = "application/json"
_QOS = 1
# MQTT 5, 2.4 and 3.4.2.1: reason codes from the second onwards are failures; by the first the broker says that it has
# taken a message, and that no one has subscribed to its topic.
_NO_SUBSCRIBER, _FAILED = 0x10, 0x80
# MQTT 5, 3.8.3.1: what was retained before is no response.
_NO_RETAINED = 2
# A longer topic fits into no routing key of RabbitMQ.
_MOST_BYTES = 255
_LONGEST_DELAY = 5


@dataclass(eq=False)
class _Request:
    response_topic: str
    correlation: bytes
    response: "Future[Response]" = field(default_factory=Future)

    def fail(self, reason: str) -> None:
        if not self.response.done():
            self.response.set_exception(RequestError(reason))


class RequestSession:
    """The MQTT session of one worker's requests, and of the responses that it gives; any thread may use it."""

    def __init__(self, url: str, function: str) -> None:
        address = urlsplit(url)
        self._address = f"{address.hostname}:{address.port}"
        self._own_topic = f"{RESPONSES}{function}/{uuid4().hex}"
        self._requests: list[_Request] = []
        self._is_connected = threading.Event()
        self._trouble = "it does not answer"
        # Subscriptions and messages by their packet ids, until the broker has acknowledged them.
        self._acknowledged: dict[int, Future[int]] = {}
        self._lock = threading.Lock()
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.username_pw_set(address.username or "", address.password)
        client.reconnect_delay_set(1, _LONGEST_DELAY)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_message, client.on_socket_open = self._on_message, _send_at_once
        client.on_publish, client.on_subscribe = self._on_publish, self._on_subscribe
        client.connect_async(address.hostname or "", address.port or 0)
        client.loop_start()
        self._client = client

    def request(self, topic: str, body: Any, timeout: float, *, response_topic: str = "") -> Response:
        """Publish a request, and return the response.

        Raises:
            RequestError: the broker cannot be reached, or nothing has subscribed to the topic.
            TimeoutError: there was no response in time.
            ValueError: a topic is none that can be published to.
        """
        content, content_type = encode_body(body)
        answers_at = response_topic or self._own_topic
        for name in (topic, answers_at):
            _check_topic(name)
        deadline = monotonic() + timeout
        request = _Request(answers_at, uuid4().hex.encode())
        self._wait_for_connection(deadline)
        with self._lock:
            self._requests.append(request)
        try:
            self._subscribe(answers_at, deadline)
            properties = _describe(content_type, request.correlation)
            properties.ResponseTopic = answers_at
            sent = self._wait_for(self._client.publish(topic, content, _QOS, properties=properties).mid)
            sent.add_done_callback(lambda one: _note_sent(request, topic, one.result()))
            return request.response.result(deadline - monotonic())
        except TimeoutError:
            raise TimeoutError(f"there was no response of {topic!r} at {answers_at!r} within {timeout:g} s") from None
        finally:
            self._forget(request)

    def respond(self, topic: str, body: bytes, content_type: str, *, correlation: bytes) -> None:
        """Publish the response to a request; it is not waited for, as who has asked waits only for a while."""
        self._wait_for(self._client.publish(topic, body, _QOS, properties=_describe(content_type, correlation)).mid)

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _wait_for_connection(self, deadline: float) -> None:
        if not self._is_connected.wait(deadline - monotonic()):
            raise RequestError(f"no connection to the broker {self._address}: {self._trouble}")

    def _subscribe(self, topic: str, deadline: float) -> None:
        """Subscribe to a device's topic; each connection has subscribed to the session's own."""
        if topic == self._own_topic:
            return
        options = SubscribeOptions(_QOS, retainHandling=_NO_RETAINED)
        number = self._client.subscribe(topic, options=options)[1]
        code = self._wait_for(number).result(deadline - monotonic()) if number else _FAILED
        if code >= _FAILED:
            raise RequestError(f"the broker refused the subscription to {topic!r}: reason code {code}")

    def _forget(self, request: _Request) -> None:
        with self._lock:
            self._requests.remove(request)
            topics = {one.response_topic for one in self._requests}
        if request.response_topic not in topics | {self._own_topic}:
            self._client.unsubscribe(request.response_topic)

    def _wait_for(self, number: int) -> "Future[int]":
        """Return what is done, with the broker's reason code, when it has acknowledged a packet."""
        with self._lock:
            found = self._acknowledged.get(number)
            if found is None:
                self._acknowledged[number] = found = Future()
            elif found.done():
                del self._acknowledged[number]
        return found

    def _acknowledge(self, number: int, code: int) -> None:
        """Note an acknowledgement, which may come before the thread that waits for it knows the number."""
        with self._lock:
            found = self._acknowledged.pop(number, None)
            if found is None:
                self._acknowledged[number] = found = Future()
        found.set_result(code)

    def _on_connect(self, client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        if code.is_failure:
            self._trouble = str(code)
            return
        with self._lock:
            topics = {self._own_topic, *(one.response_topic for one in self._requests)}
        options = SubscribeOptions(_QOS, retainHandling=_NO_RETAINED)
        if number := client.subscribe([(topic, options) for topic in topics])[1]:
            self._wait_for(number)
        self._is_connected.set()

    def _on_disconnect(self, _client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        self._is_connected.clear()
        self._trouble = str(code)

    def _on_publish(self, _client: Client, _data: Any, number: int, code: ReasonCode, _properties: Any) -> None:
        self._acknowledge(number, code.value)

    def _on_subscribe(self, _client: Client, _data: Any, number: int, codes: Any, _properties: Any) -> None:
        self._acknowledge(number, codes[0].value)

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        if message.retain:
            return
        properties = vars(message.properties or Properties(PacketTypes.PUBLISH))  # type: ignore[no-untyped-call]
        with self._lock:
            request = self._find(message.topic, properties.get("CorrelationData"))
        if request and not request.response.done():
            request.response.set_result(_read_response(bytes(message.payload), properties))

    def _find(self, topic: str, correlation: bytes | None) -> _Request | None:
        """Return the request that a message answers; one without correlation data answers the first at its topic."""
        for request in self._requests:
            is_here = request.response_topic == topic and not request.response.done()
            if is_here and (request.correlation == correlation or (not correlation and topic != self._own_topic)):
                return request
        return None


def _send_at_once(_client: Client, _data: Any, connection: Any) -> None:
    """Have the kernel not wait for more to send, which would make 40 ms of each request."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _check_topic(topic: str) -> None:
    if not topic or not {"+", "#", "\0"}.isdisjoint(topic) or len(topic.encode()) > _MOST_BYTES:
        raise ValueError(f"should be a topic without + and #, of at most {_MOST_BYTES} bytes, not {topic!r}")


def _describe(content_type: str, correlation: bytes) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if content_type:
        properties.ContentType = content_type
    properties.CorrelationData = correlation
    return properties


def _note_sent(request: _Request, topic: str, code: int) -> None:
    if code == _NO_SUBSCRIBER:
        request.fail(f"nothing has subscribed to {topic!r}")
    elif code >= _FAILED:
        request.fail(f"the broker refused the message to {topic!r}: reason code {code}")


def _read_response(payload: bytes, properties: Mapping[str, Any]) -> Response:
    content_type = properties.get("ContentType", "")
    body: Any = payload
    if content_type == _JSON:
        # What is none stays as it came.
        with suppress(ValueError):
            body = json.loads(payload)
    return Response(dict(properties.get("UserProperty", ())), body, content_type or "text/plain", 200)
