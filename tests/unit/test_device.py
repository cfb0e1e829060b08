"""The device: its options, its temperatures, its bookkeeping of confirms, and MQTT without version 5."""

import socket
import threading
from collections.abc import Iterator
from random import Random

import pytest

from stack.errors import BrokerError, StackError
from stack.plan.broker import GUEST_CREDENTIALS
from stack.plan.device import AMQP, BOTH, MQTT, Reading, SendRequest, check_request, measure
from stack.rabbitmq.device import send
from stack.rabbitmq.device_amqp import PublishConfirms
from stack.rabbitmq.management import Broker


def order(count: int = 10, rate: float = 0, protocol: str = AMQP, sensors: int = 1) -> SendRequest:
    return SendRequest(count, rate, protocol, sensors)


@pytest.mark.parametrize(
    ("wrong", "option"),
    [
        (order(count=0), "--count 0"),
        (order(rate=-1), "--rate -1"),
        (order(rate=float("nan")), "--rate nan"),
        (order(rate=float("inf")), "--rate inf"),
        (order(protocol="http"), "--protocol http: should be amqp or mqtt"),
        (order(protocol=BOTH), "--protocol both"),
        (order(sensors=0), "--sensors 0"),
    ],
)
def test_an_option_out_of_range_is_named(wrong: SendRequest, option: str) -> None:
    with pytest.raises(StackError, match=option):
        check_request(wrong)


def test_readings_are_unique_decimals_of_sensors_in_turn() -> None:
    readings = measure(order(count=300, sensors=3), Random(1))
    assert len({reading.identity for reading in readings}) == 300
    assert [reading.sensor for reading in readings[:4]] == ["sensor-1", "sensor-2", "sensor-3", "sensor-1"]
    assert all(reading.value == f"{float(reading.value):.1f}" for reading in readings)
    assert measure(order(), Random(1)) != measure(order(), Random(2))


def test_twenty_readings_are_above_and_below_the_threshold_of_the_alert() -> None:
    for seed in range(50):
        values = [float(reading.value) for reading in measure(order(count=20), Random(seed))]
        means = [sum(values[max(0, end - 5) : end]) / min(end, 5) for end in range(1, 21)]
        assert max(means) > 25
        assert means[-1] < 24
        assert all(5 < value < 35 for value in values)


def readings(count: int) -> list[Reading]:
    return [Reading(f"id-{number}", "sensor-1", "20.0") for number in range(count)]


def test_a_confirm_of_several_settles_all_up_to_its_tag() -> None:
    confirms = PublishConfirms(readings(3))
    taken = [confirms.take() for _ in range(3)]
    assert [reading.identity for reading in taken] == ["id-0", "id-1", "id-2"]
    assert confirms.confirm(2, multiple=True, keep=False) == 2
    assert (confirms.unconfirmed, confirms.is_empty) == (1, False)
    assert confirms.confirm(3, multiple=False, keep=False) == 1
    assert confirms.is_empty


def test_what_was_not_confirmed_goes_first_on_the_next_channel() -> None:
    confirms = PublishConfirms(readings(4))
    for _ in range(3):
        confirms.take()
    confirms.confirm(2, multiple=False, keep=False)
    confirms.restart()
    assert [confirms.take().identity for _ in range(3)] == ["id-0", "id-2", "id-3"]
    assert confirms.confirm(3, multiple=True, keep=False) == 3


def test_a_reading_that_no_queue_took_is_unheard_or_kept() -> None:
    confirms = PublishConfirms(readings(2))
    confirms.take(), confirms.take()
    confirms.note_return("id-0")
    confirms.note_return("id-1")
    assert confirms.confirm(1, multiple=False, keep=False) == 0
    assert confirms.confirm(2, multiple=False, keep=True) == 0
    assert [reading.identity for reading in confirms.unheard] == ["id-0"]
    assert not confirms.is_empty
    confirms.try_again()
    assert confirms.take().identity == "id-1"
    assert confirms.confirm(3, multiple=False, keep=False) == 1
    assert confirms.is_empty


def test_a_refused_reading_is_tried_again() -> None:
    confirms = PublishConfirms(readings(1))
    confirms.take()
    confirms.refuse(1, multiple=False)
    assert not confirms.has_waiting
    confirms.try_again()
    assert confirms.take().identity == "id-0"


class OldBroker:
    """Speaks MQTT 3.1.1 only: refuses version 5 as RabbitMQ before 3.13 does, and acknowledges what is published."""

    def __init__(self) -> None:
        self.versions: list[int] = []
        self.published: list[bytes] = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.server.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                self._talk(connection, stream.read)

    def _talk(self, connection: socket.socket, read: "object") -> None:
        assert callable(read)
        while head := read(2):
            body = read(head[1])
            if head[0] >> 4 == 1:
                self.versions.append(body[6])
                connection.sendall(bytes([0x20, 2, 0, 0 if body[6] == 4 else 1]))
                if body[6] != 4:
                    return
            elif head[0] >> 4 == 3:
                topic = int.from_bytes(body[:2])
                self.published.append(body[4 + topic :])
                connection.sendall(bytes([0x40, 2]) + body[2 + topic : 4 + topic])


@pytest.fixture
def old_broker() -> Iterator[OldBroker]:
    broker = OldBroker()
    yield broker
    broker.server.close()


def test_a_broker_without_mqtt_5_gets_the_plain_number(old_broker: OldBroker) -> None:
    wanted = measure(order(count=250, protocol=MQTT), Random(1))
    sent: list[Reading] = []
    broker = Broker("127.0.0.1", 1, old_broker.port, 1, GUEST_CREDENTIALS)
    unheard = send(broker, order(protocol=MQTT), wanted, show=sent.append, stop=threading.Event())
    assert old_broker.versions == [5, 4]
    assert old_broker.published == [reading.value.encode() for reading in wanted]
    assert sent == list(wanted)
    assert not unheard


@pytest.mark.parametrize("protocol", [AMQP, MQTT])
def test_a_broker_that_is_not_up_is_an_error_that_tells_what_to_type(protocol: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    broker = Broker("127.0.0.1", port, port, port, GUEST_CREDENTIALS)
    wanted = order(protocol=protocol)
    with pytest.raises(BrokerError, match=f"{port}.*invoke up"):
        send(broker, wanted, measure(wanted, Random(1)), show=lambda _: None, stop=threading.Event())
