"""Messages published by hand, and a look at those that wait in a queue."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from time import time
from typing import Any
from urllib.parse import quote

from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode
from pika import BasicProperties, DeliveryMode
from pika.exceptions import AMQPError, ChannelClosedByBroker, NackError, UnroutableError

import stack.processor.source.rabbitmq.properties  # noqa: F401
from stack.config.trigger.base import QUORUM
from stack.docker.stack import Stack
from stack.errors import BrokerError, FunctionError
from stack.plan.message import AmqpMessage, MqttMessage, QueueTarget, TestMessage
from stack.rabbitmq.connection import connected
from stack.rabbitmq.management import Broker, find_broker
from stack.rabbitmq.observer import NAME, Observed
from stack.rabbitmq.transfer import get_unacknowledged, read_unacknowledged
from stack.state.vault import function_signature_key

# Seconds that the broker may take for each answer.
_PATIENCE = 10.0
_KEPT = "What waits in its queues stays there."
# MQTT's reason for a message which no subscription takes.
_NO_SUBSCRIBERS = 16


def publish_amqp(broker: Broker, message: AmqpMessage, *, count: int = 1) -> bool:
    """Publish a message, so many times; say whether a queue took it each time.

    Raises:
        BrokerError: the broker cannot be reached, or refused it, such as for want of the exchange.
    """
    properties = BasicProperties(
        headers=dict(message.headers) or None,
        content_type=message.content_type or None,
        correlation_id=message.correlation_id or None,
        reply_to=message.reply_to or None,
        message_id=message.message_id or None,
        delivery_mode=(DeliveryMode.Persistent if message.is_persistent else DeliveryMode.Transient).value,
    )
    with _open_channel(broker) as channel:
        channel.confirm_delivery()
        try:
            for _ in range(count):
                channel.basic_publish(message.exchange, message.key, message.body, properties, mandatory=True)
        except UnroutableError:
            return False
        except NackError as error:
            raise BrokerError("RabbitMQ did not take the message: its queue is full.") from error
    return True


def publish_mqtt(broker: Broker, message: MqttMessage, *, count: int = 1) -> bool | None:
    """Publish a message, so many times; say whether a queue took it each time: None at QoS 0, of which no one tells.

    Raises:
        BrokerError: the broker cannot be reached, or refused it.
    """
    answers: SimpleQueue[ReasonCode] = SimpleQueue()
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    credentials = broker.credentials
    client.username_pw_set(credentials.username, credentials.password.get_secret_value())
    client.on_connect = lambda _client, _data, _flags, code, _properties: answers.put(code)
    client.on_publish = lambda _client, _data, _mid, code, _properties: answers.put(code)
    address = f"{broker.host}:{broker.mqtt_port}"
    try:
        client.connect(broker.host, broker.mqtt_port)
        client.loop_start()
        _await(answers, address)
        is_taken = True
        for _ in range(count):
            client.publish(message.topic, message.body, message.qos, message.is_retained)
            is_taken &= _await(answers, address).value != _NO_SUBSCRIBERS
        return is_taken if message.qos else None
    except OSError as error:
        reason = error.strerror or str(error)
        raise BrokerError(
            f"RabbitMQ does not take MQTT at {address}: {reason}. Type `invoke up`, then this again."
        ) from error
    finally:
        client.disconnect()
        client.loop_stop()


def peek(broker: Broker, queue: str, count: int, *, most_bytes: int | None = None) -> Sequence[Observed]:
    """Take the first so many messages of a queue and put them back; they are marked as delivered before from then on.

    With `most_bytes` they are fewer where their bodies are so much together.

    Raises:
        BrokerError: there is no such queue, another client has it for itself, or the broker cannot be reached.
    """
    with _open_channel(broker) as channel:
        channel.queue_declare(queue, passive=True)
        read = read_unacknowledged if _is_quorum(broker, queue) else get_unacknowledged
        return [
            Observed(time(), method.exchange, method.routing_key, body, properties)
            for method, properties, body in read(channel, queue, count, most_bytes=most_bytes)
        ]


def _is_quorum(broker: Broker, queue: str) -> bool:
    found = broker.request("GET", f"/api/queues/%2F/{quote(queue, safe='')}?columns=type")
    return bool(found["type"] == QUORUM)


def _await(answers: "SimpleQueue[ReasonCode]", address: str) -> ReasonCode:
    try:
        code = answers.get(timeout=_PATIENCE)
    except Empty:
        raise BrokerError(f"RabbitMQ does not answer MQTT at {address}.") from None
    if code.is_failure:
        raise BrokerError(f"RabbitMQ refused: {code}.")
    return code


@contextmanager
def _open_channel(broker: Broker) -> Iterator[Any]:
    """Open a channel; what it did not acknowledge goes back when it closes.

    Raises:
        BrokerError: the broker cannot be reached, or refused what was done.
    """
    try:
        with connected(broker, NAME, _KEPT) as connection:
            yield connection.channel()
    except ChannelClosedByBroker as error:
        raise BrokerError(f"RabbitMQ refused: {error.reply_text}.") from error
    except AMQPError as error:
        raise BrokerError(f"RabbitMQ was lost: {str(error) or 'the connection broke'}.") from error


def put_message(stack: Stack, function: str, *, target: QueueTarget, trial: TestMessage) -> None:
    """Put a message into the queue of a function's entrance, as if it had been published; then the broker has it.

    Raises:
        FunctionError: the queue is not there, since the function does not run.
        BrokerError: RabbitMQ does not answer.
    """
    message = target.enclose(trial, function_signature_key(stack.workspace, function))
    if not publish_amqp(find_broker(stack), message):
        raise FunctionError(f"There is no queue {target.queue}. Deploy the function, then do this again.")
