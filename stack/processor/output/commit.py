"""Events whose messages are on their way: when all have arrived, their deliveries are told that they are handled.

A broker's next message need not wait for that. So the outboxes of fast events are sent in groups, and deliveries are
told later, in their order; those of events that sent nothing wait behind those that did.
"""

from collections import deque
from collections.abc import Callable
from time import sleep
from typing import NamedTuple

from stack.processor.delivery import Delivery, Failure
from stack.processor.output.outbox import Outbox, Sends
from stack.processor.request import Reply
from stack.processor.response import Response

_LOOK = 0.002


class Ended(NamedTuple):
    """An event that the handler is done with; `outbox` is what is to be sent first, if anything."""

    delivery: Delivery
    response: Response
    failure: Failure | None
    outbox: Outbox | None
    reply: Reply | None = None
    """Where the response goes too, if all has gone well."""

    def tell(self) -> None:
        """Tell the delivery what became of it."""
        if self.failure:
            self.delivery.failed(self.response, self.failure)
        else:
            self.delivery.done(self.response)


class CommitQueue:
    """The events of one worker; all methods are for its main thread."""

    def __init__(self, sender: Sends, tell: Callable[[Ended], None], put: Callable[[Delivery], None]) -> None:
        self._sender = sender
        self._tell = tell
        self._put = put
        self._ended: deque[Ended] = deque()
        self._held: list[Outbox] = []
        self._wakeup = Wakeup(self)
        self.is_woken = False

    def hold(self, ended: Ended) -> bool:
        """Keep an event until its messages and all before it are settled; return whether it was kept."""
        delivery, outbox = ended.delivery, ended.outbox
        leave_handler = getattr(delivery, "leave_handler", None)
        if not (outbox or self._ended) or not leave_handler:
            return False
        leave_handler()
        if outbox and outbox.on_settled is None:
            outbox.on_settled = self._wake
            self._held.append(outbox)
        self._ended.append(ended)
        return True

    def flush(self) -> None:
        """Send what the events that are kept have left."""
        if self._held:
            self._sender.commit(self._held)
            self._held = []

    def settle(self) -> None:
        """Tell of each event whose messages have arrived, up to the first of which that is not known."""
        self.is_woken = False
        ended = self._ended
        while ended and (ended[0].outbox is None or ended[0].outbox.is_settled):
            self._tell(ended.popleft())

    def drain(self, pass_on: Callable[[], object]) -> None:
        """Wait until all is told; `pass_on` sends what was told on its way, while others are waited for."""
        self.flush()
        while left := len(self._ended):
            sleep(_LOOK)
            self.settle()
            if len(self._ended) < left:
                pass_on()

    def _wake(self) -> None:
        """Have the main thread settle; called on the sender's thread."""
        if not self.is_woken:
            self.is_woken = True
            self._put(self._wakeup)


class Wakeup:
    """What looks like a delivery to the main thread, and is none."""

    message = None

    def __init__(self, queue: CommitQueue) -> None:
        self._queue = queue

    def hold(self) -> None:
        """Do nothing."""

    def claim(self) -> bool:
        """Settle; there is nothing to handle."""
        self._queue.settle()
        return False

    def done(self, response: Response) -> None:
        """Do nothing."""

    def failed(self, response: Response, failure: Failure) -> None:
        """Do nothing."""
