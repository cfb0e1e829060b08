"""Which of several replicas is on duty: the one that consumes a queue of the stack's broker, where no message comes.

The broker lets one alone consume it, and lets the next one in when the connection ends, however that comes about.
"""

import threading
from typing import Any

from pika import BlockingConnection, URLParameters
from pika.exceptions import AMQPError, ChannelClosedByBroker

from stack.processor.source.delay import Delays
from stack.processor.thread import start_thread

# Seconds between two looks whether someone has the queue.
_AGAIN = 1.0
# Milliseconds: nothing else removes a queue that outlived, with the broker, all who wanted it.
_UNUSED = {"x-expires": 60_000}
# Seconds: a holder whose network is cut is off duty, for the broker, after two of these.
_HEARTBEAT = 5
_LONGEST_DELAY = 15.0
_ACCESS_REFUSED = 403


class Lock:
    """Held by one connection at a time.

    While the broker is away no one can tell who is there: then the one that held it goes on holding it, and one that
    was refused stays off duty; one that has not reached the broker yet takes itself for the only one.
    """

    def __init__(self, url: str, queue: str) -> None:
        self.is_held = True
        self._queue = queue
        self._parameters = URLParameters(url)
        self._parameters.heartbeat = _HEARTBEAT
        self._parameters.client_properties = {"connection_name": queue}
        self._is_settled = threading.Event()
        self._is_stopped = threading.Event()
        self._delays = Delays(_LONGEST_DELAY)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Try to get it, again and again."""
        self._thread = start_thread("lock", self._run)

    def settle(self) -> None:
        """Wait until it is known whether it is held, as far as that can be known."""
        self._is_settled.wait()

    def close(self, timeout: float) -> None:
        """Let go of it."""
        self._is_stopped.set()
        if self._thread:
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._is_stopped.is_set():
            try:
                with BlockingConnection(self._parameters) as connection:
                    self._delays.reset()
                    self._hold(connection)
            except (AMQPError, OSError):
                self._is_settled.set()
                self._is_stopped.wait(self._delays.next())

    def _hold(self, connection: Any) -> None:
        """Get it as soon as it is free, and keep it while the connection lasts."""
        channel = connection.channel()
        while not self._is_stopped.is_set():
            if not channel.is_open:
                channel = connection.channel()
            self.is_held = bool(channel.consumer_tags) or self._take(channel)
            self._is_settled.set()
            connection.process_data_events(0)
            self._is_stopped.wait(_AGAIN)

    def _take(self, channel: Any) -> bool:
        """Return whether the broker lets this connection have the queue.

        It is asked only when no one is there: each refusal is an error in the broker's log.

        Raises:
            ChannelClosedByBroker: the account may not use the queue, so that no one can tell who is there.
        """
        try:
            found = channel.queue_declare(self._queue, durable=True, auto_delete=True, arguments=_UNUSED)
            if found.method.consumer_count:
                return False
            channel.basic_consume(self._queue, _ignore, auto_ack=True, exclusive=True)
        except ChannelClosedByBroker as error:
            if error.reply_code == _ACCESS_REFUSED:
                raise
            return False
        return True


def _ignore(*_message: object) -> None:
    """Take what someone may send there."""
