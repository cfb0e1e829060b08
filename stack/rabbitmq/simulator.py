"""The simulator: devices that send readings until they are told to stop, as `invoke client` sends so many."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from time import time
from typing import Any

from stack.errors import StackError
from stack.plan.device import AMQP, BOTH, MQTT, Reading, SendRequest, check_request, measure
from stack.rabbitmq.device import send
from stack.rabbitmq.management import Broker

# What a person may ask for.
MOST_SENSORS, FASTEST, SLOWEST = 50, 100.0, 0.1
# Readings are sent in rounds, each of whole waves of all sensors: a short one first, which tells soon whether anybody
# listens, then longer ones of about so many seconds, and of not more readings than memory has room for.
_FIRST_SECONDS, _ROUND_SECONDS, _MOST, _WAVE = 10.0, 600.0, 10_000, 20
# Seconds until a broker that cannot be reached is tried again; and that a device has to end.
_AGAIN, _PATIENCE = 3.0, 5.0


@dataclass(frozen=True)
class SimulationRequest:
    """What is to be simulated: so many sensors, and so many readings a second of all of them, over each protocol."""

    protocol: str
    sensors: int
    rate: float

    def order(self, seconds: float) -> SendRequest:
        """Return a round of about so many seconds."""
        wave = _WAVE * self.sensors
        waves = max(1, round(min(self.rate * seconds, _MOST) / wave))
        return SendRequest(wave * waves, self.rate, self.protocol, self.sensors)


@dataclass
class _Run:
    """One simulation: a thread for each protocol."""

    request: SimulationRequest
    since: float = field(default_factory=time)
    sent: int = 0
    unheard: int = 0
    problem: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    @property
    def is_running(self) -> bool:
        return any(thread.is_alive() for thread in self.threads)


class Simulator:
    """One simulation at a time; any thread may ask."""

    def __init__(self, find: Callable[[], Broker]) -> None:
        self._find = find
        self._run: _Run | None = None
        self._lock = threading.Lock()
        self._counting = threading.Lock()

    def start(self, request: SimulationRequest) -> None:
        """Begin to send readings.

        Raises:
            StackError: the request is out of range, or a simulation runs.
        """
        check_simulation(request)
        with self._lock:
            if self._run and self._run.is_running:
                raise StackError("The simulator runs already; stop it first.")
            run = self._run = _Run(request)
            for protocol in request.order(_FIRST_SECONDS).protocols:
                arguments = (run, replace(request, protocol=protocol))
                run.threads.append(threading.Thread(target=self._send, args=arguments, daemon=True))
            for thread in run.threads:
                thread.start()

    def stop(self) -> None:
        """Send no more; return when nothing is sent."""
        with self._lock:
            if self._run:
                self._run.stop.set()
                for thread in self._run.threads:
                    thread.join(_PATIENCE)

    def describe(self) -> dict[str, Any]:
        """Return how it is, for the pages."""
        run = self._run
        if not run:
            return {"running": False, "sent": 0, "unheard": 0, "problem": "", "since": None}
        request = {"protocol": run.request.protocol, "sensors": run.request.sensors, "rate": run.request.rate}
        told = {"sent": run.sent, "unheard": run.unheard, "problem": run.problem, "since": run.since}
        return {"running": run.is_running, **request, **told}

    def _send(self, run: _Run, request: SimulationRequest) -> None:
        def count(_reading: Reading) -> None:
            with self._counting:
                run.sent += 1
            run.problem = ""

        seconds = _FIRST_SECONDS
        while not run.stop.is_set():
            order = request.order(seconds)
            try:
                unheard = send(self._find(), order, measure(order, Random()), show=count, stop=run.stop)
                with self._counting:
                    run.unheard += len(unheard)
                seconds = _ROUND_SECONDS
            except StackError as error:
                run.problem = str(error)
                run.stop.wait(_AGAIN)


def check_simulation(request: SimulationRequest) -> None:
    """Make sure that a request can be met.

    Raises:
        StackError: it is out of range.
    """
    if not 1 <= request.sensors <= MOST_SENSORS:
        raise StackError(f"Sensors: should be 1 to {MOST_SENSORS}.")
    if not (math.isfinite(request.rate) and SLOWEST <= request.rate <= FASTEST):
        raise StackError(f"Rate: should be {SLOWEST:g} to {FASTEST:g} readings a second.")
    check_request(request.order(_FIRST_SECONDS), (AMQP, MQTT, BOTH))
