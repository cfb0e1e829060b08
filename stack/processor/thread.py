"""Threads that must not end unnoticed."""

import os
import sys
import threading
import traceback
from collections.abc import Callable

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
