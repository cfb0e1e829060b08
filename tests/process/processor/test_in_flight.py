"""What is remembered of a worker that died with messages in progress."""

import os
import signal
import threading
import time
from collections.abc import Callable

from stack.processor.in_flight import CrashLedger, InFlight, NothingInFlight, fingerprint_message
from tests.process.processor.running import PATIENCE


def test_messages_that_differ_have_marks_that_differ() -> None:
    fingerprints = {fingerprint_message(key, body) for key, body in (("k", b"1"), ("k", b"2"), ("other", b"1"))}
    assert len(fingerprints) == 3 and 0 not in fingerprints
    assert fingerprint_message("k", b"1") == fingerprint_message("k", bytes([49]))


def test_another_worker_learns_what_a_dead_one_had_in_progress() -> None:
    ledger = CrashLedger()
    dead, alive = InFlight(ledger), InFlight(ledger)
    child = os.fork()
    if not child:
        for fingerprint in (1, 2, 3):
            dead.hold(fingerprint)
        dead.release()
        os._exit(0)
    os.waitpid(child, 0)
    assert dead.attribute("it died")
    assert [alive.take_crash(fingerprint) for fingerprint in (1, 2, 3)] == ["it died", "it died", ""]
    assert alive.take_crash(1) == ""
    assert not dead.attribute("again")


def test_what_a_dead_worker_was_to_see_to_another_does() -> None:
    ledger = CrashLedger()
    first, second, alive = InFlight(ledger), InFlight(ledger), InFlight(ledger)
    first.hold(1)
    first.attribute("it died")
    child = os.fork()
    if not child:
        second.own()
        os._exit(second.take_crash(1) != "it died")
    assert os.waitpid(child, 0)[1] == 0
    assert alive.take_crash(1) == ""
    second.attribute("it died too")
    assert alive.take_crash(1) == "it died"
    alive.resolve_crash(1)
    alive.attribute("and the last")
    assert alive.take_crash(1) == ""


def hold_in_process(in_flight: InFlight, fingerprint: int) -> int:
    """Start a process with a message in progress, and return its number once it has it."""
    child = os.fork()
    if not child:
        in_flight.own()
        in_flight.hold(fingerprint)
        signal.pause()
    wait_until(lambda: in_flight.has(fingerprint))
    return child


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_message_of_a_dead_worker_waits_for_the_word_of_its_supervisor() -> None:
    ledger = CrashLedger()
    dead, alive = InFlight(ledger), InFlight(ledger)
    child = hold_in_process(dead, 7)
    os.kill(child, signal.SIGKILL)
    wait_until(dead.is_orphaned)
    assert ledger.is_awaited(7) and not ledger.is_awaited(8)
    assert alive.take_crash(8) == ""
    mourner = threading.Timer(0.3, lambda: (os.waitpid(child, 0), dead.attribute("it died")))
    mourner.start()
    assert alive.take_crash(7) == "it died"
    mourner.join()


def test_message_like_that_of_a_busy_worker_does_not_wait() -> None:
    ledger = CrashLedger()
    busy, other = InFlight(ledger), InFlight(ledger)
    child = hold_in_process(busy, 7)
    try:
        assert not busy.is_orphaned()
        assert other.take_crash(7) == ""
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_what_was_handled_is_not_blamed() -> None:
    in_flight = InFlight()
    in_flight.hold(1)
    in_flight.release()
    assert not in_flight.attribute("it died")


def test_book_keeps_the_newest_and_cuts_what_is_long() -> None:
    ledger = CrashLedger()
    for fingerprint in range(1, 100):
        ledger.attribute(fingerprint, "é" * 100)
    assert ledger.take(1, 7) == ""
    assert ledger.take(99, 7) == "é" * 56


def test_batch_beyond_all_bounds_is_noted_in_part() -> None:
    in_flight = InFlight()
    for fingerprint in range(1, 10_001):
        in_flight.hold(fingerprint)
    assert in_flight.attribute("it died")
    for _ in range(10_000):
        in_flight.release()


def test_front_is_no_ones_victim() -> None:
    in_flight = NothingInFlight()
    in_flight.hold(1)
    assert not in_flight.attribute("it died")
