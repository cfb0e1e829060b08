"""Confirmed messages and requests at a steady rate, from none of the machines, and what became of them."""

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pika
from pika.exceptions import AMQPError

from tests.docker.workspace import fetch
from tests.swarm.lab import Lab

# Threads, and what each does a second.
_PUBLISHERS, _MESSAGES = 5, 100
_CALLERS, _REQUESTS = 5, 10
_PATIENCE = 4


@dataclass
class Record:
    """When messages were confirmed, by their text, and how long each request took; those without an answer failed."""

    confirmed: dict[str, float] = field(default_factory=dict)
    answered: list[tuple[float, float]] = field(default_factory=list)
    """When each answer came, and how long it took, in seconds."""
    failed: list[float] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def find_pause(self, since: float) -> float:
        """Return the longest time in which no message was confirmed, in seconds."""
        times = [since, *sorted(one for one in self.confirmed.values() if one > since)]
        return max((after - before for before, after in itertools.pairwise(times)), default=0.0)

    def find_slowest(self, since: float) -> float:
        return max((took for when, took in self.answered if when > since), default=0.0)


@contextmanager
def loading(lab: Lab, brokers: Sequence[str], route: tuple[str, str], urls: Sequence[str]) -> Iterator[Record]:
    """Publish to an exchange and key, and request the URLs of a function, each the next where one gives no answer."""
    record = Record()
    jobs = [(_publish, (record, number, brokers, route)) for number in range(_PUBLISHERS)]
    with lab.outside():
        # A thread begins on the network of the one that starts it.
        threads = [threading.Thread(target=work, args=arguments) for work, arguments in jobs]
        threads += [threading.Thread(target=_request, args=(record, number, urls)) for number in range(_CALLERS)]
        for thread in threads:
            thread.start()
    try:
        yield record
    finally:
        record.stopped.set()
        for thread in threads:
            thread.join()


def _publish(record: Record, number: int, brokers: Sequence[str], route: tuple[str, str]) -> None:
    texts = (f"{number}-{count}" for count in itertools.count())
    text = next(texts)
    places = itertools.cycle([*brokers[number % len(brokers) :], *brokers[: number % len(brokers)]])
    while not record.stopped.is_set():
        parameters = pika.URLParameters(next(places))
        parameters.heartbeat = parameters.socket_timeout = parameters.blocked_connection_timeout = _PATIENCE
        parameters.connection_attempts = 1
        with suppress(AMQPError, OSError), pika.BlockingConnection(parameters) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for _ in _pace(record, _MESSAGES):
                properties = pika.BasicProperties(delivery_mode=2)
                channel.basic_publish(*route, text.encode(), properties, mandatory=True)
                record.confirmed[text] = time.monotonic()
                text = next(texts)
        record.stopped.wait(0.1)


def _request(record: Record, number: int, urls: Sequence[str]) -> None:
    places = [*urls[number % len(urls) :], *urls[: number % len(urls)]]
    for _ in _pace(record, _REQUESTS):
        began = time.monotonic()
        if any(_is_answered(url) for url in places):
            record.answered.append((time.monotonic(), time.monotonic() - began))
        else:
            record.failed.append(began)


def _is_answered(url: str) -> bool:
    with suppress(OSError):
        return fetch(url, timeout=_PATIENCE)[0] == 200
    return False


def _pace(record: Record, rate: float) -> Iterator[None]:
    """Yield at a rate; what was missed is not made up for."""
    due = time.monotonic()
    while not record.stopped.is_set():
        yield
        due = max(due + 1 / rate, time.monotonic() - 1)
        record.stopped.wait(max(0.0, due - time.monotonic()))
