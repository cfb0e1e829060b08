"""The moment after a broker's restart in which a queue takes back what lost connections had.

A quorum queue that is started again learns a little late that its consumers are gone, and gives their messages to
others only then. Whoever consumes it sooner gets the messages behind those first.
"""

from collections.abc import Callable
from typing import Any

# Seconds between two looks at the queue; how many looks there are at least, since a queue that has only begun to start
# says that it has no consumers, and at most, since others may consume it as well.
_LOOK, _FEWEST, _MOST = 0.25, 3, 9


def await_return(channel: Any, queue: str, done: Callable[[], None], looks: int = 1) -> None:
    """Call `done` when a queue has no consumers any more, after 0.5 to 2 seconds; never if the channel closes."""

    def decide(frame: Any) -> None:
        if looks >= _MOST or (looks >= _FEWEST and not frame.method.consumer_count):
            done()
        else:
            channel.connection.ioloop.call_later(_LOOK, look_again)

    def look_again() -> None:
        await_return(channel, queue, done, looks + 1)

    if channel.is_open:
        channel.queue_declare(queue, passive=True, callback=decide)
