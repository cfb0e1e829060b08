"""Readings per second, from the recorder's queue into the store."""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import pika
import yaml
from urllib3 import HTTPConnectionPool, make_headers
from urllib3.util import parse_url

from stack.bench.environment import BenchEnv, Measurements, find_port
from stack.bench.events import measure_events, open_channel, start_script
from stack.bench.rows import OWN, Figures
from stack.config.settings import FILE, load_settings
from stack.contract import MQTT_EXCHANGE
from stack.docker.driver import Driver, docker_cli
from stack.docker.stack import Stack
from stack.errors import StackError
from stack.plan.function import service_name
from stack.plan.recorder import NAME, RECORDER_QUEUES
from stack.plan.store import store_url
from stack.state.workspace import write_file

_PERSISTENT = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
# The readings a second that there are to be.
_WANTED = 20_000.0
_SENSORS = 500
KEEP = [
    {"topic": "bench/+/temperature", "value": {"json": "/temperature"}, "labels": {"sensor": "{2}"}},
    {"topic": "bench/all/+"},
]
# What a gateway sends at once of a machine; of such messages there are half as many, so that the rest takes as long.
_NUMBERS, _FEWER = 50, 2
# Messages whose readings the store gets with one request, as it does from the recorder.
_BATCH, _IMPORT_PATH, _IMPORTED = 1000, "/api/v1/import/prometheus", 204
# What the store has taken since it started, by the format.
_TAKEN = re.compile(rb'^vm_rows_inserted_total\{type="prometheus"\} (\d+)$', re.MULTILINE)
_SECONDS, _LOOK = 120.0, 0.01


@dataclass(frozen=True)
class _Load:
    """Messages that wait; each has so many readings, with a time of its own: of one time they would be one."""

    messages: int
    numbers: int
    begin: int
    """The time of the first message, in milliseconds since 1970."""

    def key(self, number: int) -> str:
        """Return the routing key of a message."""
        sensor = f"s{number % _SENSORS}"
        return f"bench.{sensor}.temperature" if self.numbers == 1 else f"bench.all.{sensor}"

    def body(self, number: int) -> str:
        """Return a message."""
        readings = {"temperature": 21.5} if self.numbers == 1 else self._values(number)
        return json.dumps({**readings, "ts": self.begin + number})

    def lines(self, number: int) -> Iterator[str]:
        """Yield what the recorder makes of a message with many numbers."""
        topic = self.key(number).replace(".", "/")
        for field, value in self._values(number).items():
            yield f'reading{{topic="{topic}",field="{field}"}} {value} {self.begin + number}\n'

    def _values(self, number: int) -> dict[str, float]:
        return {f"v{index}": index + number % 100 / 10 for index in range(self.numbers)}


def make_load(messages: int, numbers: int = 1) -> _Load:
    """Return messages whose last reading is of now."""
    return _Load(messages, numbers, time.time_ns() // 1_000_000 - messages)


@dataclass(frozen=True)
class _Store:
    """The bed's store, as a bare client has it."""

    pool: HTTPConnectionPool

    def count(self) -> int:
        """Return how many readings it has taken since it started."""
        answer = self.pool.request("GET", "/metrics")
        found = _TAKEN.search(answer.data)
        return int(found[1]) if found else 0

    def take(self, body: bytes) -> None:
        """Have it take readings.

        Raises:
            StackError: it does not.
        """
        answer = self.pool.request("POST", _IMPORT_PATH, body=body)
        if answer.status != _IMPORTED:
            raise StackError(f"the store answered {answer.status}: {answer.data[:200].decode(errors='replace')}")

    def wait_for(self, wanted: int) -> None:
        """Wait until it has taken so many.

        Raises:
            StackError: it has not after a long while.
        """
        deadline = time.monotonic() + _SECONDS
        while self.count() < wanted:
            if time.monotonic() > deadline:
                raise StackError(f"the recorder has not stored {wanted} readings within {_SECONDS:g} s")
            time.sleep(_LOOK)


def measure_rate(count_waiting: Callable[[], int], waiting: int) -> float:
    """Return how many of waiting messages are taken in a second, from the first look that finds fewer to the last.

    As many are on their way then as at the end. What the store counts would say less: it answers late while it takes
    readings, and a recorder that starts sends once more what it sent last.

    Raises:
        StackError: they are not taken within a long while.
    """
    began, first, deadline = 0.0, waiting, time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        left, now = count_waiting(), time.monotonic()
        if left < waiting and not began:
            began, first = now, left
        elif not left:
            return first / (now - began)
        time.sleep(_LOOK)
    raise StackError(f"the recorder has not taken {waiting} messages within {_SECONDS:g} s")


def open_readings(env: BenchEnv, stack: ExitStack) -> Measurements:
    """Have the bed keep readings, and compare the recorder with a bare client that only takes messages."""
    kept = _keep(env, stack)
    url = parse_url(store_url(kept.vault.key, kept.settings.host, kept.settings.ports.data))
    pool = HTTPConnectionPool(url.host or "", url.port, headers=make_headers(basic_auth=url.auth), maxsize=1)
    stack.callback(pool.close)
    messages = env.scale.messages // _FEWER
    start = partial(start_script, env, lambda: sys.executable, "pika_consumer.py")
    measurements: dict[str, Callable[[], Figures]] = {
        OWN: lambda: _measure_recorder(env, kept, _Store(pool), load=make_load(env.scale.messages)),
        "limit": lambda: {"rate": _WANTED},
        "many": lambda: _measure_recorder(env, kept, _Store(pool), load=make_load(messages, _NUMBERS)),
        "import": lambda: _measure_import(_Store(pool), make_load(messages, _NUMBERS)),
        "pika": partial(measure_events, env, start, env.scale.messages),
    }
    return measurements


def _keep(env: BenchEnv, stack: ExitStack) -> Stack:
    path = env.stack.workspace.root / FILE
    before = path.read_bytes()
    document = yaml.safe_load(before)
    document["ports"]["data"] = find_port()
    document["data"] = {"keep": KEEP}
    write_file(path, yaml.safe_dump(document, sort_keys=False).encode())
    env.run_task("up")
    stack.callback(env.run_task, "up")
    stack.callback(write_file, path, before)
    return replace(env.stack, settings=load_settings(env.stack.workspace.root))


def _measure_recorder(env: BenchEnv, stack: Stack, store: _Store, *, load: _Load) -> Figures:
    """Have messages wait, start the recorder, and return how many of their readings the store takes in a second."""
    recorder = next(one for one in stack.engine.containers() if one.service == service_name(NAME))
    Driver(stack.engine).halt([recorder])
    _publish(env.broker.amqp_url, load)
    before = store.count()
    queue = min((one for one in env.broker.queues() if one.startswith(RECORDER_QUEUES)), key=len)
    with open_channel(env.broker.amqp_url) as channel:
        docker_cli.container.start(recorder.id)
        rate = measure_rate(lambda: int(channel.queue_declare(queue, passive=True).method.message_count), load.messages)
    store.wait_for(before + load.messages * load.numbers)
    return {"rate": rate * load.numbers}


def _measure_import(store: _Store, load: _Load) -> Figures:
    """Return how many readings the store takes in a second from a client that only sends them."""
    bodies = [
        "".join(line for number in range(first, first + _BATCH) for line in load.lines(number)).encode()
        for first in range(0, load.messages, _BATCH)
    ]
    began = time.monotonic()
    for body in bodies:
        store.take(body)
    return {"rate": load.messages * load.numbers / (time.monotonic() - began)}


def _publish(url: str, load: _Load) -> None:
    with open_channel(url) as channel:
        for number in range(load.messages):
            channel.basic_publish(MQTT_EXCHANGE, load.key(number), load.body(number).encode(), _PERSISTENT)
