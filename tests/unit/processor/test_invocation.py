"""Batches whose events cannot be made, as the handler and the supervisor see them."""

from typing import Any

from stack.processor.attributes import Attributes
from stack.processor.configuration import Trigger
from stack.processor.delivery import Failure
from stack.processor.invocation import Invoker
from stack.processor.response import Response
from stack.processor.testing import open_context
from stack.processor.worker_spec import Role, WorkerSpec

_TRIGGER = Trigger("t", "http", 1, "", "", "", Attributes("attributes", {}), 1.0, 1.0)


class Delivery:
    def __init__(self, message: str) -> None:
        self.message = message
        self.statuses: list[int] = []

    def claim(self) -> bool:
        return True

    def hold(self) -> None:
        pass

    def done(self, response: Response) -> None:
        self.statuses.append(response.status)

    def failed(self, response: Response, _failure: Failure) -> None:
        self.statuses.append(response.status)


def handle(*messages: str) -> tuple[list[list[int]], list[tuple[list[Any], bool]], WorkerSpec]:
    """Handle a batch of numbers; return the statuses, what the handler was given and whether its time ran."""
    spec = WorkerSpec(_TRIGGER, Role.WORKER)
    calls: list[tuple[list[Any], bool]] = []

    def handler(_context: Any, events: list[Any]) -> list[str]:
        calls.append((events, spec.timer.read() > 0))
        return [""] * len(events)

    invoker = Invoker(handler, open_context(), build=int, spec=spec, complete=lambda result: result)
    deliveries = [Delivery(message) for message in messages]
    invoker.handle_batch(deliveries)
    return [one.statuses for one in deliveries], calls, spec


def test_the_time_of_a_batch_runs_though_an_event_could_not_be_made() -> None:
    statuses, calls, spec = handle("1", "no number")
    assert statuses == [[200], [500]]
    assert calls == [([1], True)]
    assert (spec.timer.read(), spec.stats.in_flight) == (0.0, 0.0)


def test_no_handler_is_called_for_a_batch_without_events() -> None:
    for messages in ((), ("no number",)):
        statuses, calls, spec = handle(*messages)
        assert statuses == [[500]] * len(messages)
        assert not calls
        assert spec.timer.read() == 0.0
