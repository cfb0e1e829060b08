"""Numbered messages whose publishers wait for each confirm, and the function that writes down what it was sent."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import paho.mqtt.client as mqtt
import pika
from paho.mqtt.enums import CallbackAPIVersion
from pika.exceptions import AMQPError

from tests.docker.workspace import Broker, Workspace

NAME = "tally"
SERVICE = f"function-{NAME}"

CONFIG = """\
spec:
  handler: main:handler
  triggers:
    amqp: {kind: rabbit-mq, attributes: {exchangeName: tally, topics: ["number"], durableExchange: true}}
    mqtt: {kind: mqtt, attributes: {subscriptions: [{topic: tally/number, qos: 1}]}}
"""

CODE = '''\
"""Writes down each message in a file, which outlives the process; slowly, so that messages wait for it."""

import os
import time


def init_context(context):
    context.user_data.file = os.open("/tmp/tally", os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def handler(context, event):
    time.sleep(0.004)
    os.write(context.user_data.file, event.body + b"\\n")
'''

# Publishers over AMQP, and how many messages a second all publish, with one more over MQTT that publishes a part.
_PUBLISHERS, _RATE = 4, 500
_MQTT_SHARE = 0.1
# Seconds: what a publisher waits for the broker, and between two attempts.
_PATIENCE, _PAUSE = 10.0, 0.2


@dataclass
class Ledger:
    """What was confirmed, by publisher, in its order."""

    confirmed: dict[str, list[str]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(map(len, self.confirmed.values()))

    def compare(self, handled: list[str]) -> tuple[set[str], int, list[str]]:
        """Return what was lost, how many were handled twice, and the publishers whose messages changed places."""
        seen = Counter(handled)
        lost = {one for found in self.confirmed.values() for one in found if one not in seen}
        order = {one: place for place, one in reversed(list(enumerate(handled)))}
        mixed = [
            name
            for name, found in self.confirmed.items()
            if any(order.get(a, 0) > order.get(b, len(handled)) for a, b in itertools.pairwise(found))
        ]
        return lost, len(handled) - len(seen), mixed


@contextmanager
def publishing(broker: Broker) -> Iterator[Ledger]:
    """Publish at a steady rate for the length of the block; what is not confirmed is published again."""
    ledger = Ledger()
    with ExitStack() as stack:
        for number in range(_PUBLISHERS):
            rate = _RATE * (1 - _MQTT_SHARE) / _PUBLISHERS
            stack.enter_context(_AmqpPublisher(f"amqp{number}", rate, ledger, broker))
        stack.enter_context(_MqttPublisher("mqtt", _RATE * _MQTT_SHARE, ledger, broker))
        yield ledger


def read_handled(workspace: Workspace) -> list[str]:
    """Return what the function wrote down, in its order."""
    return workspace.execute(SERVICE, "cat", "/tmp/tally").stdout.split()


class _Publisher:
    """Publishes one message after the other from a thread of its own."""

    def __init__(self, name: str, rate: float, ledger: Ledger, broker: Broker) -> None:
        self._name, self._rate, self._broker = name, rate, broker
        self._confirmed: list[str] = []
        ledger.confirmed[name] = self._confirmed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)

    def __enter__(self) -> "_Publisher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(AMQPError, OSError, RuntimeError, ValueError):
                self._publish_on()
            self._stop.wait(_PAUSE)

    def _publish_on(self) -> None:
        """Connect, and publish until the broker is lost."""
        raise NotImplementedError

    def _pace(self) -> Iterator[str]:
        """Yield the next message when its time has come; it counts as confirmed once the next one is asked for."""
        began, first = time.monotonic(), len(self._confirmed)
        while not self._stop.is_set():
            ahead = began + (len(self._confirmed) - first) / self._rate - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            text = f"{self._name}-{len(self._confirmed)}"
            yield text
            self._confirmed.append(text)


class _AmqpPublisher(_Publisher):
    def _publish_on(self) -> None:
        parameters = pika.URLParameters(self._broker.amqp_url)
        parameters.socket_timeout = parameters.blocked_connection_timeout = _PATIENCE
        properties = pika.BasicProperties(delivery_mode=2)
        with pika.BlockingConnection(parameters) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for text in self._pace():
                channel.basic_publish(NAME, "number", text.encode(), properties, mandatory=True)


class _MqttPublisher(_Publisher):
    def _publish_on(self) -> None:
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.username_pw_set("guest", "guest")
        client.connect(self._broker.mqtt_host, self._broker.mqtt_port)
        client.loop_start()
        try:
            for text in self._pace():
                sent = client.publish(f"{NAME}/number", text, qos=1)
                sent.wait_for_publish(_PATIENCE)
                if not sent.is_published():
                    raise TimeoutError(text)
        finally:
            client.disconnect()
            client.loop_stop()
