"""Readings per second, from the recorder's queue into the store."""

import re
import sys
import time
from collections.abc import Callable
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
_KEEP = [{"topic": "bench/+/temperature", "value": {"json": "/temperature"}, "labels": {"sensor": "{2}"}}]
# What the store has taken since it started, by the format.
_TAKEN = re.compile(rb'^vm_rows_inserted_total\{type="prometheus"\} (\d+)$', re.MULTILINE)
_SECONDS, _LOOK = 120.0, 0.01


@dataclass(frozen=True)
class _Store:
    """The bed's store, as a bare client has it."""

    pool: HTTPConnectionPool

    def count(self) -> int:
        """Return how many readings it has taken since it started."""
        answer = self.pool.request("GET", "/metrics")
        found = _TAKEN.search(answer.data)
        return int(found[1]) if found else 0

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
    start = partial(start_script, env, lambda: sys.executable, "pika_consumer.py")
    measurements: dict[str, Callable[[], Figures]] = {
        OWN: partial(_measure_recorder, env, kept, _Store(pool)),
        "limit": lambda: {"rate": _WANTED},
        "pika": partial(measure_events, env, start, env.scale.messages),
    }
    return measurements


def _keep(env: BenchEnv, stack: ExitStack) -> Stack:
    path = env.stack.workspace.root / FILE
    before = path.read_bytes()
    document = yaml.safe_load(before)
    document["ports"]["data"] = find_port()
    document["data"] = {"keep": _KEEP}
    write_file(path, yaml.safe_dump(document, sort_keys=False).encode())
    env.run_task("up")
    stack.callback(env.run_task, "up")
    stack.callback(write_file, path, before)
    return replace(env.stack, settings=load_settings(env.stack.workspace.root))


def _measure_recorder(env: BenchEnv, stack: Stack, store: _Store) -> Figures:
    """Have messages wait, start the recorder, and return how many of them the store takes in a second."""
    recorder = next(one for one in stack.engine.containers() if one.service == service_name(NAME))
    Driver(stack.engine).halt([recorder])
    _publish(env.broker.amqp_url, env.scale.messages)
    before = store.count()
    queue = min((one for one in env.broker.queues() if one.startswith(RECORDER_QUEUES)), key=len)
    with open_channel(env.broker.amqp_url) as channel:
        docker_cli.container.start(recorder.id)
        rate = measure_rate(
            lambda: int(channel.queue_declare(queue, passive=True).method.message_count), env.scale.messages
        )
    store.wait_for(before + env.scale.messages)
    return {"rate": rate}


def _publish(url: str, count: int) -> None:
    """Publish readings with a time of their own each: those of one sensor at one time would be one."""
    begin = time.time_ns() // 1_000_000 - count
    with open_channel(url) as channel:
        for number in range(count):
            body = f'{{"temperature": 21.5, "ts": {begin + number}}}'.encode()
            channel.basic_publish(MQTT_EXCHANGE, f"bench.s{number % _SENSORS}.temperature", body, _PERSISTENT)
