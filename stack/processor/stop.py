"""The order to stop, on its way from the supervisor to the source of a process."""

import os
import threading

from stack.processor.delivery import Source


class StopSignal:
    """The order, which may come before there is a source to tell."""

    def __init__(self) -> None:
        self._source: Source | None = None
        self._is_given = threading.Event()

    def attach(self, source: Source) -> None:
        """Name the source to stop."""
        self._source = source
        if self._is_given.is_set():
            source.stop()

    def give(self) -> None:
        """Stop; a process that has not come up yet ends at once."""
        self._is_given.set()
        if self._source is None:
            os._exit(0)
        self._source.stop()

    def wait(self) -> None:
        """Wait until the order is given."""
        self._is_given.wait()
