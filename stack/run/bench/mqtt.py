"""Events per second over MQTT with QoS 1: messages that wait for a subscriber who was here before."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from uuid import uuid4

from stack.config.broker import QUORUM
from stack.plan.bench import OWN, Figures
from stack.run.bench.backlog import Route, open_channel, publish
from stack.run.bench.bed import Bed
from stack.run.bench.contest import Contestants
from stack.run.bench.count import Count
from stack.run.bench.processor import FunctionSpec, Trigger, run_processor
from stack.run.bench.program import Program, run_program
from stack.run.bench.reference import PROGRAMS

# Where RabbitMQ looks for what MQTT clients subscribe to.
_EXCHANGE = "amq.topic"
# MQTT is slower than AMQP: fewer messages give the same time.
_SHARE = 2

# Starts a subscriber under a name that is its session's too.
Start = Callable[[Bed, str, Count], AbstractContextManager[Program]]


def open_mqtt(bed: Bed, stack: ExitStack) -> Contestants:
    """Compare a function on the stack's broker and one with a session, as on any broker, with a bare client."""
    starts: dict[str, Start] = {OWN: _start_on_queue, "session": _start_session, "paho": _start_paho}
    return {name: partial(_measure, bed, start) for name, start in starts.items()}


def _measure(bed: Bed, start: Start) -> Figures:
    name = f"bench-{uuid4().hex[:8]}"
    messages = bed.scale.messages // _SHARE
    count = Count(bed.scratch / "count")
    try:
        with start(bed, name, count):
            pass
        publish(bed.broker.amqp_url, Route(_EXCHANGE, name), messages)
        with start(bed, name, count) as program:
            return {"rate": count.measure_rate(messages, program)}
    finally:
        _forget(bed, name)


def _forget(bed: Bed, name: str) -> None:
    """Delete the queue that stands for the subscription."""
    with open_channel(bed.broker.amqp_url) as channel:
        for queue in (name, f"mqtt-subscription-{name}qos1"):
            channel.queue_delete(queue)


def _start_on_queue(bed: Bed, name: str, count: Count) -> AbstractContextManager[Program]:
    return _start_function(bed, bed.broker.amqp_url, {"queueName": name, "queueType": QUORUM}, topic=name, count=count)


def _start_session(bed: Bed, name: str, count: Count) -> AbstractContextManager[Program]:
    broker = bed.broker
    url = f"mqtt://{broker.host}:{broker.mqtt_port}"
    return _start_function(bed, url, {"clientID": name}, topic=name, count=count)


def _start_function(
    bed: Bed, url: str, names: Mapping[str, str], *, topic: str, count: Count
) -> AbstractContextManager[Program]:
    login = bed.broker.credentials
    trigger: Trigger = {"kind": "mqtt", "url": url, "username": login.username}
    trigger["password"] = login.password.get_secret_value()
    trigger["attributes"] = {**names, "subscriptions": [{"topic": topic, "qos": 1}]}
    return run_processor(bed, "function", FunctionSpec("count", {"topic": trigger}), **count.environment)


@contextmanager
def _start_paho(bed: Bed, name: str, count: Count) -> Iterator[Program]:
    broker = bed.broker
    login = [broker.credentials.username, broker.credentials.password.get_secret_value()]
    command = [sys.executable, str(PROGRAMS / "paho_consumer.py"), broker.host, str(broker.mqtt_port), *login]
    with run_program([*command, name, name], bed.scratch / "paho.log", **count.environment) as program:
        program.wait_for_line("ready")
        yield program
