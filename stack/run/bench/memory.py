"""Memory of what does nothing: a function with a rabbit-mq trigger and http, and bare Python with pika connected."""

import sys
import time
from contextlib import ExitStack
from functools import partial

from stack.plan.bench import OWN, Figures
from stack.run.bench.backlog import open_queue
from stack.run.bench.bed import Bed
from stack.run.bench.contest import Contestants
from stack.run.bench.port import find_port
from stack.run.bench.processor import FunctionSpec, amqp_trigger, http_trigger, run_processor
from stack.run.bench.program import run_program
from stack.run.bench.reference import PROGRAMS

# Seconds after which a process that does nothing has settled.
_SETTLED = 0.5


def open_memory(bed: Bed, stack: ExitStack) -> Contestants:
    """Compare local processes; of a function all processes count."""
    return {OWN: partial(_measure_function, bed), "pika": partial(_measure_pika, bed)}


def _measure_function(bed: Bed) -> Figures:
    url = bed.broker.amqp_url
    with open_queue(url) as queue:
        triggers = {"queue": amqp_trigger(url, queue), "http": http_trigger(find_port())}
        with run_processor(bed, "function", FunctionSpec("echo", triggers)) as program:
            time.sleep(_SETTLED)
            return {"pss": program.measure_memory()}


def _measure_pika(bed: Bed) -> Figures:
    command = [sys.executable, str(PROGRAMS / "idle_consumer.py"), bed.broker.amqp_url]
    with run_program(command, bed.scratch / "idle.log") as program:
        program.wait_for_line("ready")
        time.sleep(_SETTLED)
        return {"pss": program.measure_memory()}
