"""Odd messages over AMQP: none stops a worker, none is lost, and the ordinary ones among them are all handled."""

import json
import re
from contextlib import ExitStack
from itertools import count
from random import Random
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from stack.plan.dead_letter import Letter
from stack.processor.source.rabbitmq.properties import Properties
from tests.docker.amqp_wire import RefusedError, Wire
from tests.docker.fuzz import Fuzz, Ledger, mark_of
from tests.docker.odd_message import OddMessages
from tests.docker.test_processor import Bench, bench
from tests.docker.workspace import wait_until

__all__ = ["bench"]

# Messages that are sent before the broker's word on them is awaited, and how many of them are ordinary.
_AT_ONCE, _ORDINARY = 50, 0.2
# Messages of which so many are on their way; a fuzzer that ran ahead would fill the broker.
_AHEAD = 3000
_PATIENCE = 120


class Sender:
    """Sends messages to a function's queue, and notes those that the broker has confirmed."""

    def __init__(self, bench: Bench, random: Random) -> None:
        self.ledger = Ledger()
        self.ordinary: set[int] = set()
        self.refused = 0
        self._bench = bench
        self._random = random
        self._odd = OddMessages(random, unquote(urlsplit(bench.broker.amqp_url).username or ""))
        self._numbers = count()
        self._stack = ExitStack()
        self._wire = self._open()

    def _open(self) -> Wire:
        self._stack.close()
        return self._stack.enter_context(Wire(self._bench.broker.amqp_url))

    def send(self, number_of_messages: int) -> None:
        """Send some messages; those after one that the broker refuses are not sent."""
        sent = [self._send_one() for _ in range(number_of_messages)]
        wire = self._wire
        try:
            wire.await_confirms()
        except (RefusedError, OSError):
            self.refused += 1
            self._wire = self._open()
        for number, tag, mark, is_ordinary in sent:
            if tag and wire.is_confirmed(tag):
                self.ledger.confirmed[number] = mark
                self.ordinary |= {number} if is_ordinary else set()

    def _send_one(self) -> tuple[int, int, str, bool]:
        number, is_ordinary = next(self._numbers), self._random.random() < _ORDINARY
        body = b"%d fine ordinary" % number if is_ordinary else self._odd.make_body(number)
        properties = b"\0\0" if is_ordinary else self._odd.make_properties()
        key = b"ordinary" if is_ordinary else self._odd.make_key()
        place = (self._bench.exchange.encode(), key)
        try:
            tag = self._wire.publish(*place, properties, body)
        except OSError:
            # The broker has refused one before.
            tag = 0
        return number, tag, mark_of(body), is_ordinary

    def close(self) -> None:
        self._stack.close()


def take_outcomes(bench: Bench, ledger: Ledger) -> bool:
    """Note what was handled and what became a dead letter; return whether nothing is missing any more."""
    for line in bench.output.read_text().splitlines():
        number, _, mark = line.partition(" ")
        ledger.handled[int(number)] = mark
    channel = bench.channel()
    if bench.depth(f"{bench.queue}.dead"):
        while (got := channel.basic_get(f"{bench.queue}.dead", auto_ack=True))[0]:
            _note_dead(ledger, *got[1:])
    channel.connection.close()
    return not ledger.lost


def _note_dead(ledger: Ledger, properties: Any, body: bytes) -> None:
    """Note a dead letter, having looked at it as the pages and tasks do."""
    assert type(properties) is Properties
    letter = Letter(1, "q.dead", properties.headers, body)
    about = letter.describe()
    json.dumps(about, allow_nan=False)
    assert about["error"] and letter.key
    ledger.dead[int(body.split(b" ", 1)[0])] = mark_of(body)


@pytest.mark.fuzz
@pytest.mark.slow
def test_no_odd_message_stops_a_function(bench: Bench, fuzz: Fuzz) -> None:
    processor = bench.start(function="fuzzed", workers=2, exchangeName=bench.exchange, topics=["#"], maxRetries=1)
    sender = Sender(bench, fuzz.random)
    ledger = sender.ledger
    while not fuzz.is_over:
        sender.send(_AT_ONCE)
        fuzz.sent += _AT_ONCE
        if fuzz.sent % _AHEAD == 0:
            take_outcomes(bench, ledger)
            wait_until(lambda: take_outcomes(bench, ledger) or len(ledger.lost) < _AHEAD, seconds=_PATIENCE)
    sender.close()
    try:
        wait_until(lambda: take_outcomes(bench, ledger), seconds=_PATIENCE, what="an even ledger")
    finally:
        waiting = {name: bench.depth(bench.queue + name) for name in ("", ".retry.1000ms", ".dead")}
        print(ledger.tell(), f"{sender.refused} refused by the broker; waiting: {waiting}")
    assert not ledger.lost and not ledger.changed, ledger.tell()
    assert len(ledger.confirmed) > fuzz.sent / 2
    assert sender.ordinary <= set(ledger.handled)
    assert ledger.dead, "handlers that raise should leave dead letters"
    (reconnects,) = re.findall(r"reconnects_total{.*} (.*)", processor.metrics())
    assert float(reconnects) == 0
    assert processor.health().status == 200
