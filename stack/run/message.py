"""`invoke publish` and `invoke watch`: messages to the broker as a device sends them, and messages that pass by."""

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Any

from pika.exceptions import AMQPError, ChannelClosedByBroker

from stack import console
from stack.config.document import parse_model
from stack.config.trigger.mqtt import Subscription
from stack.contract import MQTT_EXCHANGE, to_key
from stack.docker.stack import open_stack
from stack.errors import BrokerError, StackError
from stack.plan.message import read_amqp, read_mqtt
from stack.rabbitmq.connection import connected
from stack.rabbitmq.management import Broker, find_broker, find_device_broker
from stack.rabbitmq.observer import PREFIX, Observed, describe_message
from stack.rabbitmq.publication import publish_amqp, publish_mqtt
from stack.run.invocation import find_content_type, read_body, read_headers

_EXAMPLES = (
    "`invoke publish iot/sensors/temperature --body 21.5` for a topic of MQTT, "
    "or `invoke publish --exchange iot/sensors --key temperature --body 21.5`"
)
_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class PublishRequest:
    """What to publish: to a topic of MQTT, or to an exchange with a routing key."""

    topic: str = ""
    exchange: str = ""
    key: str = ""
    body: str = ""
    """The text; @FILE is the content of a file, and - is standard input."""
    headers: Sequence[str] = ()
    qos: int = 1
    is_retained: bool = False
    count: int = 1

    @property
    def place(self) -> str:
        """Return where it goes, in words."""
        if self.topic:
            return f"the topic {self.topic}"
        return f"the exchange {self.exchange} with the key {self.key!r}" if self.exchange else f"the queue {self.key}"


def publish_and_print(request: PublishRequest) -> None:
    """Publish messages, and say whether a queue took them.

    Raises:
        StackError: an option makes no sense, the broker cannot be reached, or it refused a message.
    """
    if request.count < 1:
        raise StackError(f"--count {request.count}: should be 1 or more.")
    if bool(request.topic) == bool(request.exchange or request.key):
        raise StackError(f"Say where to: {_EXAMPLES}; a --key without an --exchange is the name of a queue.")
    body = read_body(request.body)
    if not body:
        console.note("The message is empty: --body gives it a text, @FILE the content of a file, - standard input.")
    broker = find_device_broker(open_stack())
    is_taken = _publish_mqtt(broker, request, body=body) if request.topic else _publish_amqp(broker, request, body=body)
    _tell(request, is_taken)


def _publish_mqtt(broker: Broker, request: PublishRequest, *, body: bytes) -> bool | None:
    if request.headers:
        raise StackError("--header: a message of MQTT has none here; publish to an --exchange with a --key.")
    message = read_mqtt({"topic": request.topic, "qos": str(request.qos), "retain": _SWITCH[request.is_retained]})
    return publish_mqtt(broker, replace(message, body=body), count=request.count)


def _publish_amqp(broker: Broker, request: PublishRequest, *, body: bytes) -> bool:
    if request.is_retained:
        raise StackError("--retain: only MQTT has messages that are retained; name a topic.")
    message = read_amqp({"exchange": request.exchange, "key": request.key, "persistent": "on"})
    headers = read_headers(request.headers)
    kind = find_content_type(request.body, body)
    return publish_amqp(broker, replace(message, body=body, headers=headers, content_type=kind), count=request.count)


_SWITCH = {True: "on", False: ""}


def _tell(request: PublishRequest, is_taken: bool | None) -> None:
    count = "1 message" if request.count == 1 else f"{request.count} messages"
    if is_taken is False:
        console.warn(f"{count} to {request.place}: no queue took it, since nothing is bound to that.")
    elif is_taken is None:
        console.success(f"{count} to {request.place}, at QoS 0, which the broker does not confirm.")
    else:
        console.success(f"{count} to {request.place}; a queue took {'it' if request.count == 1 else 'each'}.")


@dataclass(frozen=True)
class WatchRequest:
    """What to show: what goes to the topics of a filter, or to an exchange with keys of a pattern."""

    pattern: str
    exchange: str = ""
    count: int = 0
    """So many messages; 0 is any number, until Ctrl-C."""

    @property
    def place(self) -> tuple[str, str]:
        """Return the exchange, and the binding key."""
        return (self.exchange, self.pattern) if self.exchange else (MQTT_EXCHANGE, to_key(self.pattern))


def watch_and_print(request: WatchRequest, *, as_json: bool) -> None:
    """Print messages as they pass by: so many, or until Ctrl-C. Functions get them all the same.

    Raises:
        StackError: an option makes no sense, or the broker cannot be reached.
    """
    if request.count < 0:
        raise StackError(f"--count {request.count}: should be 1 or more, or 0 to go on until Ctrl-C.")
    if not request.exchange:
        parse_model(Subscription, {"topic": request.pattern}, name="watch")
    broker = find_broker(open_stack())
    seen = 0
    try:
        with closing(_observe(broker, request)) as messages:
            for message in messages:
                _show(message, as_json=as_json)
                seen += 1
                if seen == request.count:
                    return
    except KeyboardInterrupt:
        console.note("Stopped.")


def _observe(broker: Broker, request: WatchRequest) -> Generator[Observed]:
    """Yield copies of what is published, by a queue that is gone with its connection."""
    exchange, key = request.place
    try:
        with connected(broker, "tidegate-watch", "What functions get is not touched.") as connection:
            channel = connection.channel()
            queue = f"{PREFIX}watch.{token_hex(8)}"
            channel.queue_declare(queue, exclusive=True, auto_delete=True)
            channel.queue_bind(queue, exchange, key)
            console.note(f"Watching {request.exchange or 'MQTT'} {request.pattern}. To exit press CTRL+C")
            for method, properties, body in channel.consume(queue, auto_ack=True, inactivity_timeout=_LOOK_SECONDS):
                if method is not None:
                    yield Observed(time.time(), method.exchange, method.routing_key, body, properties)
    except ChannelClosedByBroker as error:
        raise BrokerError(f"RabbitMQ refused: {error.reply_text}.") from error
    except AMQPError as error:
        raise BrokerError("RabbitMQ is gone. `invoke status` tells how it is; then this again.") from error


def _show(message: Observed, *, as_json: bool) -> None:
    told: dict[str, Any] = describe_message(message)
    if as_json:
        console.show_json_line(told)
        return
    place = told["topic"] or f"{told['exchange']} {told['key']}"
    console.show(f"{time.strftime('%H:%M:%S', time.localtime(told['time']))}  {place}  {told['body']}")
