"""The thread that sends what is in outboxes, whatever the handler does meanwhile."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from importlib import import_module
from typing import Any

from stack.processor.configuration import Function
from stack.processor.output.message import OutputError, OutputMessage
from stack.processor.output.outbox import Outbox, Outputs, OutputSet
from stack.processor.output.target import Call, Target, needs_broker, open_targets
from stack.processor.threads import start_thread

# It brings pika, which functions without outputs at the broker do without.
_PUBLISHER = "stack.processor.output.publisher"
# Seconds more than a call may take, in which it says itself what was late.
_GRACE = 1.0
# Bytes of a message that a line shows.
_SHOWN = 500


class Sender:
    """Sends outboxes in their order: of each its calls first, and then, all at once, what goes to the broker."""

    def __init__(self, function: Function, targets: Mapping[str, Target]) -> None:
        self._targets = targets
        self._loop = asyncio.new_event_loop()
        self._line: deque[Outbox] = deque()
        self._work: asyncio.Task[None] | None = None
        self._publisher: Any = None
        if needs_broker(targets.values()):
            self._publisher = import_module(_PUBLISHER).open_publisher(function, targets, self._loop)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Connect."""
        self._thread = start_thread("outputs", self._run)

    def commit(self, outboxes: Sequence[Outbox]) -> None:
        """Send what is in some outboxes; each is told when all of it has arrived, or that it has not."""
        self._loop.call_soon_threadsafe(self._commit, outboxes)

    def send(self, outbox: Outbox) -> "Future[None]":
        """Send what is in one; the future is done when it is settled."""
        future: Future[None] = Future()

        def tell() -> None:
            if not future.done():
                future.set_result(None)

        outbox.on_settled = tell
        self.commit([outbox])
        return future

    def close(self, timeout: float) -> None:
        """Disconnect, in at most that many seconds."""
        self._loop.call_soon_threadsafe(self._close)
        if self._thread:
            self._thread.join(timeout)
        for target in self._targets.values():
            if target.close:
                target.close()

    def _run(self) -> None:
        if self._publisher:
            self._loop.call_soon(self._publisher.open)
        self._loop.run_forever()

    def _close(self) -> None:
        if self._publisher:
            self._publisher.close(self._loop.stop)
        else:
            self._loop.stop()

    def _commit(self, outboxes: Sequence[Outbox]) -> None:
        self._line.extend(outboxes)
        if self._work is None and not self._send_straight():
            self._work = self._loop.create_task(self._send_in_turn())

    def _send_straight(self) -> bool:
        """Publish what has no calls before it; return whether nothing is left."""
        ready: list[Outbox] = []
        while self._line and not any(self._targets[message.output].call for message in self._line[0].messages):
            ready.append(self._line.popleft())
        if ready:
            self._publisher.publish(ready)
        return not self._line

    async def _send_in_turn(self) -> None:
        """Make the calls of each outbox, and publish the rest of it, before the next one."""
        while not self._send_straight():
            outbox = self._line.popleft()
            try:
                for message in outbox.messages:
                    target = self._targets[message.output]
                    if target.call:
                        await _call(target, target.call, message)
                        outbox.note_sent()
            except Exception as error:
                known = isinstance(error, OutputError)
                outbox.note_failure(str(error) if known else f"the output {message.output}: {error!r}")
                continue
            if self._publisher:
                self._publisher.publish([outbox])
        self._work = None


async def _call(target: Target, call: Call, message: OutputMessage) -> None:
    """Make a call on a thread; one that takes more than its time is left to itself, as a server may drip for ever."""
    try:
        await asyncio.wait_for(asyncio.to_thread(call, message), target.timeout + _GRACE)
    except TimeoutError:
        raise OutputError(f"the output {target.name}: there was no answer within {target.timeout:g} s") from None


class LocalSender:
    """Sends nothing: each message is noted, where a function is tested or runs on its author's machine."""

    def __init__(self, note: Callable[[OutputMessage], object]) -> None:
        self._note = note

    def start(self) -> None:
        """Do nothing."""

    def close(self, timeout: float) -> None:
        """Do nothing."""

    def commit(self, outboxes: Sequence[Outbox]) -> None:
        """Note what is in some outboxes."""
        for outbox in outboxes:
            for message in outbox.messages:
                self._note(message)
                outbox.note_sent()

    def send(self, outbox: Outbox) -> "Future[None]":
        """Note what is in one."""
        self.commit([outbox])
        future: Future[None] = Future()
        future.set_result(None)
        return future


def describe(message: OutputMessage) -> str:
    """Return what was sent in a line."""
    where = f" {message.address}" if message.address else ""
    return f"output {message.output}{where}: {message.body[:_SHOWN].decode(errors='replace')}"


def open_outputs(function: Function, context: Any, note: Callable[[OutputMessage], object] | None = None) -> OutputSet:
    """Return the outputs of a function, which its handler has as `context.outputs`; with `note` nothing is sent.

    Raises:
        ConfigurationError: one is of no known kind, or needs what is not there.
    """
    targets = open_targets(function)
    if note is None and (function.reloads or not targets):
        note = lambda message: context.logger.info(describe(message))  # noqa: E731 -- the logger of the moment
    outputs = OutputSet(function, targets, LocalSender(note) if note else Sender(function, targets))
    context.outputs = Outputs(outputs)
    return outputs


def preload(function: Function) -> None:
    """Import what the outputs of a function need, so that all processes share one copy of it in memory."""
    if needs_broker(open_targets(function).values()):
        import_module(_PUBLISHER)
