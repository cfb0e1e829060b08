"""The time from a message's publishing to its reply, at a steady rate; all are local processes."""

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from stack.plan.bench import OWN, Figures
from stack.run.bench.backlog import has_consumer, open_queue
from stack.run.bench.bed import Bed
from stack.run.bench.contest import Contestants
from stack.run.bench.processor import FunctionSpec, amqp_trigger, run_processor
from stack.run.bench.program import Program, run_command, run_program
from stack.run.bench.reference import PROGRAMS

_RATE = 500
_PREFETCH = 500

# Starts a contestant that takes from the first queue and answers to the second.
Start = Callable[[Bed, str, str], AbstractContextManager[Program]]


def open_round_trip(bed: Bed, stack: ExitStack) -> Contestants:
    """Compare a handler that publishes over a connection of its own with a consumer that publishes over its own."""
    return {OWN: partial(_measure, bed, _start_function), "pika": partial(_measure, bed, _start_pika)}


def _measure(bed: Bed, start: Start) -> Figures:
    url = bed.broker.amqp_url
    with open_queue(url) as queue, open_queue(url) as reply, start(bed, queue, reply) as program:
        program.wait_until(lambda: has_consumer(url, queue))
        script = str(PROGRAMS / "round_trip.py")
        answer = run_command([sys.executable, script, url, queue, reply, str(_RATE), str(2 * bed.scale.seconds)])
    return {name: float(value) for name, value in json.loads(answer).items()}


def _start_function(bed: Bed, queue: str, reply: str) -> AbstractContextManager[Program]:
    url = bed.broker.amqp_url
    function = FunctionSpec("reply", {"queue": amqp_trigger(url, queue)})
    return run_processor(bed, "function", function, BENCH_URL=url, BENCH_REPLY=reply)


def _start_pika(bed: Bed, queue: str, reply: str) -> AbstractContextManager[Program]:
    command = [sys.executable, str(PROGRAMS / "pika_consumer.py"), bed.broker.amqp_url, queue, str(_PREFETCH), reply]
    return run_program(command, bed.scratch / "pika_reply.log")
