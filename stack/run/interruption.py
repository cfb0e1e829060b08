"""Interruption: Ctrl-C and SIGTERM end a task in order, with one calm line."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from stack.errors import InterruptionError


@contextmanager
def interruptible(message: str) -> Iterator[None]:
    """Make Ctrl-C and SIGTERM unwind the block like any error, and say at its end how things are.

    Raises:
        InterruptionError: one of the two came; its status is the one that shells give to that signal.
    """
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    except _Terminated:
        raise InterruptionError(f"Interrupted; {message}", signal.SIGTERM) from None
    except KeyboardInterrupt:
        raise InterruptionError(f"Interrupted; {message}", signal.SIGINT) from None
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Finish the block whatever comes: it is short, and puts things in order."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class _Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated
