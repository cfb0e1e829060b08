"""A link and a broker of which a test says what they do, and calls over them."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pika import BasicProperties

from stack.contract import to_key
from stack.devices.call_wire import BrokerWire, open_calls
from stack.devices.calls import Calls
from stack.devices.link import Delivery, Publication
from stack.devices.store import open_store
from stack.rabbitmq.management import RefusedError


class FakeLink:
    """A link whose handlers are called by the test, and which keeps what is published."""

    def __init__(self) -> None:
        self.takes: dict[tuple[str, str], Callable[[Delivery], Any]] = {}
        self.published: list[Publication] = []
        self.on_publish: Callable[[Publication], None] = lambda _: None

    def on(self, exchange: str, key: str, take: Callable[[Delivery], Any]) -> None:
        self.takes[exchange, key] = take

    def every(self, tick: object) -> None: ...

    def on_open(self, opening: object) -> None: ...

    def say(self, publications: Iterable[Publication]) -> None:
        for one in publications:
            self.publish(one)

    def publish(self, publication: Publication, seconds: float = 10.0) -> bool:
        self.published.append(publication)
        self.on_publish(publication)
        return True


class FakeBroker:
    """A broker with the sessions that a test gives it."""

    def __init__(self) -> None:
        self.keys = {"mqtt-subscription-pump-7qos1": ["tidegate.devices.pump-7.cmd.*"]}
        self.is_exclusive = True

    def request(self, method: str, path: str) -> Any:
        queue, _, what = path.removeprefix("/api/queues/%2F/").partition("/")
        if queue not in self.keys:
            raise RefusedError("not found", 404)
        if what:
            return [{"source": "amq.topic", "routing_key": key} for key in self.keys[queue]]
        return {"name": queue, "exclusive": self.is_exclusive}


def describe(device: str) -> dict[str, Any]:
    """Tell that pump-7 is there, and no other."""
    return {"connected": device == "pump-7", "since": 5.0}


@contextmanager
def open_fake_calls(link: FakeLink, folder: Path) -> Iterator[Calls]:
    """Keep calls of two devices, of which pump-7 is there."""
    store = open_store(folder)
    wire = BrokerWire(FakeBroker(), link, describe)  # type: ignore[arg-type]
    found = open_calls(store, wire, may_log_in=lambda device: device in ("pump-7", "pump-8"))
    found.listen(link)  # type: ignore[arg-type]
    try:
        yield found
    finally:
        found.close()
        store.close()


def answer(link: FakeLink, body: bytes) -> None:
    """Have the device answer what it is sent."""

    def take(publication: Publication) -> None:
        if "/cmd/" in publication.topic:
            key = to_key(publication.topic.replace("/cmd/", "/ack/"))
            delivery = Delivery("amq.topic", key, {}, body, BasicProperties())
            link.takes["amq.topic", "tidegate.devices.*.ack.*"](delivery)

    link.on_publish = take
