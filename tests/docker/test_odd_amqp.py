"""Odd messages and a real RabbitMQ: each is handled or a dead letter, and the ordinary ones behind it are handled."""

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from stack.docker.stack import Stack, open_stack
from stack.rabbitmq.dead_letter import Choice, discard_letters, list_letters, replay_letters
from stack.state.workspace import VARIABLE
from tests.docker.amqp_wire import Wire, entry, headers, long
from tests.docker.test_processor import Bench, bench
from tests.docker.workspace import Broker, Workspace, run_docker, wait_until
from tests.process.processor.running import wait_for

__all__ = ["bench"]

ORDINARY = [f"ordinary {number}" for number in range(20)]
MILLISECONDS = headers(entry(b"time", b"T" + struct.pack(">Q", 1_700_000_000_000)))
ATTEMPTS = headers(entry(b"x-nuclio-attempts", b"l" + struct.pack(">q", -1000)), entry(b"mine", b"t\1"))
JSON = struct.pack(">H", 1 << 15) + bytes((16,)) + b"application/json"


def nest() -> bytes:
    inner = b""
    for _ in range(3000):
        inner = b"\4deepF" + long(inner)
    return headers(inner)


def send(bench: Bench, properties: bytes, body: bytes) -> None:
    """Send an odd message, and ordinary ones behind it."""
    with Wire(bench.broker.amqp_url) as wire:
        wire.publish(b"", bench.queue.encode(), properties, body)
        for ordinary in ORDINARY:
            wire.publish(b"", bench.queue.encode(), b"\0\0", ordinary.encode())
        wire.await_confirms()


def test_times_in_milliseconds_and_deep_tables_stop_nothing(bench: Bench) -> None:
    bench.start(maxRetries=0)
    send(bench, MILLISECONDS, b"odd")
    first, *_ = bench.wait_for_bodies("odd", *ORDINARY)
    assert first["headers"] == {"time": 1_700_000_000_000}
    send(bench, nest(), b"deep")
    bench.wait_for_bodies("deep")
    wait_for(lambda: len(bench.events()) == 2 * (1 + len(ORDINARY)))
    wait_for(lambda: bench.depth() == 0)
    assert bench.depth(f"{bench.queue}.dead") is None


def test_attempts_that_a_publisher_counts_make_no_queue_of_their_own(bench: Bench, session_broker: Broker) -> None:
    bench.start(maxRetries=1)
    send(bench, ATTEMPTS, b"fail this")
    bench.wait_for_bodies(*ORDINARY)
    properties, body = bench.take_dead()
    assert (body, properties.headers["x-nuclio-attempts"], properties.headers["mine"]) == (b"fail this", 2, True)
    assert bench.bodies().count("fail this") == 2
    (container,) = session_broker.workspace.containers("rabbitmq-mqtt")
    queues = run_docker("exec", container, "rabbitmqctl", "list_queues", "--quiet", "name").stdout.split()
    ours = {name for name in queues if name.startswith(bench.queue)}
    assert ours == {bench.queue, f"{bench.queue}.dead", f"{bench.queue}.retry.1000ms"}


def test_an_error_that_cannot_be_encoded_is_told_of_its_own_message(bench: Bench) -> None:
    bench.start(maxRetries=0)
    # The handler raises an error that has the text of the body in it.
    send(bench, JSON, rb'"fail \ud800"')
    bench.send("fail the next")
    bench.wait_for_bodies(*ORDINARY)
    wait_for(lambda: bench.depth(f"{bench.queue}.dead") == 2)
    letters = [bench.take_dead(), bench.take_dead()]
    assert [body for _, body in letters] == [rb'"fail \ud800"', b"fail the next"]
    assert r"cannot do \ud800" in letters[0][0].headers["x-nuclio-error"]
    wait_for(lambda: bench.depth() == 0)


@pytest.mark.slow
def test_the_largest_message_is_handled_or_kept_unchanged(bench: Bench) -> None:
    bench.start(maxRetries=0, function="fuzzed")
    body = b"7 surrogate " + bytes(range(256)) * 62_000
    with Wire(bench.broker.amqp_url) as wire:
        for number in range(4):
            wire.publish(b"", bench.queue.encode(), b"\0\0", b"%d fine " % number + body)
        wire.publish(b"", bench.queue.encode(), b"\0\0", body)
        wire.await_confirms()
    wait_for(lambda: len(bench.output.read_text().splitlines()) == 4, 60)
    assert bench.take_dead()[1] == body


@pytest.mark.slow
def test_a_handler_that_lets_no_heartbeat_through_fails_once(bench: Bench) -> None:
    bench.start(maxRetries=0, url=f"{bench.broker.amqp_url}?heartbeat=2")
    send(bench, b"\0\0", b"hold-lock 12")
    bench.wait_for_bodies(*ORDINARY, seconds=60)
    properties, body = bench.take_dead()
    assert body == b"hold-lock 12"
    assert "connection to the broker was lost while the handler ran" in properties.headers["x-nuclio-error"]
    assert bench.bodies().count("hold-lock 12") == 1


@contextmanager
def alarm(broker: Broker) -> Iterator[None]:
    """Have the broker be short of memory, so that it reads nothing from those who publish."""
    (container,) = broker.workspace.containers("rabbitmq-mqtt")

    def control(*arguments: str) -> str:
        return run_docker("exec", container, "rabbitmqctl", "--quiet", *arguments).stdout

    before = control("eval", "vm_memory_monitor:get_vm_memory_high_watermark().").strip()
    control("set_vm_memory_high_watermark", "0.000001")
    try:
        yield
    finally:
        restored = before if before.startswith("{") else f"{before}"
        control("eval", f"vm_memory_monitor:set_vm_memory_high_watermark({restored}).")


@pytest.mark.slow
def test_a_broker_short_of_memory_hears_of_what_is_handled(bench: Bench, session_broker: Broker) -> None:
    processor = bench.start(maxRetries=0)
    bench.send("fail first")
    bench.take_dead()
    mark = bench.output.with_suffix(".go")
    send(bench, b"\0\0", f"wait-for {mark}".encode())
    bench.send("fail now", *(f"late {number}" for number in range(20)))
    with alarm(session_broker):
        mark.touch()
        bench.wait_for_bodies(*ORDINARY, *(f"late {number}" for number in range(20)))
        (container,) = session_broker.workspace.containers("rabbitmq-mqtt")

        def is_acknowledged() -> bool:
            columns = ("name", "messages")
            lines = run_docker("exec", container, "rabbitmqctl", "list_queues", "--quiet", *columns).stdout.splitlines()
            return f"{bench.queue}\t1" in lines

        # The one is that whose copy the broker does not read.
        wait_until(is_acknowledged, seconds=30)
    assert bench.take_dead()[1] == b"fail now"
    wait_for(lambda: bench.depth() == 0)
    assert processor.health().status == 200


@pytest.fixture
def stack(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv(VARIABLE, str(workspace.root))
    return open_stack()


def test_odd_dead_letters_are_shown_sent_again_and_discarded(workspace: Workspace, bench: Bench, stack: Stack) -> None:
    dead = f"{bench.queue}.dead"
    for name in (bench.queue, dead):
        bench.channel().queue_declare(name, durable=True)
    odd: list[tuple[bytes, bytes]] = [
        (MILLISECONDS, b"mark milliseconds"), (nest(), b"mark deep"), (ATTEMPTS, b"mark attempts"),
        (struct.pack(">H", 1 << 15) + b"\2\xff\xfe", b"mark type"),
        (headers(b"\2\xff\xfeS" + long(b"\xff")), b"mark \xff\xfe"),
    ]  # fmt: skip
    with Wire(bench.broker.amqp_url) as wire:
        for properties, body in odd:
            wire.publish(b"", dead.encode(), properties, body)
        wire.await_confirms()
    told: list[dict[str, Any]] = json.loads(workspace.invoke("dead-letters", "--match", "mark", "--json").stdout)
    assert len(told) == len(odd)
    for letter in told:
        workspace.invoke("dead-letters", "--show", str(letter["number"]))
    letters = list_letters(stack, Choice(match="mark")).letters
    assert [letter.body for letter in letters] == [body for _, body in odd]
    assert discard_letters(stack, Choice(key=letters[0].key)) == 1
    assert replay_letters(stack, Choice(match="mark")).sent == len(odd) - 1
    wait_for(lambda: bench.depth() == len(odd) - 1)
    found = [bench.take(bench.queue) for _ in odd[1:]]
    assert [body for _, body in found] == [body for _, body in odd[1:]]
    assert found[0][0].raw_headers.count(nest()[6:]) == 1
    assert found[2][0].content_type == b"\xff\xfe"
    assert bench.depth(dead) == 0
