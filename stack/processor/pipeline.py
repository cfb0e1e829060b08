"""Events on their way through the process of a handler: several are sent ahead, so that it need not wait for the next.

The process handles them one at a time and in order. So only the first that has no outcome counts as being handled: its
clock runs, and it is what a death of the process is blamed on, once all that the process said before is read.
"""

import os
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import Lock
from time import monotonic
from typing import Any

from stack.processor.caller import Caller
from stack.processor.delivery import Delivery, DeliveryQueue, Lost, Source
from stack.processor.invocation import Invoker
from stack.processor.loop import LoopSharingQueue
from stack.processor.output.commit import Wakeup
from stack.processor.output.message import OutputError
from stack.processor.response import Response
from stack.processor.runtime.process import (
    LOG,
    NOTES,
    QUIT,
    RECALLED,
    REQUEST,
    Frame,
    HandlerProcess,
    describe_sent,
    is_late,
    is_sent_now,
    make_request,
    read_response,
    start_sending,
    take_note,
)
from stack.processor.threads import start_thread
from stack.processor.worker_spec import WorkerSpec

# Events that are sent ahead: as many as are this many seconds of work, at most so many, and so many bytes of bodies.
_WORK, MOST_AHEAD, _BYTES = 0.02, 512, 128 * 1024
_LAST_NUMBER = 0xFFFFFFFF
# What the author's code is told that a message could not be sent by.
_OUTPUT_ERROR = OutputError.__name__
# How much of the mean time of an event the latest one is.
_WEIGHT = 0.125


@dataclass(slots=True)
class _Entry:
    """An event that was sent, or, where there is an error, could not be made."""

    delivery: Delivery
    number: int
    caller: Caller | None = None
    size: int = 0
    error: Exception | None = None
    event: Any = None


@dataclass(frozen=True)
class _Response:
    """What became of a request; it does not wait its turn among deliveries, as the handler waits for it."""

    process: HandlerProcess
    head: list[Any]
    body: bytes

    def claim(self) -> bool:
        """Tell the process; there is nothing to handle."""
        self.process.write_response(self.head, self.body)
        return False


# What is among deliveries, and is none.
_NOTICES = (Wakeup, Lost, _Response)


class Pipeline:
    """Runs the events of one worker through the process of its handler."""

    def __init__(
        self,
        process: HandlerProcess,
        invoker: Invoker,
        queue: DeliveryQueue | LoopSharingQueue,
        *,
        context: Any,
        interval: float,
    ) -> None:
        self._process = process
        self._invoker = invoker
        self._queue = queue
        self._context = context
        self._interval = interval
        self._waiting: deque[Delivery] = deque()
        self._entries: deque[_Entry] = deque()
        # Messages of no event, on their way.
        self._late: set[Future[None]] = set()
        self._bytes = self._number = self._recalled = self._begun = 0
        self._mean, self._window = _WORK, 1
        self._began = 0.0
        self._is_open, self._is_ending, self._is_quitting = True, False, False
        self._lock = Lock()

    def attach(self) -> None:
        """Begin to read what the process says: on the loop of the source, before that runs, or else on a thread."""
        if isinstance(self._queue, LoopSharingQueue):
            self._queue.loop.add_reader(self._process, self._read_now)
        else:
            self._thread = start_thread("handler", self._read)

    def watch(self, spec: WorkerSpec) -> None:
        """Have those counted that wait for the handler."""
        spec.stats.watch(lambda: self._queue.size() + len(self._waiting) + max(0, len(self._entries) - 1))

    def serve(self, source: Source) -> int:
        """Handle all that comes until the source is closed; return the exit status."""
        flushed = 0.0
        while self._is_open or self._waiting or self._entries:
            # All that is there at once costs less than one by one.
            items = iter((self._queue.get(), *self._queue.get_left()))
            for item in items:
                if code := self._sort(item, source, left=items):
                    return code
            self._fill()
            if self._queue.is_empty() or monotonic() - flushed > self._interval:
                self._process.flush()
                self._invoker.flush()
                source.flush()
                flushed = monotonic()
        self._end()
        self._invoker.drain(source.flush)
        return 0

    def _sort(self, item: Any, source: Source, *, left: Iterator[Any]) -> int:
        """See to one thing from the queue; return the exit status if that ends the worker, else 0.

        `left` is what came behind it.
        """
        if isinstance(item, list):
            if not item:
                source.flush()
                self._give_back(left)
                return self._die()
            return 0 if self._take(item) else 1
        if item is None:
            self._is_open = False
        elif isinstance(item, _NOTICES):
            item.claim()
        else:
            self._waiting.append(item)
        return 0

    def _end(self) -> None:
        """See at once to what the process says from now on, on the thread that reads it: there are no events."""
        with self._lock:
            self._is_ending = True
        for item in self._queue.get_left():
            said: Any = item
            if isinstance(said, list):
                self._log(said)
            elif said:
                said.claim()

    def finish(self) -> None:
        """Let the process end once the author's code has nothing under way; the source is closed."""
        if isinstance(self._queue, LoopSharingQueue):
            self._process.finish(self._note)
        else:
            self._process.stop()
            self._thread.join()
        wait(list(self._late))

    def _fill(self) -> None:
        """Send as many events ahead as may be, and have those back that are not to be handled any more."""
        if len(self._entries) > 1 and _is_stale(self._entries[1]):
            self._recall()
        while self._waiting and len(self._entries) < self._window and (self._bytes < _BYTES or not self._entries):
            if self._entries and any(map(_is_alone, (self._waiting[0], self._entries[-1].delivery))):
                break
            delivery = self._waiting.popleft()
            if delivery.claim():
                self._send(delivery)
        if self._waiting or len(self._entries) >= self._window:
            self._process.flush()

    def _send(self, delivery: Delivery) -> None:
        self._number = (self._number + 1) & _LAST_NUMBER
        entry = _Entry(delivery, self._number)
        try:
            entry.event, entry.caller = self._invoker.read(delivery)
            entry.size = self._process.write(entry.event, entry.number)
        except Exception as error:
            entry.error = error
        self._bytes += entry.size
        self._entries.append(entry)
        if len(self._entries) == 1:
            self._begin()

    def _begin(self) -> None:
        """Note that the first event is being handled; one that could not be made has failed already."""
        while self._entries and not self._is_quitting:
            entry = self._entries[0]
            self._began = monotonic()
            self._invoker.begin(entry.delivery, entry.caller)
            if entry.error is None:
                self._invoker.open_outbox([(entry.delivery, entry.event)])
                return
            self._entries.popleft()
            self._invoker.fail(entry.delivery, entry.error)

    def _take(self, frames: list[Frame]) -> bool:
        """See to what the process has said; return whether it can be believed."""
        for frame in frames:
            if frame.letter in NOTES:
                self._take_note(frame)
                continue
            if not self._entries or frame.number != self._entries[0].number:
                self._context.logger.error_with(
                    "The handler's process answers another event than the first", number=frame.number
                )
                return False
            entry = self._entries.popleft()
            self._bytes -= entry.size
            self._mean += (monotonic() - self._began - self._mean) * _WEIGHT
            try:
                response = read_response(frame)
                if entry.error:
                    raise entry.error
            except Exception as error:
                self._invoker.fail(entry.delivery, error)
            else:
                if isinstance(response, Response):
                    self._invoker.settle(entry.delivery, response)
                else:
                    self._invoker.answer(entry.delivery, response)
            self._begin()
        self._window = max(1, min(MOST_AHEAD, int(_WORK / max(self._mean, 1e-9))))
        return True

    def _take_note(self, frame: Frame) -> None:
        if frame.letter == QUIT:
            self._quit(*frame.head)
        elif frame.letter == RECALLED:
            self._drop(frozenset(frame.head))
        else:
            self._note(frame)

    def _recall(self) -> None:
        """Have events that are sent ahead, and that the broker delivers again, not begin."""
        numbers = [entry.number for entry in self._entries if _is_stale(entry)]
        if numbers[-1] != self._recalled:
            self._recalled = numbers[-1]
            self._process.recall(numbers)

    def _drop(self, numbers: frozenset[int]) -> None:
        """Forget events that will not begin; the first may count as begun where one has just ended."""
        entries = self._entries
        has_begun = bool(entries) and entries[0].number in numbers and not self._is_quitting
        if has_begun:
            self._invoker.release(entries[0].delivery)
        self._bytes -= sum(entry.size for entry in entries if entry.number in numbers)
        self._entries = deque(entry for entry in entries if entry.number not in numbers)
        if has_begun:
            self._begin()

    def _quit(self, is_cause: bool, number: int) -> None:
        """Begin none but the event of a number, as the process does: it ends, perhaps because of that."""
        if self._entries and not is_cause and not self._is_quitting:
            self._invoker.release(self._entries[0].delivery)
        self._is_quitting, self._begun = True, number

    def _give_back(self, left: Iterator[Any]) -> None:
        """Have another worker handle what has not begun, where no broker delivers it again."""
        sent = self._entries if self._is_quitting else ()
        unbegun = [entry.delivery for entry in sent if entry.number != self._begun]
        for delivery in (*unbegun, *self._waiting, *left, *self._queue.get_left()):
            if give_back := getattr(delivery, "give_back", None):
                give_back()

    def _note(self, frame: Frame) -> None:
        """See to what is logged or sent; what cannot be sent fails the event that is being handled, if it is of one."""
        try:
            if is_late(frame):
                future = start_sending(self._context, frame.head, content=frame.body, tell=self._tell_lost)
                self._late.add(future)
                future.add_done_callback(self._late.discard)
            elif is_sent_now(frame):
                self._send_now(frame)
            elif frame.letter == REQUEST:
                start_thread("request", partial(self._request, frame))
            else:
                take_note(self._context, frame)
        except Exception as error:
            if frame.letter == LOG:
                # Standard output may be closed, or full.
                return
            if frame.head[0] or not self._entries:
                self._tell_lost(str(error))
            else:
                self._entries[0].error = error

    def _request(self, frame: Frame) -> None:
        """Make a request, and have this worker's main thread, which alone writes to the process, say what came."""
        self._respond(*make_request(self._context, frame))

    def _send_now(self, frame: Frame) -> None:
        """Send what is to leave whatever becomes of its event, and have the process told when it has arrived."""
        number, _, *head = frame.head
        errors: list[str] = []
        try:
            future = start_sending(self._context, head, content=frame.body, tell=errors.append)
        except Exception as error:
            self._respond(*describe_sent(number, type(error).__name__, str(error)))
            return
        future.add_done_callback(lambda _: self._respond(*describe_sent(number, _OUTPUT_ERROR, *errors[:1])))

    def _respond(self, head: list[Any], body: bytes) -> None:
        response: Any = _Response(self._process, head, body)
        with self._lock:
            if not self._is_ending:
                self._queue.put(response)
                return
        response.claim()

    def _tell_lost(self, reason: str) -> None:
        self._context.logger.error_with("What was sent outside of an event is lost", reason=reason)

    def _log(self, frames: list[Frame]) -> None:
        for frame in frames:
            self._note(frame)

    def _read_now(self) -> None:
        frames = self._process.read(waits=False)
        if frames is None and isinstance(self._queue, LoopSharingQueue):
            self._queue.loop.remove_reader(self._process)
        if frames is None or frames:
            self._pass_on(frames)

    def _read(self) -> None:
        while (frames := self._process.read()) is not None:
            if frames:
                self._pass_on(frames)
        self._pass_on(None)

    def _pass_on(self, frames: list[Frame] | None) -> None:
        """Hand over what the process said in its place among deliveries; nothing is its end."""
        said: Any = frames or []
        with self._lock:
            if not self._is_ending:
                self._queue.put(said)
                return
        self._log(said)

    def _die(self) -> int:
        """End as the process has ended, so that the supervisor says the same of this one."""
        code = self._process.exit_code
        if code < 0:
            with suppress(OSError):
                signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        return code or 1


def _is_alone(delivery: Delivery) -> bool:
    return bool(getattr(delivery, "is_alone", False))


def _is_stale(entry: _Entry) -> bool:
    return bool(getattr(entry.delivery, "is_stale", False))
