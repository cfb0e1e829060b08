"""Odd messages over MQTT 3.1.1 and 5: none stops a worker, and what the broker takes is handled or a dead letter."""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import count
from random import Random

import pytest

from tests.docker.fuzz import Fuzz, Ledger, mark_of
from tests.docker.mqtt_wire import ClosedError, MqttWire, write_text
from tests.docker.test_processor import Bench, bench, mqtt_url
from tests.docker.workspace import Broker
from tests.process.processor.running import wait_for

__all__ = ["bench", "mqtt_url"]

_AT_ONCE, _ORDINARY, _PATIENCE = 40, 0.3, 120
_TEXTS = (
    b"", b"plain", "grüße ☃".encode(), b"\xff\xfe", b"\xed\xa0\x80", b"a\0b", "\ufeffmark".encode(), b"x" * 300,
    b"y" * 70_000, b"x-nuclio-attempts", b"x-mqtt-topic", b"x-death", b"application/json", b"\r\n", b"%s %d {}",
)  # fmt: skip
_LEVELS = (
    b"a", b"", b" ", "ü☃".encode(), b"$x", b".", b"a.b", b"*", b"%2f", b"\x01", b"l" * 240, b"l" * 2000, b"\xff\xfe",
    b"nul\0", b"\xef\xbb\xbf", b"..", b"x" * 65_000,
)  # fmt: skip
_PAYLOADS = (b"", b"raise", b"raise odd", b"\0\xff" * 20, b'{"a": ' * 500, b"z" * 100_000)


class OddPublisher:
    """Publishes odd messages among ordinary ones over both versions, and notes what the broker has taken."""

    def __init__(self, broker: Broker, prefix: str, random: Random) -> None:
        self.ledger = Ledger()
        self.ordinary: set[int] = set()
        self.refused = 0
        self._broker = broker
        self._prefix = prefix.encode()
        self._random = random
        self._numbers = count()
        self._stack = ExitStack()
        self._wires: dict[int, MqttWire] = {}

    def send(self, amount: int) -> None:
        """Send some messages over one connection; those behind one that the broker refuses are sent by no one."""
        version = self._random.choice((4, 5))
        wire = self._wires.get(version) or self._open(version)
        wire.acknowledged.clear()
        wire.refused.clear()
        sent: dict[int, tuple[int, bytes, bool]] = {}
        try:
            for packet_id in range(1, amount + 1):
                number, is_ordinary = next(self._numbers), self._random.random() < _ORDINARY
                body = b"%d " % number + (b"ordinary" if is_ordinary else self._random.choice(_PAYLOADS))
                sent[packet_id] = (number, body, is_ordinary)
                self._publish(wire, packet_id, body, is_ordinary=is_ordinary)
            wire.await_acknowledgements(set(sent))
        except (ClosedError, OSError):
            self.refused += 1
            self._wires.pop(version, None)
        for number, body, is_ordinary in (sent[packet_id] for packet_id in wire.acknowledged):
            self.ledger.confirmed[number] = mark_of(body)
            self.ordinary |= {number} if is_ordinary else set()

    def close(self) -> None:
        self._stack.close()

    def _open(self, version: int) -> MqttWire:
        wire = MqttWire(self._broker.mqtt_host, self._broker.mqtt_port, version)
        self._wires[version] = self._stack.enter_context(wire)
        return wire

    def _publish(self, wire: MqttWire, packet_id: int, body: bytes, *, is_ordinary: bool) -> None:
        if is_ordinary:
            wire.publish(packet_id, self._prefix + b"/ordinary", body)
            return
        # Most topics are such as the broker takes, so that the rest of the message matters.
        known = _LEVELS if self._random.random() < 0.1 else _LEVELS[:10]
        levels = self._random.choices(known, k=self._random.randint(0, 3))
        topic = b"/".join([self._prefix, *levels])[:65_535]
        wire.publish(packet_id, topic, body, properties=self._make_properties())

    def _make_properties(self) -> bytes:
        random, made = self._random, []
        for _ in range(random.randint(0, 4)):
            text = write_text(random.choice(_TEXTS)[:65_535])
            made.append(
                random.choice(
                    (
                        b"\x26" + text + write_text(random.choice(_TEXTS)[:65_535]),
                        b"\x26" + text + write_text(random.randbytes(random.randint(0, 40))),
                        b"\x03" + text,
                        b"\x08" + write_text(b"reply/" + random.choice(_TEXTS)[:100]),
                        b"\x09" + text,
                        b"\x01" + bytes([random.randint(0, 1)]),
                        b"\x02" + random.randint(60, 1 << 31).to_bytes(4),
                    )
                )
            )
        # Each but a user property may be there once only.
        return b"".join({part[:1] if part[:1] != b"\x26" else part: part for part in made}.values())


def take_outcomes(bench: Bench, ledger: Ledger) -> bool:
    """Note what was handled and what became a dead letter; return whether nothing is missing any more."""
    for line in bench.output.read_text().splitlines():
        number, _, mark = line.partition(" ")
        ledger.handled[int(number)] = mark
    if bench.depth(f"{bench.queue}.dead"):
        channel = bench.channel()
        while (got := channel.basic_get(f"{bench.queue}.dead", auto_ack=True))[0]:
            ledger.dead[int(got[2].partition(b" ")[0])] = mark_of(got[2])
        channel.connection.close()
    return not ledger.lost


@pytest.mark.fuzz
@pytest.mark.parametrize("way", ["amqp", "mqtt"])
@pytest.mark.slow
def test_no_odd_message_stops_a_function(bench: Bench, mqtt_url: Callable[[str], str], fuzz: Fuzz, way: str) -> None:
    processor = bench.start(
        function="fuzzed_mqtt",
        kind="mqtt",
        url=mqtt_url(way),
        workers=2,
        stack_broker=bench.broker.amqp_url,
        clientID=bench.queue,
        protocolVersion=5,
        subscriptions=[{"topic": f"{bench.queue}/#", "qos": 1}],
        maxRetries=0,
    )
    workers = processor.workers()
    publisher = OddPublisher(bench.broker, bench.queue, fuzz.random)
    ledger = publisher.ledger
    while not fuzz.is_over:
        publisher.send(_AT_ONCE)
        fuzz.sent += _AT_ONCE
        wait_for(lambda: take_outcomes(bench, ledger) or len(ledger.lost) < 50 * _AT_ONCE, _PATIENCE)
    publisher.close()
    try:
        wait_for(lambda: take_outcomes(bench, ledger), _PATIENCE)
    finally:
        print(ledger.tell(), f"{publisher.refused} connections refused", processor.log[-2000:])
    assert not ledger.changed
    assert publisher.ordinary <= set(ledger.handled)
    assert len(ledger.confirmed) > fuzz.sent / 3 and ledger.dead
    assert processor.workers() == workers
    assert processor.health().status == 200


@pytest.mark.parametrize("version", [4, 5])
def test_a_topic_too_long_for_amqp_is_refused(broker: Broker, version: int) -> None:
    with MqttWire(broker.mqtt_host, broker.mqtt_port, version) as wire:
        wire.publish(1, b"t" * 255, b"fits")
        wire.await_acknowledgements({1})
        wire.publish(2, b"t" * 256, b"does not fit")
        with suppress(ClosedError):
            wire.await_acknowledgements({2})
        assert wire.acknowledged == {1}
