"""What is remembered of a worker that died with messages in hand."""

import os
import signal
import threading
import time
from collections.abc import Callable

from stack.processor.hand import Book, Hand, IdleHand, mark_message


def test_messages_that_differ_have_marks_that_differ() -> None:
    marks = {mark_message(key, body) for key, body in (("k", b"1"), ("k", b"2"), ("other", b"1"))}
    assert len(marks) == 3 and 0 not in marks
    assert mark_message("k", b"1") == mark_message("k", bytes([49]))


def test_another_worker_learns_what_a_dead_one_had_in_hand() -> None:
    book = Book()
    dead, alive = Hand(book), Hand(book)
    child = os.fork()
    if not child:
        for mark in (1, 2, 3):
            dead.hold(mark)
        dead.release()
        os._exit(0)
    os.waitpid(child, 0)
    assert dead.blame("it died")
    assert [alive.take_blame(mark) for mark in (1, 2, 3)] == ["it died", "it died", ""]
    assert alive.take_blame(1) == ""
    assert not dead.blame("again")


def test_what_a_dead_worker_was_to_see_to_another_does() -> None:
    book = Book()
    first, second, alive = Hand(book), Hand(book), Hand(book)
    first.hold(1)
    first.blame("it died")
    child = os.fork()
    if not child:
        second.own()
        os._exit(second.take_blame(1) != "it died")
    assert os.waitpid(child, 0)[1] == 0
    assert alive.take_blame(1) == ""
    second.blame("it died too")
    assert alive.take_blame(1) == "it died"
    alive.settle_blame(1)
    alive.blame("and the last")
    assert alive.take_blame(1) == ""


def hold_in_process(hand: Hand, mark: int) -> int:
    """Start a process with a message in hand, and return its number once it has it."""
    child = os.fork()
    if not child:
        hand.own()
        hand.hold(mark)
        signal.pause()
    wait_until(lambda: hand.has(mark))
    return child


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5.0
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_message_of_a_dead_worker_waits_for_the_word_of_its_supervisor() -> None:
    book = Book()
    dead, alive = Hand(book), Hand(book)
    child = hold_in_process(dead, 7)
    os.kill(child, signal.SIGKILL)
    mourner = threading.Timer(0.3, lambda: (os.waitpid(child, 0), dead.blame("it died")))
    mourner.start()
    wait_until(dead.is_orphaned)
    assert not alive.take_blame(8)
    assert mourner.is_alive()
    assert alive.take_blame(7) == "it died"
    mourner.join()


def test_message_like_that_of_a_busy_worker_does_not_wait() -> None:
    book = Book()
    busy, other = Hand(book), Hand(book)
    child = hold_in_process(busy, 7)
    try:
        assert not busy.is_orphaned()
        assert other.take_blame(7) == ""
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_what_was_handled_is_not_blamed() -> None:
    hand = Hand()
    hand.hold(1)
    hand.release()
    assert not hand.blame("it died")


def test_book_keeps_the_newest_and_cuts_what_is_long() -> None:
    book = Book()
    for mark in range(1, 100):
        book.note(mark, "é" * 100)
    assert book.take(1, 7) == ""
    assert book.take(99, 7) == "é" * 56


def test_batch_beyond_all_bounds_is_noted_in_part() -> None:
    hand = Hand()
    for mark in range(1, 10_001):
        hand.hold(mark)
    assert hand.blame("it died")
    for _ in range(10_000):
        hand.release()


def test_front_is_nobodys_victim() -> None:
    hand = IdleHand()
    hand.hold(1)
    assert not hand.blame("it died")
