"""Publishes a temperature over AMQP for each HTTP request: the body's number, or a random one."""

import math
import os
import random

import pika
from pika.exceptions import AMQPError

EXCHANGE = "iot/sensors"
KEY = "temperature"


def init_context(context):
    """Connect once for each worker, not once for each event."""
    context.user_data.sensors = Sensors(os.environ["BROKER_URL"])


def handler(context, event):
    """Publish, and answer what was sent; a body that is no number is answered with 400."""
    try:
        value = read_temperature(event.body)
    except ValueError as error:
        return context.Response(body=str(error), status_code=400)
    context.user_data.sensors.publish(value)
    return f"send {value}"


def read_temperature(body):
    """Return the body's number as it was written, or a random temperature if there is no body."""
    text = body.decode(errors="replace").strip() if isinstance(body, bytes) else str(body)
    if body is None or not text:
        return str(round(random.uniform(15, 30), 1))
    try:
        is_number = math.isfinite(float(text))
    except ValueError:
        is_number = False
    if not is_number:
        raise ValueError(f"the body should be a number such as 21.5, not {text[:40]!r}")
    return text


class Sensors:
    """The exchange iot/sensors, over one connection that outlives a restart of the broker."""

    def __init__(self, url):
        self._parameters = pika.URLParameters(url)
        # Between two events no one reads this connection, so the broker would take missing heartbeats for a death.
        self._parameters.heartbeat = 0
        self._connect()

    def publish(self, value):
        """Publish a temperature; a lost connection is made again, once."""
        try:
            self._channel.basic_publish(EXCHANGE, KEY, value.encode())
        except AMQPError:
            self._connect()
            self._channel.basic_publish(EXCHANGE, KEY, value.encode())

    def _connect(self):
        self._channel = pika.BlockingConnection(self._parameters).channel()
        self._channel.exchange_declare(EXCHANGE, "topic", durable=False)
        self._channel.confirm_delivery()
