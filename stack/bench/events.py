"""Events per second over AMQP: a queue of waiting messages, and who is through it first."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any
from uuid import uuid4

import pika

from stack.bench.environment import PROGRAMS, BenchEnv, FunctionSpec, Measurements, Trigger, amqp_trigger, run_processor
from stack.bench.program import Count, Program, run_command, run_program
from stack.bench.rows import OWN, Figures
from stack.config.trigger.base import QUORUM
from stack.errors import StackError

_BODY = b'{"temperature": 21.5}'
# Messages between two looks at what the broker says.
_CHUNK = 500
_PROPERTIES = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)


@dataclass(frozen=True)
class Route:
    """Where messages are published."""

    exchange: str
    key: str


def publish(url: str, route: Route, count: int) -> None:
    """Publish messages, and return when the broker has confirmed the last.

    Raises:
        StackError: the broker refused.
    """
    publisher = _Publisher(url, route, count)
    publisher.run()
    if publisher.missing:
        raise StackError(f"the broker did not confirm {publisher.missing} of {count} messages")


@contextmanager
def open_queue(url: str) -> Iterator[str]:
    """Declare a queue of the type that functions have, for the length of the block."""
    name = f"bench-{uuid4().hex[:8]}"
    with open_channel(url) as channel:
        channel.queue_declare(name, durable=True, arguments={"x-queue-type": QUORUM})
    try:
        yield name
    finally:
        with open_channel(url) as channel:
            channel.queue_delete(name)


@contextmanager
def open_channel(url: str) -> Iterator[Any]:
    """Open a channel for the length of the block."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        yield connection.channel()
    finally:
        connection.close()


def has_consumer(url: str, queue: str) -> bool:
    """Return whether somebody consumes a queue."""
    with open_channel(url) as channel:
        return bool(channel.queue_declare(queue, passive=True).method.consumer_count)


class _Publisher:
    """One connection that publishes and is done."""

    def __init__(self, url: str, route: Route, count: int) -> None:
        self._route = route
        self._left = count
        self._lowest = 1
        self._unconfirmed = set(range(1, count + 1))
        end: Callable[..., object] = lambda *_: self._connection.ioloop.stop()  # noqa: E731
        self._connection = pika.SelectConnection(
            pika.URLParameters(url),
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._begin),
            on_open_error_callback=end,
            on_close_callback=end,
        )

    @property
    def missing(self) -> int:
        return len(self._unconfirmed)

    def run(self) -> None:
        self._connection.ioloop.start()

    def _begin(self, channel: Any) -> None:
        self._channel = channel
        channel.confirm_delivery(self._confirm, callback=lambda _frame: self._send())

    def _send(self) -> None:
        for _ in range(min(_CHUNK, self._left)):
            self._channel.basic_publish(self._route.exchange, self._route.key, _BODY, _PROPERTIES)
        self._left -= min(_CHUNK, self._left)
        if self._left:
            self._connection.ioloop.add_callback(self._send)

    def _confirm(self, frame: Any) -> None:
        if frame.method.NAME != "Basic.Ack":
            self._connection.close()
            return
        tag = frame.method.delivery_tag
        lowest = self._lowest if frame.method.multiple else tag
        self._unconfirmed.difference_update(range(lowest, tag + 1))
        if frame.method.multiple:
            self._lowest = tag + 1
        if not self._unconfirmed:
            self._connection.close()


# Messages that may wait in a consumer; a function finds its own number.
_PREFETCH = 500
# MQTT, and a message for each message, are slower than AMQP: fewer messages give the same time.
_SHARE = 2
# Of the messages, how many are enough where each takes a millisecond.
_SLOW_SHARE = 5
_SLOW_SECONDS = 0.001

# Starts a subject that consumes a queue and counts.
_Start = Callable[[str, Count], AbstractContextManager[Program]]


def open_amqp(env: BenchEnv, stack: ExitStack) -> Measurements:
    """Compare empty handlers; all are local processes and find the same messages waiting."""
    starts: dict[str, _Start] = {
        OWN: partial(_start_function, env, "count", 1),
        "pika": partial(start_script, env, lambda: sys.executable, "pika_consumer.py"),
        "faststream": partial(start_script, env, lambda: str(env.references), "faststream_consumer.py"),
    }
    return {name: partial(measure_events, env, start, env.scale.messages) for name, start in starts.items()}


def open_workers(env: BenchEnv, stack: ExitStack) -> Measurements:
    """Compare two workers with one, where the handler is busy for a millisecond."""
    turns = str(_count_turns())
    count = env.scale.messages // _SLOW_SHARE
    return {
        name: partial(measure_events, env, partial(_start_function, env, "work", workers, BENCH_TURNS=turns), count)
        for name, workers in {"two": 2, "one": 1}.items()
    }


def measure_events(env: BenchEnv, start: _Start, messages: int) -> Figures:
    """Have messages wait, start a subject, and return how many of them it handles in a second."""
    url = env.broker.amqp_url
    count = Count(env.scratch / "count")
    with open_queue(url) as queue:
        publish(url, Route("", queue), messages)
        with start(queue, count) as program:
            return {"rate": count.measure_rate(messages, program)}


def _start_function(
    env: BenchEnv, handler: str, workers: int, queue: str, count: Count, **environment: str
) -> AbstractContextManager[Program]:
    function = FunctionSpec(handler, {"queue": amqp_trigger(env.broker.amqp_url, queue, workers=workers)})
    return run_processor(env, "function", function, **count.environment, **environment)


def start_script(
    env: BenchEnv, python: Callable[[], str], script: str, queue: str, count: Count
) -> AbstractContextManager[Program]:
    """Start a reference that consumes a queue, with a Python that has its libraries."""
    command = [python(), str(PROGRAMS / script), env.broker.amqp_url, queue, str(_PREFETCH)]
    return run_program(command, env.scratch / f"{Path(script).stem}.log", **count.environment)


def _count_turns() -> int:
    """Return how many turns of the busy handler's loop take a millisecond of this machine's processor."""
    turns, used = 1000, 0.0
    while used < 10 * _SLOW_SECONDS:
        turns *= 2
        began = process_time()
        for turn in range(turns):
            turn * turn
        used = process_time() - began
    return int(turns * _SLOW_SECONDS / used)


def open_forward(env: BenchEnv, stack: ExitStack) -> Measurements:
    """Compare a handler that sends each body on with a consumer that does, and acknowledges what is confirmed."""
    return {
        OWN: partial(_measure_forward, env, _forward_by_function),
        "pika": partial(_measure_forward, env, _forward_by_pika),
    }


# Starts a subject that takes from the first queue, sends to the second, and counts.
_ForwardStart = Callable[[BenchEnv, str, str, Count], AbstractContextManager[Program]]


def _measure_forward(env: BenchEnv, start: _ForwardStart) -> Figures:
    url, messages = env.broker.amqp_url, env.scale.messages // _SHARE
    count = Count(env.scratch / "count")
    with open_queue(url) as queue, open_queue(url) as reply:
        publish(url, Route("", queue), messages)
        with start(env, queue, reply, count) as program:
            return {"rate": count.measure_rate(messages, program)}


def _forward_by_function(env: BenchEnv, queue: str, reply: str, count: Count) -> AbstractContextManager[Program]:
    function = FunctionSpec("forward", {"queue": amqp_trigger(env.broker.amqp_url, queue)}, reply)
    return run_processor(env, "function", function, **count.environment)


def _forward_by_pika(env: BenchEnv, queue: str, reply: str, count: Count) -> AbstractContextManager[Program]:
    script = str(PROGRAMS / "pika_forwarder.py")
    command = [sys.executable, script, env.broker.amqp_url, queue, str(_PREFETCH), reply]
    return run_program(command, env.scratch / "pika_forward.log", **count.environment)


# Where RabbitMQ looks for what MQTT clients subscribe to.
_EXCHANGE = "amq.topic"

# Starts a subscriber under a name that is its session's too.
_MqttStart = Callable[[BenchEnv, str, Count], AbstractContextManager[Program]]


def open_mqtt(env: BenchEnv, stack: ExitStack) -> Measurements:
    """Compare a function on the stack's broker and one with a session, as on any broker, with a bare client."""
    starts: dict[str, _MqttStart] = {OWN: _start_on_queue, "session": _start_session, "paho": _start_paho}
    return {name: partial(_measure_mqtt, env, start) for name, start in starts.items()}


def _measure_mqtt(env: BenchEnv, start: _MqttStart) -> Figures:
    name = f"bench-{uuid4().hex[:8]}"
    messages = env.scale.messages // _SHARE
    count = Count(env.scratch / "count")
    try:
        with start(env, name, count):
            pass
        publish(env.broker.amqp_url, Route(_EXCHANGE, name), messages)
        with start(env, name, count) as program:
            return {"rate": count.measure_rate(messages, program)}
    finally:
        _forget(env, name)


def _forget(env: BenchEnv, name: str) -> None:
    """Delete the queue that stands for the subscription."""
    with open_channel(env.broker.amqp_url) as channel:
        for queue in (name, f"mqtt-subscription-{name}qos1"):
            channel.queue_delete(queue)


def _start_on_queue(env: BenchEnv, name: str, count: Count) -> AbstractContextManager[Program]:
    return _start_function_mqtt(
        env, env.broker.amqp_url, names={"queueName": name, "queueType": QUORUM}, topic=name, count=count
    )


def _start_session(env: BenchEnv, name: str, count: Count) -> AbstractContextManager[Program]:
    broker = env.broker
    url = f"mqtt://{broker.host}:{broker.mqtt_port}"
    return _start_function_mqtt(env, url, names={"clientID": name}, topic=name, count=count)


def _start_function_mqtt(
    env: BenchEnv, url: str, *, names: Mapping[str, str], topic: str, count: Count
) -> AbstractContextManager[Program]:
    login = env.broker.credentials
    trigger: Trigger = {"kind": "mqtt", "url": url, "username": login.username}
    trigger["password"] = login.password.get_secret_value()
    trigger["attributes"] = {**names, "subscriptions": [{"topic": topic, "qos": 1}]}
    return run_processor(env, "function", FunctionSpec("count", {"topic": trigger}), **count.environment)


@contextmanager
def _start_paho(env: BenchEnv, name: str, count: Count) -> Iterator[Program]:
    broker = env.broker
    login = [broker.credentials.username, broker.credentials.password.get_secret_value()]
    command = [sys.executable, str(PROGRAMS / "paho_consumer.py"), broker.host, str(broker.mqtt_port), *login]
    with run_program([*command, name, name], env.scratch / "paho.log", **count.environment) as program:
        program.wait_for_line("ready")
        yield program


_RATE = 500
_PREFETCH_ROUND_TRIP = 500

# Starts a subject that takes from the first queue and answers to the second.
_RoundTripStart = Callable[[BenchEnv, str, str], AbstractContextManager[Program]]


def open_round_trip(env: BenchEnv, stack: ExitStack) -> Measurements:
    """Compare a handler that publishes over its own connection, or to an output, with a consumer that publishes."""
    return {
        OWN: partial(_measure_round_trip, env, _start_function_round_trip),
        "output": partial(_measure_round_trip, env, _start_output_round_trip),
        "pika": partial(_measure_round_trip, env, _start_pika),
    }


def _measure_round_trip(env: BenchEnv, start: _RoundTripStart) -> Figures:
    url = env.broker.amqp_url
    with open_queue(url) as queue, open_queue(url) as reply, start(env, queue, reply) as program:
        program.wait_until(lambda: has_consumer(url, queue))
        script = str(PROGRAMS / "round_trip.py")
        answer = run_command([sys.executable, script, url, queue, reply, str(_RATE), str(2 * env.scale.seconds)])
    return {name: float(value) for name, value in json.loads(answer).items()}


def _start_function_round_trip(env: BenchEnv, queue: str, reply: str) -> AbstractContextManager[Program]:
    url = env.broker.amqp_url
    function = FunctionSpec("reply", {"queue": amqp_trigger(url, queue)})
    return run_processor(env, "function", function, BENCH_URL=url, BENCH_REPLY=reply)


def _start_output_round_trip(env: BenchEnv, queue: str, reply: str) -> AbstractContextManager[Program]:
    function = FunctionSpec("forward", {"queue": amqp_trigger(env.broker.amqp_url, queue)}, reply)
    return run_processor(env, "function", function)


def _start_pika(env: BenchEnv, queue: str, reply: str) -> AbstractContextManager[Program]:
    command = [
        sys.executable,
        str(PROGRAMS / "pika_consumer.py"),
        env.broker.amqp_url,
        queue,
        str(_PREFETCH_ROUND_TRIP),
        reply,
    ]
    return run_program(command, env.scratch / "pika_reply.log")
