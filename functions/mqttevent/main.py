"""Publishes a temperature over MQTT for each HTTP request: the body's number, or a random one."""

import math
import os
import random
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

TOPIC = "iot/sensors/temperature"
# Seconds that the broker may take to acknowledge a message.
PATIENCE = 10


def init_context(context):
    """Connect once for each worker, not once for each event; paho's thread connects again when the broker was away."""
    broker = urlsplit(os.environ["MQTT_URL"])
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(unquote(broker.username), unquote(broker.password))
    client.reconnect_delay_set(max_delay=5)
    client.connect(broker.hostname, broker.port)
    client.loop_start()
    context.user_data.client = client


def handler(context, event):
    """Publish, and answer what was sent; a body that is no number is answered with 400."""
    try:
        value = read_temperature(event.body)
    except ValueError as error:
        return context.Response(body=str(error), status_code=400)
    client = context.user_data.client
    if not client.is_connected():
        return context.Response(body="the broker is away; try again in a moment", status_code=503)
    message = client.publish(TOPIC, value, qos=1)
    message.wait_for_publish(PATIENCE)
    if not message.is_published():
        return context.Response(body=f"the broker did not acknowledge within {PATIENCE} s", status_code=503)
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
