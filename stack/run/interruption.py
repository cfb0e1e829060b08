"""Interruption: Ctrl-C and SIGTERM end a task in order, with one calm line."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from stack.errors import InterruptionError

Handler = Callable[[int, FrameType | None], Any] | int


@contextmanager
def interruptible(message: str) -> Iterator[None]:
    """Make Ctrl-C and SIGTERM unwind the block like any error, and say at its end how things are.

    Raises:
        InterruptionError: one of the two came; its status is the one that shells give to that signal.
    """
    try:
        with _handling({signal.SIGTERM: _end}):
            yield
    except _Terminated:
        raise InterruptionError(f"Interrupted; {message}", signal.SIGTERM) from None
    except KeyboardInterrupt:
        raise InterruptionError(f"Interrupted; {message}", signal.SIGINT) from None


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Finish the block whatever comes: it is short, and puts things in order."""
    with _handling({signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_IGN}):
        yield


@contextmanager
def _handling(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Handle signals so for the length of the block; only the main thread of a program can, and is sent them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated
