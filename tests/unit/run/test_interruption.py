"""Ctrl-C and SIGTERM: a calm line, the shell's status, and what is put in order first."""

import os
import signal
import threading
import time

import pytest

from stack.errors import InterruptionError
from stack.run.interruption import interruptible, uninterrupted


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interruption_says_how_things_are(number: signal.Signals, status: int) -> None:
    steps = []
    expected = pytest.raises(InterruptionError, match=r"^Interrupted; a runs as before\.$")
    with expected as caught, interruptible("a runs as before."):
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        finally:
            steps.append("in order")
    assert (caught.value.status, steps) == (status, ["in order"])


def test_handler_of_before_is_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with interruptible("x"), uninterrupted():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_is_uninterrupted_comes_to_its_end() -> None:
    with uninterrupted():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)


def test_other_threads_are_sent_no_signal() -> None:
    done = []

    def work() -> None:
        with interruptible("x"), uninterrupted():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert done == [True]
