"""Calls of devices: kept, sent once the device is there and listens, and ended by its first answer, or by none in time.

A call is sent once for each session of its device. What is published to a device that does not listen, or is about to
lose its session, is lost without a word; so the broker is asked for both before, and tells when a session is gone.
"""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from math import inf
from threading import Lock
from typing import Protocol
from uuid import uuid4

from stack.contract import MQTT_EXCHANGE, parse_days
from stack.devices.call_store import MOST_UNDER_WAY, CallStore
from stack.devices.link import Delivery, Link, Publication
from stack.errors import BrokerError, ConflictError, DeviceError
from stack.plan.device_account import EVENTS
from stack.plan.device_call import ANSWERS, Call, CallRequest, CallState, read_answer, read_answer_key
from stack.processor.source.rabbitmq.field_table import to_text

_QUEUE = re.compile(r"mqtt-subscription-(.+)qos[01]")
# Seconds that the first try to send a call may take before its caller is told that it is queued.
_PATIENCE = 5.0
# Seconds between two looks at which calls are over.
_LOOK = 0.5
# A device that is slow to ask the broker about holds up those that share its thread.
_SENDERS = 4


class Wire(Protocol):
    """What calls need of the broker."""

    def hears(self, device: str) -> bool:
        """Return whether a device is connected and has subscribed to its calls.

        Raises:
            BrokerError: the broker does not answer.
        """

    def find_session(self, device: str) -> float | None:
        """Return since when a device's session at the broker has had what was sent to it; None if there is none.

        Raises:
            BrokerError: the broker does not answer.
        """

    def send(self, call: Call, seconds: float) -> bool:
        """Publish a call, which the broker drops when so many seconds are over; return whether a queue took it.

        Raises:
            BrokerError: it is not known whether the broker has taken it.
        """


class Calls:
    """All calls; `may_log_in` tells whether there is a device of a name."""

    def __init__(self, store: CallStore, wire: Wire, may_log_in: Callable[[str], bool]) -> None:
        self._store = store
        self._wire = wire
        self._may_log_in = may_log_in
        # One thread sends all of a device, so that no call is sent twice at a time, and each in its turn.
        self._senders = [ThreadPoolExecutor(1, "calls") for _ in range(_SENDERS)]
        self._submitted: dict[str, Future[None]] = {}
        # How many sessions of a device have ended.
        self._ends: Counter[str] = Counter()
        self._waiting: dict[str, list[Future[Call]]] = defaultdict(list)
        self._looked = 0.0
        # Devices whose calls wait for a broker that answers.
        self._missed: set[str] = set()
        self._lock = Lock()

    def listen(self, link: Link) -> None:
        """Have the link tell of answers, and of sessions."""
        link.on(MQTT_EXCHANGE, ANSWERS, self._take)
        link.on(EVENTS, "binding.created", self._note_binding)
        link.on(EVENTS, "queue.deleted", self._note_deletion)
        link.every(self._look_now_and_then)
        link.on_open(self._catch_up)

    def make(self, device: str, request: CallRequest, by: str, *, id: str = "") -> Call:
        """Keep a call, and send it if its device is there; one with the id of another is that one.

        Raises:
            DeviceError: there is no such device.
            ConflictError: it has too many calls under way.
        """
        if not self._may_log_in(device):
            raise DeviceError(f"There is no device {device} that may log in.")
        if id and (made := self._store.find(device, id)):
            return made
        now = time.time()
        expires = now + parse_days(request.expires)
        call = Call(id or uuid4().hex, device, request.method, request.data, by, now, expires)
        if not self._store.add(call):
            raise ConflictError(
                f"{device} has {MOST_UNDER_WAY} calls that it has not answered; wait until some are over."
            )
        with suppress(TimeoutError):
            self._submit(device).result(_PATIENCE)
        return self._store.find(device, call.id) or call

    def watch(self, call: Call) -> "Future[Call]":
        """Return what is done with the call when it is over."""
        future: Future[Call] = Future()
        with self._lock:
            self._waiting[call.id].append(future)
        # It may have been over before.
        now = self._store.find(call.device, call.id)
        if now is None or now.state.is_over:
            self._tell(now or call)
        return future

    def unwatch(self, call: Call, future: "Future[Call]") -> None:
        """Wait no longer."""
        with self._lock:
            if future in self._waiting.get(call.id, ()):
                self._waiting[call.id].remove(future)
                if not self._waiting[call.id]:
                    del self._waiting[call.id]

    def take_answer(self, key: str, body: bytes) -> None:
        """Note what came with a routing key of answers; the first answer of a call counts."""
        if found := read_answer_key(key):
            state, answer = read_answer(body)
            if call := self._store.end(*found, state=state, answer=answer, now=time.time()):
                self._tell(call)

    def note_arrival(self, device: str, _topic: str = "") -> Iterable[Publication]:
        """Send what waits for a device that came, or has subscribed to something."""
        if self._store.list_queued(device):
            self._submit(device)
        return ()

    def note_queue(self, queue: str, *, is_gone: bool) -> None:
        """Do what a queue of the broker's makes necessary that is bound, or gone, if it is that of a session."""
        if not (found := _QUEUE.fullmatch(queue)):
            return
        if is_gone:
            self._ends[found[1]] += 1
            self._store.requeue(found[1])
        self.note_arrival(found[1])

    def resume(self) -> None:
        """Catch up with what the broker has not told: sessions that came and went."""
        self._senders[0].submit(self._resume)

    def look(self) -> None:
        """End calls that had no answer in time, and try again what the broker could not be asked for."""
        for call in self._store.expire(time.time()):
            self._tell(call)
        for device in tuple(self._missed):
            self._submit(device)

    def forget(self, device: str) -> None:
        """Drop the calls of a device that is removed; who waits is told that there is no answer."""
        for call in self._store.forget(device):
            self._tell(replace(call, state=CallState.EXPIRED, ended=time.time()))

    def find(self, device: str, id: str) -> Call | None:
        """Return a call of a device."""
        return self._store.find(device, id)

    def list_last(self, device: str, count: int) -> list[Call]:
        """Return the last calls of a device, the newest first."""
        return self._store.list_last(device, count)

    def close(self) -> None:
        """Send nothing more."""
        for sender in self._senders:
            sender.shutdown(cancel_futures=True)

    def _take(self, delivery: Delivery) -> Iterable[Publication]:
        self.take_answer(delivery.key, delivery.body)
        return ()

    def _note_binding(self, delivery: Delivery) -> Iterable[Publication]:
        self.note_queue(to_text(delivery.headers.get("destination_name", "")), is_gone=False)
        return ()

    def _note_deletion(self, delivery: Delivery) -> Iterable[Publication]:
        self.note_queue(to_text(delivery.headers.get("name", "")), is_gone=True)
        return ()

    def _look_now_and_then(self) -> Iterable[Publication]:
        if (now := time.monotonic()) - self._looked > _LOOK:
            self._looked = now
            self.look()
        return ()

    def _catch_up(self) -> Iterable[Publication]:
        self.resume()
        return ()

    def _submit(self, device: str) -> "Future[None]":
        """Have what is queued for a device sent, once for all who ask for it meanwhile."""
        with self._lock:
            if not (future := self._submitted.get(device)):
                sender = self._senders[hash(device) % _SENDERS]
                self._submitted[device] = future = sender.submit(self._send_queued, device)
        return future

    def _send_queued(self, device: str) -> None:
        """Send what is queued, the oldest first; where the broker does not answer, it is tried again soon."""
        with self._lock:
            self._submitted.pop(device, None)
        self._missed.discard(device)
        ends = self._ends[device]
        try:
            if self._store.list_queued(device) and self._may_log_in(device) and self._wire.hears(device):
                self._send_all(device)
        except BrokerError:
            self._missed.add(device)
        if self._ends[device] != ends:
            # It may have gone to a session that has ended since that was looked for.
            self._store.requeue(device)
            self._submit(device)

    def _send_all(self, device: str) -> None:
        for call in self._store.list_queued(device):
            begun = time.time()
            if (left := call.expires - begun) > 0:
                if not self._wire.send(call, left):
                    return
                self._store.mark_sent(call, begun)

    def _resume(self) -> None:
        for device, is_sent in self._store.list_busy().items():
            try:
                if is_sent:
                    since = self._wire.find_session(device)
                    self._store.requeue(device, sent_before=inf if since is None else since)
            except BrokerError:
                # They stay as they are: to send them twice is worse.
                continue
            self._submit(device)

    def _tell(self, call: Call) -> None:
        with self._lock:
            futures = self._waiting.pop(call.id, [])
        for future in futures:
            if future.set_running_or_notify_cancel():
                future.set_result(call)
