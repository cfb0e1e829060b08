"""Events per second over AMQP: a queue of waiting messages, and who is through it first."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from time import process_time

from stack.plan.bench import OWN, Figures
from stack.run.bench.backlog import Route, open_queue, publish
from stack.run.bench.bed import Bed
from stack.run.bench.contest import Contestants
from stack.run.bench.count import Count
from stack.run.bench.processor import FunctionSpec, amqp_trigger, run_processor
from stack.run.bench.program import Program, run_program
from stack.run.bench.reference import PROGRAMS

# Messages that may wait in a consumer; a function finds its own number.
_PREFETCH = 500
# Of the messages, how many are enough where each takes a millisecond.
_SLOW_SHARE = 5
_SLOW_SECONDS = 0.001

# Starts a contestant that consumes a queue and counts.
Start = Callable[[str, Count], AbstractContextManager[Program]]


def open_amqp(bed: Bed, stack: ExitStack) -> Contestants:
    """Compare empty handlers; all are local processes and find the same messages waiting."""
    starts: dict[str, Start] = {
        OWN: partial(_start_function, bed, "count", 1),
        "pika": partial(_start_script, bed, lambda: sys.executable, "pika_consumer.py"),
        "faststream": partial(_start_script, bed, lambda: str(bed.references), "faststream_consumer.py"),
    }
    return {name: partial(_measure, bed, start, bed.scale.messages) for name, start in starts.items()}


def open_workers(bed: Bed, stack: ExitStack) -> Contestants:
    """Compare two workers with one, where the handler is busy for a millisecond."""
    turns = str(_count_turns())
    count = bed.scale.messages // _SLOW_SHARE
    return {
        name: partial(_measure, bed, partial(_start_function, bed, "work", workers, BENCH_TURNS=turns), count)
        for name, workers in {"two": 2, "one": 1}.items()
    }


def _measure(bed: Bed, start: Start, messages: int) -> Figures:
    url = bed.broker.amqp_url
    count = Count(bed.scratch / "count")
    with open_queue(url) as queue:
        publish(url, Route("", queue), messages)
        with start(queue, count) as program:
            return {"rate": count.measure_rate(messages, program)}


def _start_function(
    bed: Bed, handler: str, workers: int, queue: str, count: Count, **environment: str
) -> AbstractContextManager[Program]:
    function = FunctionSpec(handler, {"queue": amqp_trigger(bed.broker.amqp_url, queue, workers)})
    return run_processor(bed, "function", function, **count.environment, **environment)


def _start_script(
    bed: Bed, python: Callable[[], str], script: str, queue: str, count: Count
) -> AbstractContextManager[Program]:
    command = [python(), str(PROGRAMS / script), bed.broker.amqp_url, queue, str(_PREFETCH)]
    return run_program(command, bed.scratch / f"{Path(script).stem}.log", **count.environment)


def _count_turns() -> int:
    """Return how many turns of the busy handler's loop take a millisecond of this machine's processor."""
    turns, used = 1000, 0.0
    while used < 10 * _SLOW_SECONDS:
        turns *= 2
        began = process_time()
        for turn in range(turns):
            turn * turn
        used = process_time() - began
    return int(turns * _SLOW_SECONDS / used)
