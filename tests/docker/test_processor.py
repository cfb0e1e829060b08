"""The processor and a real RabbitMQ: every message is handled, whatever happens to either."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pika
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from stack.contract import name_lock
from tests.docker.workspace import Broker, run_docker
from tests.process.processor.running import FUNCTIONS, PATIENCE, Processor, run_processor, wait_for

Document = dict[str, Any]


class Bench:
    """A running function that writes down its events, and a connection to the broker beside it."""

    def __init__(self, broker: Broker, folder: Path, stack: ExitStack) -> None:
        self.broker = broker
        self.queue = f"test-{uuid4().hex[:8]}"
        self.exchange = f"{self.queue}-exchange"
        self.output = folder / "events.jsonl"
        self.output.touch()
        # What a handler waits for that is told to.
        self.mark = folder / "mark"
        self._folder = folder
        self._stack = stack
        self._count = 0

    def start(self, *, ready: bool = True, kind: str = "rabbit-mq", workers: int = 1, **attributes: Any) -> Processor:
        url = attributes.pop("url", self.broker.workspace.people_url)
        stack_broker = attributes.pop("stack_broker", "")
        pool = attributes.pop("pool", None)
        key: bytes = attributes.pop("signature_key", b"")
        trigger = {"kind": kind, "url": url, "numWorkers": workers, "username": "guest", "password": "guest"}
        trigger["batch"] = attributes.pop("batch", {})
        spec: Document = {"eventTimeout": attributes.pop("event_timeout", "")}
        spec |= {name: attributes.pop(name) for name in ("runtime", "handler") if name in attributes}
        function = FUNCTIONS / attributes.pop("function", "collect")
        trigger["attributes"] = {"queueName": self.queue, **attributes}
        self._count += 1
        home = self._folder / f"processor-{self._count}"
        home.mkdir()
        if key:
            (home / "broker.signature-key").write_text(key.hex())
        if stack_broker:
            (home / "broker.url").write_text(stack_broker)
        triggers = {"sensors": trigger}
        if pool:
            shared = trigger | {"workerAllocatorName": "pool"}
            triggers = {"sensors": shared, "others": shared | {"attributes": pool}}
        spec |= {"triggers": triggers, "env": [{"name": "OUTPUT", "value": str(self.output)}]}
        processor = self._stack.enter_context(run_processor(home, spec, function))
        return processor.wait_until_ready() if ready else processor

    def events(self) -> list[Document]:
        # The last line may be only begun: a write that crosses a page is seen in two parts.
        return [json.loads(line) for line in self.output.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def bodies(self) -> list[str]:
        return [event["body"] for event in self.events()]

    def wait_for_bodies(self, *bodies: str, seconds: float = PATIENCE) -> list[Document]:
        wait_for(lambda: set(bodies) <= set(self.bodies()), seconds)
        return self.events()

    def channel(self) -> Any:
        connection = pika.BlockingConnection(pika.URLParameters(self.broker.workspace.people_url))
        self._stack.callback(lambda: connection.is_open and connection.close())
        channel = connection.channel()
        channel.confirm_delivery()
        return channel

    def send(self, *bodies: str, exchange: str = "", key: str = "", **properties: Any) -> None:
        channel = self.channel()
        for body in bodies:
            channel.basic_publish(
                exchange, key or self.queue, body.encode(), pika.BasicProperties(**properties), mandatory=not exchange
            )
        channel.connection.close()

    def depth(self, queue: str = "") -> int | None:
        """Return how many messages wait in a queue; None where there is no such queue."""
        return self._look(queue or self.queue, "message_count")

    def consumers(self) -> int | None:
        """Return how many consume the function's queue; None where there is no such queue."""
        return self._look(self.queue, "consumer_count")

    def _look(self, queue: str, figure: str) -> int | None:
        channel = self.channel()
        try:
            return int(getattr(channel.queue_declare(queue, passive=True).method, figure))
        except pika.exceptions.ChannelClosedByBroker:
            return None
        finally:
            channel.connection.close()

    def take(self, queue: str) -> tuple[Any, bytes]:
        """Take one message, waiting for it."""
        channel = self.channel()

        def get() -> Any:
            method, properties, body = channel.basic_get(queue, auto_ack=True)
            return (properties, body) if method else None

        found: tuple[Any, bytes] = wait_for(get)
        channel.connection.close()
        return found

    def take_dead(self) -> tuple[Any, bytes]:
        """Take one dead letter, waiting for it."""
        wait_for(lambda: self.depth(f"{self.queue}.dead"))
        return self.take(f"{self.queue}.dead")


@pytest.fixture
def bench(broker: Broker, tmp_path: Path) -> Iterator[Bench]:
    with ExitStack() as stack:
        bench = Bench(broker, tmp_path, stack)
        yield bench
    # Only now: a processor that still runs declares again what is deleted.
    with pika.BlockingConnection(pika.URLParameters(broker.workspace.people_url)) as connection:
        channel = connection.channel()
        for name in ("", ".dead", ".dead.dead", ".retry.1000ms", ".retry.5000ms", ".retry.25000ms"):
            channel.queue_delete(bench.queue + name)
        for quality in (0, 1):
            channel.queue_delete(f"mqtt-subscription-{bench.queue}qos{quality}")
        channel.exchange_delete(bench.exchange)


def kill_workers(processor: Processor) -> None:
    """Kill them, and wait until the supervisor knows: until then it says that all is well."""
    workers = set(processor.workers())
    for worker in workers:
        kill(worker)
    wait_for(lambda: not workers.intersection(processor.workers()))


def kill(process: int) -> None:
    """Kill a process, unless it is gone by itself."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def test_event_has_every_attribute(bench: Bench) -> None:
    bench.start(exchangeName=bench.exchange, topics=["a.*", "b"])
    bench.send(
        '{"n": 1}',
        exchange=bench.exchange,
        key="a.x",
        content_type="application/json",
        message_id="m1",
        headers={"h": 1, "t": "x"},
        type="reading",
        reply_to="answers",
        timestamp=1_700_000_000,
    )
    bench.send("plain", exchange=bench.exchange, key="b")
    bench.send("unbound", exchange=bench.exchange, key="c")
    first, second = wait_for(lambda: len(bench.events()) == 2 and bench.events())
    assert first["body"] == {"n": 1}
    assert (first["id"], first["content_type"], first["headers"]) == ("m1", "application/json", {"h": 1, "t": "x"})
    assert (first["path"], first["method"], first["url"]) == (f"{bench.exchange}/a.x", "reading", "answers")
    assert (first["timestamp"], first["size"]) == ("2023-11-14 22:13:20", 8)
    assert first["trigger"] == ["rabbit-mq", "sensors"]
    assert (first["shard_id"], first["num_shards"], first["fields"], first["topic"]) == (-1, 0, {}, "")
    assert (second["body"], second["timestamp"]) == ("plain", "0001-01-01 00:00:00")
    assert len(second["id"]) == 36


def test_handled_message_is_gone_and_leaves_no_queues_behind(bench: Bench) -> None:
    processor = bench.start()
    bench.send("one", "two")
    bench.wait_for_bodies("one", "two")
    processor.stop()
    assert bench.depth() == 0
    assert bench.depth(f"{bench.queue}.retry.1000ms") is None
    assert bench.depth(f"{bench.queue}.dead") is None


def test_queue_without_topics_is_taken_as_it_is(bench: Bench) -> None:
    bench.channel().queue_declare(bench.queue, durable=True, arguments={"x-max-length": 5})
    bench.start()
    bench.send("one")
    bench.wait_for_bodies("one")


def test_what_another_declared_otherwise_is_named(bench: Bench) -> None:
    bench.channel().exchange_declare(bench.exchange, "topic", durable=True)
    processor = bench.start(ready=False, exchangeName=bench.exchange, topics=["t"])
    log = processor.wait_for_log("is there already")
    assert f"the exchange '{bench.exchange}' is there already, declared with durable=true" in log
    assert "set the attribute durableExchange to true, or delete the exchange" in log
    wait_for(lambda: json.loads(processor.health().body)["failing_seconds"] > 1)
    assert b"durableExchange" in processor.health().body
    bench.channel().exchange_delete(bench.exchange)
    processor.wait_until_ready()


def test_wrong_password_is_said_and_tried_again(bench: Bench) -> None:
    url = bench.broker.workspace.people_url.replace("guest:guest@", "guest:wrong@")
    home = bench.output.parent / "wrong"
    home.mkdir()
    trigger = {"kind": "rabbit-mq", "url": url}
    env = [{"name": "OUTPUT", "value": str(bench.output)}]
    with run_processor(home, {"triggers": {"sensors": trigger}, "env": env}, FUNCTIONS / "collect") as processor:
        log = processor.wait_for_log("refused the name, the password or the virtual host")
        assert "wrong" not in log
        wait_for(lambda: processor.log.count("refused the name") > 1)


def test_workers_share_the_messages_that_wait(bench: Bench) -> None:
    bench.channel().queue_declare(bench.queue, durable=True)
    bench.send(*[f"wait-for {bench.mark}"] * 6)
    bench.start(workers=3)
    events = wait_for(lambda: len(bench.events()) == 3 and bench.events())
    assert {event["worker"] for event in events} == {"0", "1", "2"}
    bench.mark.touch()
    wait_for(lambda: len(bench.events()) == 6)


def test_triggers_of_one_pool_share_its_workers(bench: Bench) -> None:
    processor = bench.start(workers=2, maxRetries=0, pool={"queueName": f"{bench.queue}.dead"})
    assert len(processor.workers()) == 3
    wait_for(lambda: bench.depth(f"{bench.queue}.dead") is not None)
    bench.send(*[f"wait-for {bench.mark}"] * 6, headers={"n": 1}, timestamp=1_700_000_000)
    bench.send("fail once")
    wait_for(lambda: {event["worker"] for event in bench.events()} == {"0", "1"})
    bench.mark.touch()
    wait_for(lambda: {event["trigger"][1] for event in bench.events()} == {"sensors", "others"})
    events = wait_for(lambda: len(bench.events()) >= 8 and bench.events())
    assert {event["worker"] for event in events} == {"0", "1"}
    assert events[0]["timestamp"] == "2023-11-14 22:13:20"
    processor.stop()
    assert "still busy" not in processor.log
    wait_for(lambda: bench.depth() == 0)


@pytest.mark.slow
def test_thousands_arrive_once_each_and_in_order(bench: Bench) -> None:
    processor = bench.start()
    channel = bench.channel()
    for number in range(5000):
        channel.basic_publish("", bench.queue, str(number).encode())
    wait_for(lambda: len(bench.events()) >= 5000, 60)
    assert [int(body) for body in bench.bodies()] == list(range(5000))
    processor.stop()
    assert bench.depth() == 0


def test_message_in_progress_is_finished_and_the_rest_stays(bench: Bench) -> None:
    processor, first = bench.start(prefetchCount=50), f"wait-for {bench.mark}"
    bench.send(first, *(f"{number}" for number in range(20)))
    bench.wait_for_bodies(first)
    processor.process.terminate()
    # Its health says "stopping" a little before its worker knows.
    wait_for(lambda: bench.consumers() == 0)
    bench.mark.touch()
    assert processor.wait_for_end() == 0
    assert bench.bodies() == [first]
    wait_for(lambda: bench.depth() == 20)


def test_killed_worker_loses_nothing(bench: Bench) -> None:
    processor = bench.start(workers=2)
    bench.send(*(f"n {number}" for number in range(200)), "sleep 1")
    for _ in range(3):
        time.sleep(0.3)
        kill_workers(processor)
        processor.wait_until_ready()
    bench.wait_for_bodies(*(f"n {number}" for number in range(200)), "sleep 1")
    wait_for(lambda: bench.depth() == 0)


def test_worker_that_exits_is_replaced_and_its_message_comes_again(bench: Bench) -> None:
    mark = bench.output.with_suffix(".mark")
    bench.start()
    bench.send(f"exit-once {mark}", "after")
    bench.wait_for_bodies("after")
    wait_for(lambda: bench.bodies().count(f"exit-once {mark}") == 2)
    wait_for(lambda: bench.depth() == 0)


@pytest.mark.parametrize(("body", "reason"), [("exit 1", "ended with exit status 4"), ("crash", "Segmentation fault")])
def test_message_that_kills_its_worker_ends_as_a_dead_letter(bench: Bench, body: str, reason: str) -> None:
    processor = bench.start(maxRetries=1)
    bench.send(body, *(f"n {number}" for number in range(50)))
    bench.wait_for_bodies(*(f"n {number}" for number in range(50)))
    found, dead = bench.take_dead()
    assert dead == body.encode()
    assert found.headers["x-nuclio-error"].startswith("the worker died")
    assert reason in found.headers["x-nuclio-error"]
    assert found.headers["x-nuclio-attempts"] == 2
    assert bench.bodies().count(body) == 2
    # Others come again, perhaps, that were handled a moment before the worker ended.
    assert set(bench.bodies()) == {body, *(f"n {number}" for number in range(50))}
    processor.stop()
    assert bench.depth() == 0


def test_many_messages_that_kill_keep_no_other_waiting(bench: Bench) -> None:
    bench.start(maxRetries=0, workers=2)
    bench.send(*(f"exit {number}" for number in range(10)), "after")
    bench.wait_for_bodies("after")
    deadly, dead = {f"exit {number}" for number in range(10)}, set[str]()
    # A copy of which the broker's word comes too late is made twice.
    while not dead >= deadly:
        dead.add(bench.take_dead()[1].decode())
    assert dead == deadly
    wait_for(lambda: bench.depth() == 0)


def test_messages_that_kill_are_kept_though_the_next_kills_at_once(bench: Bench) -> None:
    """A worker that has to see to one that killed another dies of the next before it could.

    A copy of which the broker's word comes too late is made twice.
    """
    bench.start(maxRetries=1, workers=2, prefetchCount=20)
    deadly = [f"exit {number}" for number in range(6)]
    bench.send(*deadly, *(f"n {number}" for number in range(50)))
    # Copies that were made twice are among those six, while others may wait for their second try.
    wait_for(lambda: all(bench.bodies().count(body) >= 2 for body in deadly))
    wait_for(lambda: (bench.depth(f"{bench.queue}.dead") or 0) >= 6 and not bench.depth())
    assert {bench.bodies().count(body) for body in deadly} <= {2, 3, 4}
    bench.wait_for_bodies(*(f"n {number}" for number in range(50)))


@pytest.mark.parametrize("workers", [1, 2])
def test_message_that_takes_too_long_is_tried_again_and_then_kept(bench: Bench, workers: int) -> None:
    bench.start(maxRetries=1, workers=workers, event_timeout="1s", prefetchCount=10)
    bench.send("sleep 20", *(f"n {number}" for number in range(20)))
    bench.wait_for_bodies(*(f"n {number}" for number in range(20)))
    found, dead = bench.take_dead()
    assert dead == b"sleep 20"
    assert found.headers["x-nuclio-error"] == "the handler timed out: it took longer than 1 s"
    assert found.headers["x-nuclio-attempts"] == 2
    assert bench.bodies().count("sleep 20") == 2
    wait_for(lambda: bench.depth() == 0)


def test_mqtt_message_that_takes_too_long_fails_on_another_broker_too(
    bench: Bench, mqtt_url: Callable[[str], str]
) -> None:
    subscriptions = [{"topic": f"{bench.queue}/#", "qos": 1}]
    attributes: Document = {"clientID": bench.queue, "subscriptions": subscriptions, "maxRetries": 0}
    attributes |= {"stack_broker": bench.broker.workspace.people_url, "event_timeout": "500ms"}
    bench.start(kind="mqtt", url=mqtt_url("mqtt"), **attributes)
    publish_mqtt(bench.broker, f"{bench.queue}/a", "sleep 20", "after")
    bench.wait_for_bodies("after")
    found, _ = bench.take_dead()
    assert found.headers["x-nuclio-error"] == "the handler timed out: it took longer than 0.5 s"


def start_batches(bench: Bench, size: int = 10, timeout: str = "3s", **attributes: Any) -> Processor:
    batch = {"mode": "enable", "batchSize": size, "timeout": timeout}
    return bench.start(function="collect_batches", batch=batch, maxRetries=0, **attributes)


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_are_full_where_messages_wait(bench: Bench, workers: int) -> None:
    start_batches(bench).stop()
    bodies = [f"n{number}" for number in range(100)]
    bench.send(*bodies)
    start_batches(bench, workers=workers)
    wait_for(lambda: sum(event["size"] for event in bench.events()) == 100)
    assert sorted(body for event in bench.events() for body in event["body"].split()) == sorted(bodies)
    assert sum(event["size"] == 10 for event in bench.events()) >= 8
    wait_for(lambda: bench.depth() == 0)


def test_failed_batch_is_kept_and_a_refused_message_alone(bench: Bench) -> None:
    processor = start_batches(bench, size=3, timeout="60s")
    bench.send("a", "fail", "c")
    wait_for(lambda: bench.depth(f"{bench.queue}.dead") == 3)
    assert [bench.take_dead()[1] for _ in range(3)] == [b"a", b"fail", b"c"]
    bench.send("d", "refuse", "f")
    found, dead = bench.take_dead()
    assert (dead, found.headers["x-nuclio-error"]) == (b"refuse", "the handler answered with status 500")
    processor.stop()
    wait_for(lambda: (bench.depth(), bench.depth(f"{bench.queue}.dead")) == (0, 0))


def test_handler_longer_than_the_heartbeat_keeps_its_connection(bench: Bench) -> None:
    # The broker closes a connection after two of them; a machine may stand still for less than that.
    processor = bench.start(url=f"{bench.broker.workspace.people_url}?heartbeat=4")
    bench.send("sleep 12")
    bench.wait_for_bodies("sleep 12")
    wait_for(lambda: bench.depth() == 0)
    time.sleep(13)
    assert bench.bodies() == ["sleep 12"]
    assert "closed the connection" not in processor.log


def test_deleted_queue_is_declared_again(bench: Bench) -> None:
    processor = bench.start(exchangeName=bench.exchange, topics=["t"])
    bench.channel().queue_delete(bench.queue)
    processor.wait_for_log("was deleted")
    # The queue is there before it is bound, and what comes meanwhile is lost; it is consumed when it is bound.
    wait_for(bench.consumers)
    bench.send("after", exchange=bench.exchange, key="t")
    bench.wait_for_bodies("after")


def test_failed_message_is_tried_again_and_then_kept(bench: Bench) -> None:
    bench.start(exchangeName=bench.exchange, topics=["t"], maxRetries=2)
    properties = {"content_type": "x/y", "expiration": "60000", "message_id": "m1", "correlation_id": "c1"}
    headers = {"mine": 1, "CC": ["elsewhere"]}
    bench.send("fail it", "after", exchange=bench.exchange, key="t", headers=headers, **properties)
    found, body = bench.take_dead()
    assert body == b"fail it"
    assert sorted(event["body"] for event in bench.events()) == ["after", *["fail it"] * 3]
    assert {event["path"] for event in bench.events()} == {f"{bench.exchange}/t"}
    tries = [event for event in bench.events() if event["body"] == "fail it"]
    assert [event["headers"].get("x-nuclio-attempts", 0) for event in tries] == [0, 1, 2]
    first, second, third = (event["began"] for event in tries)
    # After one second and after five, each in a queue of its own; what would come next is 25.
    assert second - first > 0.9
    assert third - second > 4.9
    waits = [bench.depth(f"{bench.queue}.retry.{delay}") for delay in ("1000ms", "5000ms", "25000ms")]
    assert waits == [0, 0, None]
    headers = found.headers
    assert headers["mine"] == 1
    assert "CC" not in headers and "x-death" not in headers
    assert headers["x-nuclio-error"] == "ValueError: cannot do it"
    first, *others = headers["x-nuclio-traceback"].splitlines()
    assert first.endswith("in fail")
    assert (others[0], others[-1]) == ("Traceback (most recent call last):", "ValueError: cannot do it")
    assert (headers["x-nuclio-function"], headers["x-nuclio-attempts"]) == ("tested", 3)
    assert (headers["x-nuclio-exchange"], headers["x-nuclio-routing-key"]) == (bench.exchange, "t")
    assert headers["x-nuclio-first-failed"] < headers["x-nuclio-last-failed"]
    assert (found.message_id, found.correlation_id, found.content_type) == ("m1", "c1", "x/y")
    assert (found.delivery_mode, found.expiration) == (2, None)
    wait_for(lambda: bench.depth() == 0)


def test_failure_that_passes_leaves_no_dead_letter(bench: Bench) -> None:
    bench.start()
    bench.send("fail-twice")
    wait_for(lambda: len(bench.events()) == 3)
    wait_for(lambda: bench.depth(f"{bench.queue}.retry.5000ms") == 0)
    assert bench.depth(f"{bench.queue}.dead") is None


def test_attempts_outlive_the_processor(bench: Bench) -> None:
    processor = bench.start(maxRetries=1)
    bench.send("fail it")
    bench.wait_for_bodies("fail it")
    processor.stop()
    time.sleep(1.2)
    bench.start(maxRetries=1)
    found, _ = bench.take_dead()
    assert found.headers["x-nuclio-attempts"] == 2


@pytest.mark.parametrize("runtime", ["python", "nodejs"])
def test_messages_that_fail_beside_others_that_end_the_worker_do_not_multiply(bench: Bench, runtime: str) -> None:
    foreign = {"function": "nodejs", "handler": "poison:handler", "runtime": "nodejs"}
    options: dict[str, Any] = foreign if runtime == "nodejs" else {}
    bench.start(maxRetries=1, **options).stop()
    bodies = [f"{what} {number}" for what in ("fail", "exit") for number in range(3)]
    bench.send(*bodies)
    bench.start(maxRetries=1, **options)
    dead: list[str] = []
    while not set(dead) >= set(bodies):
        dead.append(bench.take_dead()[1].decode())
    wait_for(lambda: bench.depth() == 0)
    time.sleep(1.5)
    dead += [bench.take_dead()[1].decode() for _ in range(bench.depth(f"{bench.queue}.dead") or 0)]
    assert set(dead) == set(bodies)
    # Each is there once, but where the broker's word of a copy comes too late.
    assert max(map(dead.count, bodies)) <= 3


def test_answer_of_500_is_a_failure(bench: Bench) -> None:
    bench.start(maxRetries=0)
    bench.send("answer 404", "answer 503")
    found, body = bench.take_dead()
    assert body == b"answer 503"
    assert found.headers["x-nuclio-error"] == "the handler answered with status 503"
    assert bench.depth(f"{bench.queue}.dead") == 0


@pytest.mark.parametrize(
    ("attributes", "handled"),
    [({"onError": "ack"}, 1), ({"onError": "nack"}, 1), ({"requeueOnError": True}, 5)],
)
def test_failure_is_treated_as_newer_nuclio_does(bench: Bench, attributes: Document, handled: int) -> None:
    processor = bench.start(**attributes)
    bench.send("fail it")
    wait_for(lambda: len(bench.events()) >= handled)
    time.sleep(0.3)
    processor.stop()
    assert bench.depth(f"{bench.queue}.dead") is None
    wait_for(lambda: bench.depth() == (1 if handled > 1 else 0))


def test_many_failures_at_once_are_all_kept(bench: Bench) -> None:
    processor = bench.start(maxRetries=0)
    bench.send(*(f"fail {number}" if number % 2 else f"well {number}" for number in range(400)))
    wait_for(lambda: bench.depth(f"{bench.queue}.dead") == 200)
    assert bench.depth() == 0
    assert sorted(bench.bodies()) == sorted(set(bench.bodies()))
    processor.stop()
    assert "still busy" not in processor.log


def test_deleted_dead_letter_queue_is_made_again(bench: Bench) -> None:
    bench.start(maxRetries=0)
    bench.send("fail 1")
    bench.take_dead()
    bench.channel().queue_delete(f"{bench.queue}.dead")
    bench.send("fail 2")
    assert bench.take_dead()[1] == b"fail 2"


@pytest.mark.slow
def test_broker_that_comes_later_is_found(bench: Bench) -> None:
    bench.broker.stop()
    processor = bench.start(ready=False, exchangeName=bench.exchange, topics=["t"])
    processor.wait_for_log("no connection to the broker")
    assert processor.health().status == 503
    bench.broker.start()
    wait_for(lambda: processor.health().status == 200, 60)
    bench.send("late", exchange=bench.exchange, key="t")
    bench.wait_for_bodies("late")


def test_broker_restart_is_survived_with_all_that_was_declared(bench: Bench) -> None:
    processor = bench.start(exchangeName=bench.exchange, topics=["t"])
    bench.send("before", exchange=bench.exchange, key="t", delivery_mode=2)
    bench.wait_for_bodies("before")
    bench.broker.stop()
    processor.wait_for_log("again in")
    assert processor.health().status == 200
    bench.broker.start()

    def arrives() -> bool:
        with suppress(pika.exceptions.AMQPError):
            bench.send("after", exchange=bench.exchange, key="t")
        time.sleep(0.2)
        return "after" in bench.bodies()

    wait_for(arrives, 60)


def publish_mqtt(broker: Broker, topic: str, *payloads: str, **options: Any) -> None:
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.username_pw_set("guest", "guest")
    client.connect(broker.mqtt_host, broker.mqtt_port)
    client.loop_start()
    for payload in payloads:
        client.publish(topic, payload, qos=1, **options).wait_for_publish(PATIENCE)
    client.disconnect()
    client.loop_stop()


def user_properties() -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = ("unit", "C")
    return properties


@pytest.fixture
def mqtt_url(broker: Broker) -> Callable[[str], str]:
    """The URL of a trigger: on the broker's queues, or a session of MQTT itself."""
    return {"amqp": broker.workspace.people_url, "mqtt": f"mqtt://{broker.mqtt_host}:{broker.mqtt_port}"}.__getitem__


@pytest.mark.parametrize(("way", "version"), [("amqp", 4), ("mqtt", 3), ("mqtt", 4), ("mqtt", 5)])
def test_mqtt_event_is_the_same_either_way(
    bench: Bench, mqtt_url: Callable[[str], str], way: str, version: int
) -> None:
    topic = f"{bench.queue}/k1/temperature"
    subscriptions = [{"topic": f"{bench.queue}/+/temperature", "qos": 1}]
    options: Document = {"clientID": bench.queue, "protocolVersion": version, "subscriptions": subscriptions}
    bench.start(kind="mqtt", url=mqtt_url(way), **options)
    publish_mqtt(bench.broker, topic, "21.5", properties=user_properties())
    publish_mqtt(bench.broker, f"{bench.queue}/k1/humidity", "80")
    (event,) = wait_for(bench.events)
    assert (event["body"], event["topic"], event["path"]) == ("21.5", topic, topic)
    assert event["trigger"] == ["mqtt", "sensors"]
    assert event["url"] == mqtt_url(way).replace("guest:guest@", "")
    assert (event["method"], event["content_type"]) == ("", "")
    assert (event["headers"]["x-mqtt-publish-qos"], event["headers"]["x-mqtt-retain"]) == (1, False)
    if version == 5 or way == "amqp":
        assert event["headers"]["unit"] == "C"


def test_mqtt_tells_that_a_message_was_retained(bench: Bench, mqtt_url: Callable[[str], str]) -> None:
    publish_mqtt(bench.broker, f"{bench.queue}/a", "old", retain=True)
    attributes: Document = {"clientID": bench.queue, "subscriptions": [{"topic": f"{bench.queue}/a", "qos": 0}]}
    bench.start(kind="mqtt", url=mqtt_url("mqtt"), **attributes)
    (event,) = wait_for(bench.events)
    assert (event["headers"]["x-mqtt-publish-qos"], event["headers"]["x-mqtt-retain"]) == (0, True)
    publish_mqtt(bench.broker, f"{bench.queue}/a", "", retain=True)


@pytest.mark.parametrize("way", ["amqp", "mqtt"])
def test_mqtt_messages_wait_while_the_function_is_away(bench: Bench, mqtt_url: Callable[[str], str], way: str) -> None:
    attributes: Document = {"clientID": bench.queue, "subscriptions": [{"topic": f"{bench.queue}/#", "qos": 1}]}
    processor = bench.start(kind="mqtt", url=mqtt_url(way), **attributes)
    publish_mqtt(bench.broker, f"{bench.queue}/a", "1")
    bench.wait_for_bodies("1")
    processor.stop()
    publish_mqtt(bench.broker, f"{bench.queue}/a", "2", "3")
    bench.start(kind="mqtt", url=mqtt_url(way), **attributes)
    bench.wait_for_bodies("1", "2", "3")
    assert bench.bodies() == ["1", "2", "3"]


@pytest.mark.parametrize("way", ["amqp", "mqtt"])
def test_mqtt_workers_share_the_work(bench: Bench, mqtt_url: Callable[[str], str], way: str) -> None:
    attributes: Document = {"clientID": bench.queue, "subscriptions": [{"topic": f"{bench.queue}/#", "qos": 1}]}
    bench.start(kind="mqtt", url=mqtt_url(way), workers=3, **attributes)
    publish_mqtt(bench.broker, f"{bench.queue}/a", *[f"wait-for {bench.mark}"] * 6)
    events = wait_for(lambda: len(bench.events()) == 3 and bench.events())
    assert {event["worker"] for event in events} == {"0", "1", "2"}
    bench.mark.touch()
    wait_for(lambda: len(bench.events()) == 6)
    time.sleep(0.5)
    assert len(bench.events()) == 6


@pytest.mark.parametrize("way", ["amqp", "mqtt"])
def test_mqtt_message_of_a_killed_worker_comes_again(bench: Bench, mqtt_url: Callable[[str], str], way: str) -> None:
    attributes: Document = {"clientID": bench.queue, "subscriptions": [{"topic": f"{bench.queue}/#", "qos": 1}]}
    processor = bench.start(kind="mqtt", url=mqtt_url(way), **attributes)
    publish_mqtt(bench.broker, f"{bench.queue}/a", f"wait-for {bench.mark}")
    bench.wait_for_bodies(f"wait-for {bench.mark}")
    kill_workers(processor)
    wait_for(lambda: len(bench.events()) == 2)
    bench.mark.touch()


@pytest.mark.parametrize("workers", [1, 2])
def test_mqtt_failure_on_another_broker_is_kept_on_the_stacks(
    bench: Bench, mqtt_url: Callable[[str], str], workers: int
) -> None:
    subscriptions = [{"topic": f"{bench.queue}/#", "qos": 1}]
    attributes: Document = {"clientID": bench.queue, "subscriptions": subscriptions, "maxRetries": 1}
    attributes |= {"protocolVersion": 5, "workers": workers}
    processor = bench.start(
        kind="mqtt", url=mqtt_url("mqtt"), stack_broker=bench.broker.workspace.people_url, **attributes
    )
    wait_for(lambda: bench.depth() is not None)
    publish_mqtt(bench.broker, f"{bench.queue}/a/b", "fail it", "after", properties=user_properties())
    bench.wait_for_bodies("after")
    found, body = bench.take_dead()
    assert body == b"fail it"
    assert (found.headers["x-mqtt-topic"], found.headers["x-nuclio-attempts"]) == (f"{bench.queue}/a/b", 2)
    assert found.headers["x-nuclio-error"] == "ValueError: cannot do it"
    failed = [event for event in bench.events() if event["body"] == "fail it"]
    assert [event["topic"] for event in failed] == [f"{bench.queue}/a/b"] * 2
    assert [event["headers"]["unit"] for event in failed] == ["C"] * 2
    assert [event["headers"].get("x-nuclio-attempts", 0) for event in failed] == [0, 1]
    assert all("x-mqtt-topic" not in event["headers"] for event in failed)
    processor.stop()
    wait_for(lambda: bench.depth(f"mqtt-subscription-{bench.queue}qos1") == 0)


def test_mqtt_failure_with_no_other_broker_is_retried_from_memory(bench: Bench, mqtt_url: Callable[[str], str]) -> None:
    subscriptions = [{"topic": f"{bench.queue}/#", "qos": 1}]
    attributes: Document = {"clientID": bench.queue, "subscriptions": subscriptions, "maxRetries": 1}
    processor = bench.start(kind="mqtt", url=mqtt_url("mqtt"), **attributes)
    publish_mqtt(bench.broker, f"{bench.queue}/a", "fail it", "after")
    bench.wait_for_bodies("after")
    log = processor.wait_for_log("given up after 2 attempts")
    assert f"a message on {bench.queue}/a: ValueError: cannot do it; it was b'fail it'" in log
    assert sorted(bench.bodies()) == ["after", "fail it", "fail it"]
    tries = [event["headers"].get("x-nuclio-attempts", 0) for event in bench.events() if event["body"] == "fail it"]
    assert tries == [0, 1]
    processor.stop()
    # With more attempts than it has time for, however late it hears that it is to stop.
    processor = bench.start(kind="mqtt", url=mqtt_url("mqtt"), **attributes | {"maxRetries": 3})
    publish_mqtt(bench.broker, f"{bench.queue}/a", "fail again")
    bench.wait_for_bodies("fail again")
    processor.stop()
    wait_for(lambda: bench.depth(f"mqtt-subscription-{bench.queue}qos1") == 1)


def test_mqtt_message_that_kills_its_worker_ends_as_a_dead_letter(bench: Bench, mqtt_url: Callable[[str], str]) -> None:
    subscriptions = [{"topic": f"{bench.queue}/#", "qos": 1}]
    attributes: Document = {"clientID": bench.queue, "subscriptions": subscriptions, "maxRetries": 0}
    bench.start(kind="mqtt", url=mqtt_url("mqtt"), stack_broker=bench.broker.workspace.people_url, **attributes)
    publish_mqtt(bench.broker, f"{bench.queue}/a", "exit 1", "after")
    bench.wait_for_bodies("after")
    found, _ = bench.take_dead()
    assert found.headers["x-nuclio-error"].startswith("the worker died")
    assert bench.bodies().count("exit 1") == 1


def test_mqtt_failure_is_retried_with_its_topic(bench: Bench) -> None:
    attributes: Document = {"subscriptions": [{"topic": f"{bench.queue}/v1.2/+", "qos": 1}], "maxRetries": 1}
    bench.start(kind="mqtt", **attributes)
    publish_mqtt(bench.broker, f"{bench.queue}/v1.2/a", "fail it")
    found, _ = bench.take_dead()
    assert found.headers["x-nuclio-routing-key"] == f"{bench.queue}.v1.2.a"
    # For AMQP a topic's dot is a slash.
    assert [event["topic"] for event in bench.events()] == [f"{bench.queue}/v1/2/a"] * 2


@pytest.mark.parametrize("way", ["amqp", "mqtt"])
@pytest.mark.slow
def test_mqtt_goes_on_after_a_broker_restart(bench: Bench, mqtt_url: Callable[[str], str], way: str) -> None:
    attributes: Document = {"clientID": bench.queue, "subscriptions": [{"topic": f"{bench.queue}/#", "qos": 1}]}
    processor = bench.start(kind="mqtt", url=mqtt_url(way), **attributes)
    publish_mqtt(bench.broker, f"{bench.queue}/a", "before")
    bench.wait_for_bodies("before")
    bench.broker.stop()
    processor.wait_for_log("the broker")
    bench.broker.start()

    def arrives() -> bool:
        try:
            publish_mqtt(bench.broker, f"{bench.queue}/a", "after")
        except (OSError, RuntimeError, ValueError):
            return False
        time.sleep(0.2)
        return "after" in bench.bodies()

    wait_for(arrives, 60)


def test_one_of_several_replicas_fires_and_another_takes_over(bench: Bench) -> None:
    options: Document = {"interval": "200ms", "kind": "cron", "stack_broker": bench.broker.workspace.amqp_url}
    first = bench.start(**options, event={"body": "first"})
    bench.wait_for_bodies("first")
    bench.start(**options, event={"body": "second"})
    seen = len(bench.events())
    wait_for(lambda: len(bench.events()) > seen + 10)
    assert set(bench.bodies()) == {"first"}
    (container,) = bench.broker.workspace.containers("rabbitmq-mqtt")
    # Of other functions there may be a line: of a connection that was killed.
    assert name_lock("nuclio", "tested", trigger="sensors") not in run_docker("logs", container).stdout
    for process in (first.process.pid, *first.workers()):
        kill(process)
    bench.wait_for_bodies("second")


def test_cron_fires_whether_the_stacks_broker_is_there_or_not(bench: Bench) -> None:
    bench.start(kind="cron", interval="200ms", stack_broker="amqp://guest:guest@127.0.0.1:1/")
    wait_for(lambda: len(bench.events()) > 3)
