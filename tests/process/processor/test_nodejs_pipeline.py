"""Events that are sent ahead to the real Node.js: which of them is told what when the process ends."""

import shutil
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stack.processor.delivery import DeliveryQueue
from stack.processor.invocation import Invoker
from stack.processor.pipeline import Pipeline
from stack.processor.runtime.process import HandlerProcess
from stack.processor.runtime.registry import find_runtime
from stack.processor.testing import open_context
from stack.processor.worker_spec import Role, WorkerSpec
from tests.process.processor.running import FUNCTIONS
from tests.unit.processor.test_pipeline import TRIGGER, Nowhere, Told

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not here; `invoke test` installs it")


def run(*bodies: str) -> list[str]:
    """Return what deliveries were told, in order, until the process has ended, or all are handled."""
    told: list[str] = []
    queue = DeliveryQueue()
    runtime = find_runtime("nodejs")
    process = runtime.load_handler("later:handler", FUNCTIONS / "nodejs")
    assert isinstance(process, HandlerProcess)
    context: Any = open_context()
    context.outputs = SimpleNamespace()
    process.init_context(context)
    invoker = Invoker(
        process,
        context,
        build=lambda message: message,
        spec=WorkerSpec(TRIGGER, Role.WORKER),
        complete=lambda result: result,
        runtime=runtime,
    )
    pipeline = Pipeline(process, invoker, queue, context=context, interval=0.0)
    pipeline._die = lambda: process.exit_code or 1  # type: ignore[method-assign]
    pipeline.attach()
    for body in bodies:
        queue.put(Told(body, told))
    queue.close()
    try:
        pipeline.serve(cast(Any, Nowhere()))
    finally:
        process.kill()
    return told


FINE = ["hold ok", "done ok"]


def test_only_the_event_that_fails_in_a_timer_is_blamed() -> None:
    told = run(*["ok"] * 200, "timer", *["ok"] * 200)
    assert told == [*FINE * 200, "hold timer", "Error: in a timer timer"]


def test_no_event_is_blamed_when_one_that_is_answered_ends_the_process() -> None:
    told = run(*["ok"] * 200, "leave 5", *["ok"] * 200)
    assert told[:402] == [*FINE * 200, "hold leave 5", "done leave 5"]
    assert told[402:] in ([], ["hold ok", "release ok"])
