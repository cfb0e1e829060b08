"""`context.request`: a message to a topic, and the response; and the responses to others' requests."""

import threading
from importlib import import_module
from typing import Any, NamedTuple

from nuclio_sdk import Response

from stack.contract import RESPONSE_TOPIC, RESPONSES, to_topic
from stack.processor.message import AmqpMessage, unwrap

# It brings paho, which functions that neither ask nor are asked do without.
_SESSION = "stack.processor.request_session"
# A longer topic fits into no routing key of RabbitMQ.
MOST_BYTES = 255
# Where RabbitMQ puts correlation data that is no text of AMQP.
_CORRELATION = "x-correlation-id"


class RequestError(Exception):
    """A request could not be made; the text says why."""


def is_topic(text: str) -> bool:
    """Return whether a message can be published to a topic: it has no wildcard, and fits into a routing key."""
    return bool(text) and {"+", "#", "\0"}.isdisjoint(text) and len(text.encode()) <= MOST_BYTES


class Reply(NamedTuple):
    """Where a response goes, and what it repeats of its request."""

    topic: str
    correlation: bytes


def find_reply(message: Any) -> Reply | None:
    """Return where the response to a message goes; None if it asks for none, or for one at a topic of no requests."""
    message = unwrap(message)
    if not isinstance(message, AmqpMessage):
        return None
    properties, headers = message.properties, message.properties.headers or {}
    key = headers.get(RESPONSE_TOPIC)
    topic = to_topic(key) if isinstance(key, str) else ""
    if not topic.startswith(RESPONSES) or not is_topic(topic):
        return None
    correlation = properties.correlation_id or headers.get(_CORRELATION)
    if isinstance(correlation, str):
        correlation = correlation.encode()
    return Reply(topic, correlation if isinstance(correlation, bytes) else b"")


class Requester:
    """`context.request`; it connects with the first request."""

    def __init__(self, url: str, function: str) -> None:
        self._url = url
        self._function = function
        self._lock = threading.Lock()
        self._session: Any = None

    def __call__(self, topic: str, body: Any = b"", timeout: float = 5.0, *, response_topic: str = "") -> Response:
        """Publish a request to a topic, and return the response, its body an object where it is JSON.

        A device or function that knows MQTT 5 answers at the Response Topic that goes along; `response_topic` is where
        any other one answers. Call it on a thread where the handler is async: `asyncio.to_thread(context.request, …)`.

        Raises:
            RequestError: there is no broker, or nothing has subscribed to the topic.
            TimeoutError: there was no response within so many seconds.
            ValueError: a topic is none that can be published to.
        """
        return self.open().request(topic, body, timeout, response_topic=response_topic)

    def open(self) -> Any:
        """Return the session; a new one where the last has ended.

        Raises:
            RequestError: there is no broker, or it cannot be reached.
        """
        with self._lock:
            if not self._url:
                raise RequestError(
                    "the stack's broker is not known: give function.yaml a trigger or an output that uses it, such as "
                    "`outputs: {command: {kind: mqtt, topic: plant/pump/cmd}}`"
                )
            if self._session is None or self._session.is_over:
                self._session = None
                self._session = import_module(_SESSION).RequestSession(self._url, self._function)
            return self._session

    def close(self) -> None:
        """Disconnect."""
        if self._session:
            self._session.close()
