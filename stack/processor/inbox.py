"""Deliveries on their way from the I/O thread to the worker's main thread."""

import asyncio
from queue import Empty, SimpleQueue

from stack.processor.delivery import Delivery


class DeliveryQueue:
    """A queue for a main thread that waits by blocking.

    SimpleQueue is written in C: putting does not switch threads, so that all that one read of a socket brought is
    queued before the handler's thread wakes.
    """

    # Its worker has made it.
    is_served = True

    def __init__(self) -> None:
        self._queue: SimpleQueue[Delivery | None] = SimpleQueue()
        self.put = self._queue.put
        self.get = self._queue.get
        self.is_empty = self._queue.empty
        self.size = self._queue.qsize

    def take(self, timeout: float) -> Delivery | None:
        """Take the next delivery; None after the last, and again whenever asked.

        Raises:
            queue.Empty: none came within that many seconds.
        """
        delivery = self._queue.get(timeout=timeout)
        if delivery is None:
            self.close()
        return delivery

    def close(self) -> None:
        """Let the one who takes get None after all else."""
        self._queue.put(None)


class AsyncDeliveryQueue:
    """A queue for a main thread that waits in an event loop, where the user's tasks go on meanwhile."""

    is_served = True

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: SimpleQueue[Delivery | None] = SimpleQueue()
        self._waiter: asyncio.Future[None] | None = None
        self.is_empty = self._queue.empty
        self.size = self._queue.qsize

    def put(self, delivery: Delivery | None) -> None:
        """Hand over one delivery; wake the loop only if it waits."""
        self._queue.put(delivery)
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            self._loop.call_soon_threadsafe(_wake, waiter)

    def close(self) -> None:
        """Let the one who takes get None after all else."""
        self.put(None)

    async def take(self, timeout: float) -> Delivery | None:
        """Take the next delivery; None after the last, and again whenever asked.

        Raises:
            queue.Empty: none came within that many seconds.
        """
        try:
            delivery = await asyncio.wait_for(self.get(), timeout)
        except TimeoutError:
            raise Empty from None
        if delivery is None:
            self.close()
        return delivery

    async def get(self) -> Delivery | None:
        """Take the next delivery; None after the last."""
        while True:
            try:
                return self._queue.get_nowait()
            except Empty:
                self._waiter = waiter = self._loop.create_future()
                # What came between the two lines above has seen no waiter.
                if self._queue.empty():
                    await waiter


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
