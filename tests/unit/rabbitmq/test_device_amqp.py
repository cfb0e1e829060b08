"""The device over AMQP, stopped while its connection is being opened."""

from stack.plan.broker import GUEST_CREDENTIALS
from stack.plan.device import Reading
from stack.rabbitmq.device_amqp import AmqpDevice
from stack.rabbitmq.management import Broker


class Connection:
    """Notes what is asked of it; it is still being opened."""

    is_open = is_closed = False

    def __init__(self) -> None:
        self.asked: list[str] = []

    def channel(self, **_: object) -> None:
        self.asked.append("channel")

    def close(self) -> None:
        self.asked.append("close")


def open_late(*, is_stopped: bool) -> list[str]:
    device = AmqpDevice(Broker("here", 1, 1, 1, GUEST_CREDENTIALS), [Reading("a", "sensor-1", "20.0")], 0, print)
    device._connection = connection = Connection()
    if is_stopped:
        device._end()
    device._on_open(connection)
    return connection.asked


def test_a_connection_that_comes_about_after_the_end_is_closed() -> None:
    assert open_late(is_stopped=False) == ["channel"]
    assert open_late(is_stopped=True) == ["close"]
