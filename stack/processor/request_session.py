"""Requests over MQTT 5: a message to a topic, and the response of the device or the function that takes it.

MQTT 5 (4.10) has the words: the request names a Response Topic, and Correlation Data that the response repeats. A
device of MQTT 3.1.1 knows neither; it answers at a topic of its own, which the caller then names.
"""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil
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
from stack.processor.request import MOST_BYTES, Reply, RequestError, is_topic
from stack.processor.response import Response as ProcessorResponse
from stack.processor.response import encode_body

_JSON = "application/json"
_QOS = 1
# MQTT 5, 2.4 and 3.4.2.1: reason codes from the second onwards are failures; by the first the broker says that it has
# taken a message, and that no one has subscribed to its topic.
_NO_SUBSCRIBER, _FAILED = 0x10, 0x80
# MQTT 5, 3.8.3.1: what was retained before is no response.
_NO_RETAINED = 2
# The user property in which a function tells the status of its response, as MQTT has none.
_STATUS = "status"
_CONNECT_SECONDS = 5.0


@dataclass(eq=False)
class _Request:
    topic: str
    response_topic: str
    correlation: bytes
    response: "Future[Response]" = field(default_factory=Future)

    def fail(self, reason: str) -> None:
        if not self.response.done():
            self.response.set_exception(RequestError(reason))


class RequestSession:
    """One MQTT connection for the requests of a worker, and for the responses that it gives; any thread may use it.

    It ends with its connection, and with a message that the broker has not taken in time: what paho still has would
    leave by the next one, after the function has been told that it did not.

    Raises:
        RequestError: the broker cannot be reached.
    """

    def __init__(self, url: str, function: str) -> None:
        address = urlsplit(url)
        self._own_topic = f"{RESPONSES}{function}/{uuid4().hex}"
        self._requests: list[_Request] = []
        # Subscriptions to devices' topics, and how many requests wait there.
        self._topics: Counter[str] = Counter()
        self._topic_lock = threading.Lock()
        # Subscriptions and messages by their packet ids, until the broker has acknowledged them.
        self._acknowledged: dict[int, Future[int]] = {}
        self._lock = threading.Lock()
        self._connected: Future[None] = Future()
        self.is_over = False
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False)
        client.username_pw_set(address.username or "", address.password)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_message, client.on_socket_open = self._on_message, _send_at_once
        client.on_publish, client.on_subscribe = self._on_publish, self._on_subscribe
        self._client = client
        self._connect(address.hostname or "", address.port or 0)

    def _connect(self, host: str, port: int) -> None:
        try:
            self._client.connect(host, port)
            self._client.loop_start()
            self._connected.result(_CONNECT_SECONDS)
            self._subscribe(self._own_topic, time.monotonic() + _CONNECT_SECONDS)
        except (OSError, RequestError) as error:
            self.close()
            raise RequestError(f"no connection to the broker {host}:{port}: {error or 'it does not answer'}") from None

    def request(self, topic: str, body: Any, timeout: float, *, response_topic: str = "") -> Response:
        """Publish a request, and return the response.

        Raises:
            RequestError: nothing has subscribed to the topic, or the connection is lost meanwhile.
            TimeoutError: there was no response in time.
            ValueError: a topic is none that can be published to.
        """
        content, content_type = encode_body(body)
        answers_at = response_topic or self._own_topic
        for name in (topic, answers_at):
            _check_topic(name)
        deadline = time.monotonic() + timeout
        request = _Request(topic, answers_at, uuid4().hex.encode())
        with self._lock:
            self._requests.append(request)
        try:
            self._join(answers_at, deadline)
            properties = _describe(content_type, request.correlation)
            properties.ResponseTopic = answers_at
            # Who comes back later is not to do what no one waits for any more.
            properties.MessageExpiryInterval = ceil(timeout)
            self._publish(request, content, properties, deadline)
            return request.response.result(deadline - time.monotonic())
        except TimeoutError:
            raise TimeoutError(f"there was no response of {topic!r} at {answers_at!r} within {timeout:g} s") from None
        finally:
            with self._lock:
                self._requests.remove(request)
            self._leave(answers_at)

    def respond(self, reply: Reply, response: ProcessorResponse) -> None:
        """Publish the response to a request; it is not waited for, as who has asked waits only for a while."""
        properties = _describe(response.content_type, reply.correlation)
        properties.UserProperty = [*response.headers.items(), (_STATUS, str(response.status))]
        self._wait_for(self._client.publish(reply.topic, response.body, _QOS, properties=properties).mid)

    def close(self) -> None:
        """Disconnect; requests that wait fail."""
        self.is_over = True
        self._client.disconnect()
        self._client.loop_stop()

    def _publish(self, request: _Request, content: bytes, properties: Properties, deadline: float) -> None:
        sent = self._wait_for(self._client.publish(request.topic, content, _QOS, properties=properties).mid)
        try:
            code = sent.result(deadline - time.monotonic())
        except TimeoutError:
            self._end("the broker takes no messages")
            raise
        if code == _NO_SUBSCRIBER:
            request.fail(f"nothing has subscribed to {request.topic!r}")
        elif code >= _FAILED:
            request.fail(f"the broker refused the message to {request.topic!r}: reason code {code}")

    def _join(self, topic: str, deadline: float) -> None:
        """Subscribe to a device's topic, unless another request waits there; its own the session has always."""
        if topic == self._own_topic:
            return
        with self._topic_lock:
            self._topics[topic] += 1
            if self._topics[topic] == 1:
                self._subscribe(topic, deadline)

    def _leave(self, topic: str) -> None:
        with self._topic_lock:
            if topic in self._topics:
                self._topics[topic] -= 1
                if not self._topics[topic]:
                    del self._topics[topic]
                    self._client.unsubscribe(topic)

    def _subscribe(self, topic: str, deadline: float) -> None:
        options = SubscribeOptions(_QOS, retainHandling=_NO_RETAINED)
        number = self._client.subscribe(topic, options=options)[1]
        code = self._wait_for(number).result(deadline - time.monotonic()) if number else _FAILED
        if code >= _FAILED:
            raise RequestError(f"the broker refused the subscription to {topic!r}: reason code {code}")

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

    def _end(self, reason: str) -> None:
        self.is_over = True
        with self._lock:
            requests = list(self._requests)
        for request in requests:
            request.fail(reason)
        self._client.disconnect()

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        if code.is_failure:
            self._connected.set_exception(RequestError(str(code)))
        elif not self._connected.done():
            self._connected.set_result(None)

    def _on_disconnect(self, _client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        self._end(f"the connection to the broker was lost: {code}")

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
    if not is_topic(topic):
        raise ValueError(f"should be a topic without + and #, of at most {MOST_BYTES} bytes, not {topic!r}")


def _describe(content_type: str, correlation: bytes) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if content_type:
        properties.ContentType = content_type
    properties.CorrelationData = correlation
    return properties


def _read_response(payload: bytes, properties: Mapping[str, Any]) -> Response:
    content_type = properties.get("ContentType", "")
    body: Any = payload
    if content_type == _JSON:
        # What is none stays as it came.
        with suppress(ValueError):
            body = json.loads(payload)
    headers = dict(properties.get("UserProperty", ()))
    status = str(headers.pop(_STATUS, ""))
    return Response(headers, body, content_type or "text/plain", int(status) if status.isdecimal() else 200)
