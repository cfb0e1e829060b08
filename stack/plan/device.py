"""The device: what it is asked to send, and the temperatures that it measures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from stack.errors import StackError

AMQP, MQTT, BOTH = "amqp", "mqtt", "both"
EXCHANGE, ROUTING_KEY = "iot/sensors", "temperature"
TOPIC = "iot/sensors/temperature"

# Degrees Celsius. The wave is above 25, where temperaturealert speaks up, for a quarter of its period, and the mean of
# five readings crosses that too, so that twenty readings of one sensor make both kinds of alert.
_MIDDLE, _SWING, _NOISE = 20.0, 8.0, 0.4
_PERIOD = 20


@dataclass(frozen=True)
class Reading:
    """One temperature of one sensor; `identity` is unique, and comes back with the feedback."""

    identity: str
    sensor: str
    value: str


@dataclass(frozen=True)
class SendRequest:
    """What to send: so many readings, so many a second (0: as fast as it can), of so many sensors in turn."""

    count: int
    rate: float
    protocol: str
    sensors: int

    @property
    def protocols(self) -> tuple[str, ...]:
        """Return each protocol that the readings go over."""
        return (AMQP, MQTT) if self.protocol == BOTH else (self.protocol,)


def count_readings(count: int) -> str:
    """Say in words how many readings there are."""
    return "1 reading" if count == 1 else f"{count} readings"


def check_request(order: SendRequest, known: Sequence[str] = (AMQP, MQTT)) -> SendRequest:
    """Return the order, if it makes sense.

    Raises:
        StackError: an option is out of its range.
    """
    if order.count < 1:
        raise StackError(f"--count {order.count}: should be 1 or more.")
    if not (math.isfinite(order.rate) and order.rate >= 0):
        raise StackError(f"--rate {order.rate:g}: should be 0 (as fast as it can) or more, in readings a second.")
    if order.protocol not in known:
        raise StackError(f"--protocol {order.protocol}: should be {' or '.join(known)}.")
    if order.sensors < 1:
        raise StackError(f"--sensors {order.sensors}: should be 1 or more.")
    return order


def measure(order: SendRequest, random: Random) -> tuple[Reading, ...]:
    """Make the readings of an order: a slow wave for each sensor, each at its own phase, and noise."""
    run = f"{random.getrandbits(48):012x}"
    return tuple(
        Reading(f"{run}-{number}", f"sensor-{number % order.sensors + 1}", _temperature(order, number, random=random))
        for number in range(order.count)
    )


def _temperature(order: SendRequest, number: int, *, random: Random) -> str:
    turn, sensor = divmod(number, order.sensors)
    angle = 2 * math.pi * (turn / _PERIOD + sensor / order.sensors)
    return f"{_MIDDLE + _SWING * math.sin(angle) + random.gauss(0, _NOISE):.1f}"
