"""The connection of the service of devices, with a broker that is made up."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pika import BasicProperties
from pika.exceptions import AMQPConnectionError, ShortStringTooLong, UnroutableError

from stack.config.environment import Secret
from stack.devices.link import MESSAGES, Delivery, Link, Publication
from stack.devices.store import Store, open_store
from stack.errors import BrokerError, ConfigError
from stack.plan.account import ADMINISTRATOR
from stack.plan.broker import Credentials
from stack.plan.device_account import EVENTS
from stack.plan.drift import MOVED
from stack.rabbitmq.management import Broker
from tests.unit.dashboard.serving import wait_until

BROKER = Broker("localhost", 1, 1, 1, Credentials("a", Secret("b")))


class MadeUpBroker:
    """Gives what waits in the queue to each connection until it is acknowledged; can refuse, and break once."""

    def __init__(self) -> None:
        self.queue: list[tuple[str, str, bytes]] = []
        self.published: list[tuple[str, str]] = []
        self.bound: set[tuple[str, str]] = set()
        self.connections = 0
        self.is_away, self.breaks = False, 0
        self.unroutable: set[str] = set()
        self.wrong: set[str] = set()
        self.most, self.missing = 200, 0

    def connect(self, _parameters: object) -> Any:
        if self.is_away:
            raise AMQPConnectionError
        self.connections += 1
        return _Connection(self)


class _Connection:
    is_open = True

    def __init__(self, broker: MadeUpBroker) -> None:
        self._broker, self._given, self._woken = broker, 0, threading.Event()
        self._take: Callable[..., None] = lambda *_: None

    def channel(self) -> "_Connection":
        return self

    def confirm_delivery(self) -> None: ...
    def basic_qos(self, prefetch_count: int) -> None: ...
    def close(self) -> None: ...

    def queue_declare(self, name: str, **_: object) -> Any:
        waiting = len(self._broker.queue) if name == MESSAGES else 0
        return SimpleNamespace(method=SimpleNamespace(message_count=waiting + self._broker.missing))

    def queue_bind(self, queue: str, exchange: str, key: str) -> None:
        assert (queue == MESSAGES) is (exchange == "amq.topic")
        self._broker.bound.add((exchange, key))

    def basic_consume(self, _queue: str, take: Callable[..., None], **_: object) -> None:
        self._take = take

    def process_data_events(self, seconds: float) -> None:
        if len(self._broker.queue) == self._given:
            self._woken.wait(min(seconds, 0.01))
        self._woken.clear()
        for number, (exchange, key, body) in enumerate(
            self._broker.queue[self._given :][: self._broker.most], self._given + 1
        ):
            method = SimpleNamespace(exchange=exchange, routing_key=key, delivery_tag=number)
            self._take(self, method, BasicProperties(), body)
            self._given = number

    def basic_ack(self, tag: int, multiple: bool) -> None:
        assert multiple
        del self._broker.queue[:tag]
        self._given -= tag

    def basic_publish(self, exchange: str, key: str, _body: bytes, _properties: object, mandatory: bool) -> None:
        assert mandatory
        if self._broker.breaks:
            self._broker.breaks -= 1
            raise AMQPConnectionError
        if key in self._broker.wrong:
            raise ShortStringTooLong(key)
        self._broker.published.append((exchange, key))
        if key in self._broker.unroutable:
            raise UnroutableError([])

    def add_callback_threadsafe(self, _callback: object) -> None:
        self._woken.set()


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> MadeUpBroker:
    broker = MadeUpBroker()
    monkeypatch.setattr("stack.devices.link.BlockingConnection", broker.connect)
    monkeypatch.setattr("stack.devices.link._AGAIN", 0.02)
    return broker


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path)
    store.create("CREATE TABLE heard (text TEXT)")
    yield store
    store.close()


@pytest.fixture
def link(broker: MadeUpBroker, store: Store) -> Iterator[Link]:
    link = Link(BROKER, store)

    def take(delivery: Delivery) -> Iterator[Publication]:
        with store.transaction() as database:
            database.execute("INSERT INTO heard VALUES (?)", [delivery.topic])
        if delivery.body == b"wrong":
            raise KeyError
        yield Publication(f"{delivery.topic}/heard", b"")

    link.on("amq.topic", "a.*.b", take)
    yield link
    link.close()


def read(store: Store) -> list[str]:
    with store.transaction() as database:
        return [row["text"] for row in database.execute("SELECT text FROM heard")]


def kept(store: Store) -> int:
    with store.transaction() as database:
        return int(database.execute("SELECT count(*) AS n FROM outbox").fetchone()["n"])


def test_what_is_heard_is_handled_in_order_and_acknowledged(broker: MadeUpBroker, store: Store, link: Link) -> None:
    broker.queue += [("amq.topic", f"a.{name}.b", b"") for name in ("x", "y")]
    broker.queue += [("amq.topic", "a.b", b""), ("other", "a.x.b", b"")]
    link.start()
    wait_until(lambda: not broker.queue and len(broker.published) == 2)
    assert read(store) == ["a/x/b", "a/y/b"]
    assert broker.published == [("amq.topic", "a.x.b.heard"), ("amq.topic", "a.y.b.heard")]
    assert broker.bound == {("amq.topic", "a.*.b")}


def test_a_mistake_in_one_message_leaves_nothing_of_it(broker: MadeUpBroker, store: Store, link: Link) -> None:
    broker.queue += [("amq.topic", "a.x.b", b"wrong"), ("amq.topic", "a.y.b", b"")]
    link.start()
    wait_until(lambda: not broker.queue)
    assert read(store) == ["a/y/b"]


def test_what_could_not_be_said_is_said_on_the_next_connection(broker: MadeUpBroker, link: Link) -> None:
    broker.breaks = 1
    broker.queue.append(("amq.topic", "a.x.b", b""))
    link.start()
    wait_until(lambda: ("amq.topic", "a.x.b.heard") in broker.published and not broker.queue)
    assert broker.connections == 2


def test_what_is_kept_is_said_once_the_broker_is_there(broker: MadeUpBroker, store: Store) -> None:
    """In the order of the transactions, also where the program ended before; never of one that was not kept."""
    link = Link(BROKER, store)
    for name in ("a", "b"):
        link.say([Publication(name, b"")])
    with pytest.raises(KeyError), store.transaction():
        link.say([Publication("c", b"")])
        raise KeyError
    other = Link(BROKER, store)
    other.start()
    wait_until(lambda: not kept(store))
    other.close()
    assert broker.published == [("amq.topic", "a"), ("amq.topic", "b")]


def test_a_disk_that_is_full_multiplies_nothing(
    broker: MadeUpBroker, store: Store, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was to be said of a batch goes with the batch."""
    begin, failures, depth = store.transaction, iter(range(3)), [0]

    @contextmanager
    def fail() -> Iterator[sqlite3.Connection]:
        with begin() as database:
            depth[0] += 1
            yield database
            depth[0] -= 1
            has_heard = database.execute("SELECT * FROM heard").fetchall()
            if not depth[0] and has_heard and next(failures, None) is not None:
                raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(store, "transaction", fail)
    broker.queue.append(("amq.topic", "a.x.b", b""))
    link.start()
    wait_until(lambda: bool(broker.published) and not broker.queue)
    link.close()
    assert broker.published == [("amq.topic", "a.x.b.heard")]


def test_others_publish_and_hear_whether_a_queue_has_it(broker: MadeUpBroker, link: Link) -> None:
    broker.unroutable.add("c.d")
    link.start()
    assert link.publish(Publication("a/b", b""))
    assert not link.publish(Publication("c/d", b""))
    broker.breaks = 1
    with pytest.raises(BrokerError, match="has not taken"):
        link.publish(Publication("a/b", b""))
    assert link.publish(Publication("a/b", b""))


@pytest.mark.parametrize("topic", ["x" * 256, "é" * 128, "a/\ud800", "a/\0", "a\nb"])
def test_a_topic_that_no_broker_takes_is_refused_before(topic: str) -> None:
    with pytest.raises(ConfigError, match="255 bytes of readable text"):
        Publication(topic, b"")


def test_one_wrong_message_leaves_the_connection(broker: MadeUpBroker, link: Link) -> None:
    broker.wrong.add("too.long")
    link.start()
    with pytest.raises(BrokerError, match="cannot be sent"):
        link.publish(Publication("too/long", b""))
    assert link.publish(Publication("a/b", b""))
    assert broker.connections == 1


def test_without_a_broker_no_one_waits_for_long(broker: MadeUpBroker, link: Link) -> None:
    broker.is_away = True
    link.start()
    with pytest.raises(BrokerError, match="was not sent"):
        link.publish(Publication("a/b", b""), 0.05)
    broker.is_away = False
    wait_until(lambda: broker.connections == 1)
    assert link.publish(Publication("c", b""))
    assert broker.published == [("amq.topic", "c")]


def test_nothing_is_due_while_what_had_waited_is_handled(broker: MadeUpBroker, link: Link, store: Store) -> None:
    """An answer that has come counts before the time of its call is over."""
    heard: list[int] = []
    link.every(lambda: heard.append(len(read(store))) or ())  # type: ignore[func-returns-value]
    broker.most = 10
    broker.queue += [("amq.topic", "a.x.b", b"")] * 45
    link.start()
    wait_until(lambda: bool(heard))
    assert heard[0] == 45


def test_a_broker_that_stays_away_is_noted(broker: MadeUpBroker, link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stack.devices.link._ABSENCE", 0.1)
    noted: list[float] = []
    link.on_absence(lambda since: noted.append(since) or ())  # type: ignore[func-returns-value]
    broker.is_away = True
    link.start()
    wait_until(lambda: len(noted) > 2)
    assert len(set(noted)) == 1
    broker.is_away = False
    wait_until(lambda: broker.connections == 1)
    count = len(noted)
    link.publish(Publication("a/b", b""))
    assert len(noted) == count


def test_what_made_way_is_not_waited_for(broker: MadeUpBroker, link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stack.devices.link._SILENCE", 0.05)
    found: list[str] = []
    link.on_open_with(lambda: "found", lambda said: found.append(said) or ())  # type: ignore[func-returns-value]
    broker.missing = 3
    link.start()
    wait_until(lambda: found == ["found"])


def test_what_is_due_is_looked_after(broker: MadeUpBroker, link: Link) -> None:
    said: list[str] = []
    link.on_open(lambda: said.append("open") or [Publication("opened", b"")])  # type: ignore[func-returns-value]
    link.every(lambda: said.append("tick") or ())  # type: ignore[func-returns-value]
    broker.queue.append(("amq.topic", "a.x.b", b""))
    link.start()
    wait_until(lambda: said.count("tick") > 2)
    assert said[0] == "open" and said.count("open") == 1
    # What had waited comes first.
    assert broker.published == [("amq.topic", "a.x.b.heard"), ("amq.topic", "opened")]


@pytest.mark.parametrize(
    ("exchange", "user", "is_heard"),
    [(EVENTS, None, True), (MOVED, ADMINISTRATOR, True), (MOVED, "people", False), (MOVED, None, False)],
)
def test_what_up_has_moved_is_heard_by_its_key_and_nothing_that_others_send_so(
    exchange: str, user: str | None, is_heard: bool, store: Store
) -> None:
    link = Link(BROKER, store)
    link.on(EVENTS, "connection.created", lambda _: ())
    (handler,) = link._handlers
    delivery = Delivery(exchange, "connection.created", {}, b"", BasicProperties(user_id=user))
    assert handler.fits(delivery) is is_heard
