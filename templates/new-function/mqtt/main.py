"""Publishes an alert over MQTT for each temperature above a limit."""

import json
import os
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

LIMIT = float(os.environ.get("LIMIT", "25"))
TOPIC = os.environ.get("TOPIC", "alerts")
# Seconds that the broker may take to acknowledge an alert.
PATIENCE = 10


def init_context(context):
    """Connect once for each worker, not once for each event."""
    context.user_data.alerts = Alerts(os.environ["MQTT_URL"])


def handler(context, event):
    """Make an alert of a reading that is too high; an exception here has the reading delivered again."""
    try:
        value = float(event.body)
    except (TypeError, ValueError):
        context.logger.warn_with("Passed over what is no temperature", body=repr(event.body)[:80])
        return "no temperature"
    if value <= LIMIT:
        return "normal"
    context.user_data.alerts.send({"value": value, "limit": LIMIT})
    context.logger.warn_with("Alert", value=value, limit=LIMIT)
    return "alert"


class Alerts:
    """The topic of the alerts, over one connection, which is made again when the broker was away."""

    def __init__(self, url):
        broker = urlsplit(url)
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(unquote(broker.username), unquote(broker.password))
        self._client.connect(broker.hostname, broker.port)
        self._client.loop_start()

    def send(self, alert):
        """Publish an alert, and wait until the broker has it."""
        message = self._client.publish(TOPIC, json.dumps(alert), qos=1)
        message.wait_for_publish(PATIENCE)
        if not message.is_published():
            raise ConnectionError(f"the broker did not acknowledge within {PATIENCE} s")
