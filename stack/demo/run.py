"""The demo at work: a device for each protocol on a thread of its own, and a listener for what comes back."""

import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Protocol

from stack import console
from stack.demo.report import Report
from stack.plan.demo import Scoreboard, read_alert
from stack.plan.device import Reading, SendRequest, measure
from stack.plan.feedback import IS_DURABLE, LOGS
from stack.rabbitmq.device import send
from stack.rabbitmq.listener import Listener, Message, Queue
from stack.rabbitmq.management import Broker

ALERTS = "iot/alerts"

# Both without a limit: what is not of this demo stays unacknowledged until the end, and must not fill a window.
_QUEUES = (Queue(LOGS, IS_DURABLE, is_exclusive=True, prefetch=0), Queue(ALERTS, durable=True, prefetch=0))
# Seconds without a reading sent or answered after which the rest counts as lost.
_PATIENCE = 30.0
# Seconds that temperaturealert may take to catch up, and that an alert may be on its way.
_ALERT_PATIENCE, _ALERT_WAY = 10.0, 0.2
_LOOK = 0.1


class Clock(Protocol):
    """Measures a part of the demo."""

    def measure(self, part: str) -> AbstractContextManager[None]:
        """Add the time that the block takes to a part."""


class DemoRun:
    """One run of readings; other people's messages on the two queues are left there."""

    def __init__(self, broker: Broker, order: SendRequest, report: Report) -> None:
        self._broker = broker
        self._order = order
        self._report = report
        self._since = datetime.now(UTC)
        self._stop = threading.Event()
        self._progress = 0.0
        self._readings = {one: measure(replace(order, protocol=one), Random()) for one in order.protocols}
        self._scoreboard = Scoreboard(self._readings)

    def run(self, alert_queues: Collection[str], clock: Clock) -> Scoreboard:
        """Send all, and listen until each reading has its feedback or nothing moves any more.

        Raises:
            BrokerError: the broker cannot be reached, or another program takes the feedback.
        """
        with Listener(self._broker, _QUEUES, told=console.warn) as listener:
            self._scoreboard.skip(listener.waiting[LOGS])
            with clock.measure("messages"), self._report:
                self._exchange(listener)
            self._wait_for_alerts(listener, alert_queues)
        return self._scoreboard

    def stop(self) -> None:
        """Have the devices send no more; what they sent is waited for. Any thread may ask."""
        self._stop.set()

    def _exchange(self, listener: Listener) -> None:
        self._progress = time.monotonic()
        with ThreadPoolExecutor(thread_name_prefix="device") as pool:
            try:
                devices = [pool.submit(self._send, protocol) for protocol in self._readings]
                while not self._is_over(devices):
                    self._take(listener, _LOOK)
            finally:
                self._stop.set()

    def _is_over(self, devices: Sequence["Future[Sequence[Reading]]"]) -> bool:
        """Return whether there is nothing to wait for; an error of a device is raised here."""
        # Asked first, so that none of those that count as done fails without being looked at.
        are_done = all(device.done() for device in devices)
        unheard = sum(_count_unheard(device) for device in devices)
        if are_done and self._scoreboard.owed <= unheard:
            return True
        return time.monotonic() > self._progress + _PATIENCE

    def _send(self, protocol: str) -> Sequence[Reading]:
        order = replace(self._order, protocol=protocol)
        return send(self._broker, order, self._readings[protocol], show=self._note_sent, stop=self._stop)

    def _note_sent(self, reading: Reading) -> None:
        self._progress = time.monotonic()
        self._scoreboard.note_sent(reading, self._progress)
        self._report.show_sent(reading)

    def _take(self, listener: Listener, seconds: float) -> int:
        """Take in what arrived; return how many messages of this demo that were."""
        own = [message for message in listener.receive(seconds) if self._note(message)]
        listener.acknowledge(own)
        self._report.show_progress(self._scoreboard)
        return len(own)

    def _note(self, message: Message) -> bool:
        """Note a message; say whether it is of this demo."""
        if message.queue == ALERTS:
            alert = read_alert(message.text, self._since)
            if alert:
                self._scoreboard.alerts += 1
                self._report.show_alert(alert)
            return alert is not None
        is_own, answer = self._scoreboard.note_feedback(message.text, message.correlation, time=message.time)
        if answer:
            self._progress = message.time
            self._report.show_answer(answer)
        return is_own

    def _wait_for_alerts(self, listener: Listener, queues: Collection[str]) -> None:
        """Give the alerts of the last readings the time that they need."""
        deadline = time.monotonic() + _ALERT_PATIENCE
        while time.monotonic() < deadline:
            waiting = self._broker.queues()
            if not any(waiting.get(queue) for queue in queues):
                break
            self._take(listener, _LOOK)
        while self._take(listener, _ALERT_WAY):
            continue


def _count_unheard(device: "Future[Sequence[Reading]]") -> int:
    return len(device.result()) if device.done() else 0
