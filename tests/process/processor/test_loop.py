"""The handler's thread runs the loop of its source; whatever the handler does, the loop does not stand still."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.process.processor.conftest import Start
from tests.process.processor.running import Processor

HEALTH = "/__internal/health"


def ask_slow(processor: Processor, seconds: float) -> bytes:
    return processor.ask("/", body=str(seconds)).body


def check_health_while_busy(processor: Processor, end: Path) -> None:
    """Ask for its health while it handles an event, which ends once that file is there."""
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(processor.ask, "/until", str(end))
        processor.wait_for_log("began /until")
        assert processor.ask(HEALTH).status == 200
        assert not busy.done()
        end.touch()
    assert busy.result().status == 200


def test_health_is_answered_while_the_handler_is_busy(start: Start, tmp_path: Path) -> None:
    check_health_while_busy(start("slow"), tmp_path / "end")


def test_handlers_of_any_length_follow_one_another(start: Start) -> None:
    """Some are done before the I/O thread looks, some after; each answer goes out, and the next request is read."""
    processor = start("slow")
    for seconds in (0, 0.03, 0, 0, 0.011, 0.009, 0.05, 0):
        assert ask_slow(processor, seconds)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: ask_slow(processor, (number % 5) / 100), range(40)))
    assert len(answers) == 40


def test_first_request_after_a_long_silence_is_answered(start: Start, tmp_path: Path) -> None:
    processor = start("slow")
    assert ask_slow(processor, 0)
    time.sleep(1.3)
    assert ask_slow(processor, 0.1)
    assert ask_slow(processor, 0)
    check_health_while_busy(processor, tmp_path / "end")
