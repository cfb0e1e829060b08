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

from tests.docker.workspace import Broker
from tests.unit.processor.running import FUNCTIONS, Processor, run_processor, wait_for

Document = dict[str, Any]


class Bench:
    """A running function that writes down its events, and a connection to the broker beside it."""

    def __init__(self, broker: Broker, folder: Path, stack: ExitStack) -> None:
        self.broker = broker
        self.queue = f"test-{uuid4().hex[:8]}"
        self.exchange = f"{self.queue}-exchange"
        self.output = folder / "events.jsonl"
        self.output.touch()
        self._folder = folder
        self._stack = stack
        self._count = 0

    def start(self, *, ready: bool = True, kind: str = "rabbit-mq", workers: int = 1, **attributes: Any) -> Processor:
        url = attributes.pop("url", self.broker.amqp_url)
        trigger = {"kind": kind, "url": url, "numWorkers": workers, "username": "guest", "password": "guest"}
        trigger["attributes"] = {"queueName": self.queue, **attributes}
        self._count += 1
        home = self._folder / f"processor-{self._count}"
        home.mkdir()
        spec = {"triggers": {"sensors": trigger}, "env": [{"name": "OUTPUT", "value": str(self.output)}]}
        processor = self._stack.enter_context(run_processor(home, spec, FUNCTIONS / "collect"))
        return processor.wait_until_ready() if ready else processor

    def events(self) -> list[Document]:
        return [json.loads(line) for line in self.output.read_text().splitlines()]

    def bodies(self) -> list[str]:
        return [event["body"] for event in self.events()]

    def wait_for_bodies(self, *bodies: str, seconds: float = 15.0) -> list[Document]:
        wait_for(lambda: set(bodies) <= set(self.bodies()), seconds)
        return self.events()

    def channel(self) -> Any:
        connection = pika.BlockingConnection(pika.URLParameters(self.broker.amqp_url))
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
        channel = self.channel()
        try:
            return int(channel.queue_declare(queue or self.queue, passive=True).method.message_count)
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
        channel = bench.channel()
        for name in ("", ".dead", ".retry.1000ms", ".retry.5000ms", ".retry.25000ms"):
            channel.queue_delete(bench.queue + name)
        channel.queue_delete(f"mqtt-subscription-{bench.queue}qos1")
        channel.exchange_delete(bench.exchange)


def kill_workers(processor: Processor) -> None:
    for worker in processor.workers():
        os.kill(worker, signal.SIGKILL)


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
    assert b"durableExchange" in processor.health().body
    bench.channel().exchange_delete(bench.exchange)
    processor.wait_until_ready()


def test_wrong_password_is_said_and_tried_again(bench: Bench) -> None:
    url = bench.broker.amqp_url.replace("guest:guest@", "guest:wrong@")
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
    bench.send(*("sleep 0.5" for _ in range(6)))
    bench.start(workers=3)
    events = wait_for(lambda: len(bench.events()) == 6 and bench.events())
    assert {event["worker"] for event in events} == {"0", "1", "2"}
    assert events[-1]["began"] - events[0]["began"] < 1.0


def test_thousands_arrive_once_each_and_in_order(bench: Bench) -> None:
    processor = bench.start()
    channel = bench.channel()
    for number in range(5000):
        channel.basic_publish("", bench.queue, str(number).encode())
    wait_for(lambda: len(bench.events()) >= 5000, 60)
    assert [int(body) for body in bench.bodies()] == list(range(5000))
    processor.stop()
    assert bench.depth() == 0


def test_message_in_hand_is_finished_and_the_rest_stays(bench: Bench) -> None:
    processor = bench.start(prefetchCount=50)
    bench.send("sleep 1", *(f"{number}" for number in range(20)))
    bench.wait_for_bodies("sleep 1")
    assert processor.stop() < 1.6
    assert bench.bodies() == ["sleep 1"]
    assert bench.depth() == 20


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
    assert bench.bodies().count(f"exit-once {mark}") == 2
    wait_for(lambda: bench.depth() == 0)


def test_handler_longer_than_the_heartbeat_keeps_its_connection(bench: Bench) -> None:
    processor = bench.start(url=f"{bench.broker.amqp_url}?heartbeat=1")
    bench.send("sleep 5")
    bench.wait_for_bodies("sleep 5")
    wait_for(lambda: bench.depth() == 0)
    time.sleep(5)
    assert bench.bodies() == ["sleep 5"]
    assert "closed the connection" not in processor.log


def test_deleted_queue_is_declared_again(bench: Bench) -> None:
    processor = bench.start(exchangeName=bench.exchange, topics=["t"])
    bench.channel().queue_delete(bench.queue)
    processor.wait_for_log("was deleted")
    wait_for(lambda: bench.depth() is not None)
    bench.send("after", exchange=bench.exchange, key="t")
    bench.wait_for_bodies("after")


def test_failed_message_is_tried_again_and_then_kept(bench: Bench) -> None:
    bench.start(exchangeName=bench.exchange, topics=["t"], maxRetries=2)
    properties = {"content_type": "x/y", "expiration": "60000", "message_id": "m1", "correlation_id": "c1"}
    headers = {"mine": 1, "CC": ["elsewhere"]}
    bench.send("fail it", "after", exchange=bench.exchange, key="t", headers=headers, **properties)
    found, body = bench.take_dead()
    assert body == b"fail it"
    assert [event["body"] for event in bench.events()] == ["fail it", "after", "fail it", "fail it"]
    assert {event["path"] for event in bench.events()} == {f"{bench.exchange}/t"}
    assert [event["headers"].get("x-nuclio-attempts", 0) for event in bench.events()] == [0, 0, 1, 2]
    first, second, third = (event["began"] for event in bench.events() if event["body"] == "fail it")
    assert 0.9 < second - first < 2.5
    assert 4.9 < third - second < 6.5
    headers = found.headers
    assert headers["mine"] == 1
    assert "CC" not in headers and "x-death" not in headers
    assert headers["x-nuclio-error"] == "ValueError: cannot do it"
    assert headers["x-nuclio-traceback"].endswith("in act")
    assert (headers["x-nuclio-function"], headers["x-nuclio-attempts"]) == ("tested", 3)
    assert (headers["x-nuclio-exchange"], headers["x-nuclio-routing-key"]) == (bench.exchange, "t")
    assert headers["x-nuclio-first-failed"] < headers["x-nuclio-last-failed"]
    assert (found.message_id, found.correlation_id, found.content_type) == ("m1", "c1", "x/y")
    assert (found.delivery_mode, found.expiration) == (2, None)
    assert bench.depth() == 0


def test_failure_that_passes_leaves_no_dead_letter(bench: Bench) -> None:
    bench.start()
    bench.send("fail-twice")
    wait_for(lambda: len(bench.events()) == 3)
    wait_for(lambda: bench.depth(f"{bench.queue}.retry.5000ms") == 0)
    assert bench.depth(f"{bench.queue}.dead") is None


def test_attempts_outlive_the_processor(bench: Bench) -> None:
    processor = bench.start(maxRetries=1)
    bench.send("fail it")
    wait_for(lambda: bench.depth(f"{bench.queue}.retry.1000ms"))
    processor.stop()
    time.sleep(1.2)
    bench.start(maxRetries=1)
    found, _ = bench.take_dead()
    assert found.headers["x-nuclio-attempts"] == 2


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
    assert bench.depth() == (1 if handled > 1 else 0)


def test_many_failures_at_once_are_all_kept(bench: Bench) -> None:
    processor = bench.start(maxRetries=0)
    bench.send(*(f"fail {number}" if number % 2 else f"well {number}" for number in range(400)))
    wait_for(lambda: bench.depth(f"{bench.queue}.dead") == 200)
    assert bench.depth() == 0
    assert sorted(bench.bodies()) == sorted(set(bench.bodies()))
    assert processor.stop() < 1.0


def test_deleted_dead_letter_queue_is_made_again(bench: Bench) -> None:
    bench.start(maxRetries=0)
    bench.send("fail 1")
    bench.take_dead()
    bench.channel().queue_delete(f"{bench.queue}.dead")
    bench.send("fail 2")
    assert bench.take_dead()[1] == b"fail 2"


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
        client.publish(topic, payload, qos=1, **options).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


def user_properties() -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = ("unit", "C")
    return properties


@pytest.fixture
def mqtt_url(broker: Broker) -> Callable[[str], str]:
    """The URL of a trigger: on the broker's queues, or a session of MQTT itself."""
    return {"amqp": broker.amqp_url, "mqtt": f"mqtt://{broker.mqtt_host}:{broker.mqtt_port}"}.__getitem__


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
    if version == 5 or way == "amqp":
        assert event["headers"]["unit"] == "C"


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
    publish_mqtt(bench.broker, f"{bench.queue}/a", *("sleep 0.4" for _ in range(6)))
    events = wait_for(lambda: len(bench.events()) == 6 and bench.events())
    assert {event["worker"] for event in events} == {"0", "1", "2"}
    time.sleep(0.5)
    assert len(bench.events()) == 6


@pytest.mark.parametrize("way", ["amqp", "mqtt"])
def test_mqtt_message_of_a_killed_worker_comes_again(bench: Bench, mqtt_url: Callable[[str], str], way: str) -> None:
    attributes: Document = {"clientID": bench.queue, "subscriptions": [{"topic": f"{bench.queue}/#", "qos": 1}]}
    processor = bench.start(kind="mqtt", url=mqtt_url(way), **attributes)
    publish_mqtt(bench.broker, f"{bench.queue}/a", "sleep 0.5")
    bench.wait_for_bodies("sleep 0.5")
    kill_workers(processor)
    wait_for(lambda: len(bench.events()) == 2)


def test_mqtt_failure_is_retried_with_its_topic(bench: Bench) -> None:
    attributes: Document = {"subscriptions": [{"topic": f"{bench.queue}/#", "qos": 1}], "maxRetries": 1}
    bench.start(kind="mqtt", **attributes)
    publish_mqtt(bench.broker, f"{bench.queue}/a", "fail it")
    found, _ = bench.take_dead()
    assert found.headers["x-nuclio-routing-key"] == f"{bench.queue}.a"
    assert [event["topic"] for event in bench.events()] == [f"{bench.queue}/a"] * 2


@pytest.mark.parametrize("way", ["amqp", "mqtt"])
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
