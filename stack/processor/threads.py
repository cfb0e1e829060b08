"""Threads that must not end unnoticed, and the signal to stop on its way from the supervisor to a process's source."""

import os
import sys
import threading
import traceback
from collections.abc import Callable

from stack.processor.delivery import Source

# EX_SOFTWARE of sysexits.h: the supervisor replaces a process that ends with it as any other.
_BROKEN_EXIT = 70


def start_thread(name: str, work: Callable[[], None]) -> threading.Thread:
    """Start a thread; an error in it ends the process, since a worker with a dead I/O thread would be deaf for ever."""
    thread = threading.Thread(target=_guard, args=(name, work), name=name, daemon=True)
    thread.start()
    return thread


def _guard(name: str, work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:
        sys.stderr.write(f"the thread {name} ended; its process ends too, and is replaced:\n{traceback.format_exc()}")
        sys.stderr.flush()
        os._exit(_BROKEN_EXIT)


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
