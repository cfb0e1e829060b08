"""Events that are sent ahead to the process of a handler: only the first of them counts as being handled."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

from nuclio_sdk import Event

from stack.processor.attributes import Attributes
from stack.processor.configuration import Trigger
from stack.processor.delivery import DeliveryQueue, Failure
from stack.processor.invocation import Invoker
from stack.processor.pipeline import Pipeline
from stack.processor.response import Response
from stack.processor.runtime.process import DONE, QUIT, RAISED, Frame, HandlerProcess
from stack.processor.runtime.registry import find_runtime
from stack.processor.testing import open_context
from stack.processor.worker_spec import Role, WorkerSpec

TRIGGER = Trigger("sensors", "cron", 1, "", "", "", Attributes("attributes", {}), 0.0, 0.0)
ANSWER = [Frame(DONE, [200, "text/plain", None], b"yes")]


class Told:
    """A delivery that writes down what it is told, in a list of all."""

    def __init__(self, body: str, told: list[str], *, due: bool = True) -> None:
        self.message = Event(body=body.encode(), _id=body)
        self._told = told
        self._due = due

    def note(self, what: str) -> None:
        self._told.append(f"{what} {self.message.id}")

    def claim(self) -> bool:
        return self._due

    def hold(self) -> None:
        self.note("hold")

    def release(self) -> None:
        self.note("release")

    def done(self, response: Response) -> None:
        self.note("done")

    def failed(self, response: Response, failure: Failure) -> None:
        self.note(failure.error)


class Dispatched(Told):
    """One that no broker delivers again."""

    def give_back(self) -> None:
        self.note("give back")


class Script:
    """A process that says, at each flush, what comes next in a script."""

    exit_code = 7

    def __init__(self, queue: DeliveryQueue, *script: Callable[[list[str]], Any]) -> None:
        self.sent: list[str] = []
        self._numbers: deque[int] = deque()
        self._queue = queue
        self._script = list(script)

    def write(self, event: Event, number: int) -> int:
        if event.id == "odd":
            raise ValueError("not JSON")
        self.sent.append(event.id)
        self._numbers.append(number)
        return len(event.body)

    def flush(self) -> None:
        if self._script and self._numbers:
            frames: Any = [self._number(frame) for frame in self._script.pop(0)(self.sent)]
            self._queue.put(frames)

    def _number(self, frame: Frame) -> Frame:
        is_outcome = frame.letter in (DONE, RAISED) and not frame.number
        return frame._replace(number=self._numbers.popleft()) if is_outcome else frame


class Nowhere:
    """A source to which nothing is sent."""

    def flush(self) -> None:
        """Do nothing."""


def run(told: list[str], deliveries: Sequence[Told], *script: Callable[[list[str]], Any]) -> tuple[int, Script]:
    queue = DeliveryQueue()
    for delivery in deliveries:
        queue.put(delivery)
    queue.close()
    process = Script(queue, *script)
    spec = WorkerSpec(TRIGGER, Role.WORKER)
    context = open_context()
    invoker = Invoker(
        lambda _context, _event: None,
        context,
        build=lambda message: message,
        spec=spec,
        complete=lambda result: result,
        runtime=find_runtime("nodejs"),
    )
    pipeline = Pipeline(cast(HandlerProcess, process), invoker, queue, context=context, interval=0.0)
    pipeline._die = lambda: process.exit_code  # type: ignore[method-assign]
    return pipeline.serve(cast(Any, Nowhere())), process


def test_each_event_begins_when_the_one_before_has_an_outcome() -> None:
    told: list[str] = []
    deliveries = [Told(name, told) for name in ("a", "b", "c")]
    failed = [Frame(RAISED, ["TypeError", "no", "TypeError: no\n    at x (/opt/nuclio/main.js:1:2)"], b"")]
    code, process = run(told, deliveries, lambda _: ANSWER, lambda _: failed, lambda _: ANSWER)
    assert code == 0
    assert told == ["hold a", "done a", "hold b", "TypeError: no b", "hold c", "done c"]
    assert process.sent == ["a", "b", "c"]


def test_only_what_has_no_outcome_at_the_end_of_the_process_is_held() -> None:
    told: list[str] = []
    deliveries = [Told(name, told) for name in ("a", "b")]
    code, _ = run(told, deliveries, lambda _: ANSWER, lambda _: [])
    assert code == 7
    assert told == ["hold a", "done a", "hold b"]


def test_what_cannot_be_sent_fails_in_its_turn() -> None:
    told: list[str] = []
    deliveries = [Told("a", told), Told("odd", told), Told("late", told, due=False), Told("b", told)]
    code, process = run(told, deliveries, lambda _: ANSWER, lambda _: ANSWER)
    assert code == 0
    assert told == ["hold a", "done a", "hold odd", "ValueError: not JSON odd", "hold b", "done b"]
    assert process.sent == ["a", "b"]


def test_outcome_of_another_event_ends_the_worker() -> None:
    told: list[str] = []
    deliveries = [Told(name, told) for name in ("a", "b")]
    code, _ = run(told, deliveries, lambda _: [ANSWER[0]._replace(number=2)])
    assert code == 1
    assert told == ["hold a"]


def test_process_that_quits_begins_no_other_event() -> None:
    told: list[str] = []
    deliveries = [Dispatched(name, told) for name in ("a", "b")]
    frames = [Frame(QUIT, [True, 1], b""), Frame(RAISED, ["Error", "no", ""], b"")]
    code, _ = run(told, deliveries, lambda _: frames, lambda _: [])
    assert (code, told) == (7, ["hold a", "Error: no a", "give back b"])


def test_process_that_quits_between_events_has_begun_none() -> None:
    told: list[str] = []
    deliveries = [Dispatched(name, told) for name in ("a", "b")]
    code, _ = run(told, deliveries, lambda _: [*ANSWER, Frame(QUIT, [False, 0], b"")], lambda _: [])
    assert (code, told) == (7, ["hold a", "done a", "give back b"])
    told = []
    deliveries = [Dispatched(name, told) for name in ("a", "b")]
    code, _ = run(told, deliveries, lambda _: ANSWER, lambda _: [Frame(QUIT, [False, 0], b"")], lambda _: [])
    assert (code, told) == (7, ["hold a", "done a", "hold b", "release b", "give back b"])


def test_event_that_has_begun_is_not_given_back() -> None:
    told: list[str] = []
    code, _ = run(told, [Dispatched("a", told)], lambda _: [Frame(QUIT, [False, 1], b"")], lambda _: [])
    assert (code, told) == (7, ["hold a", "release a"])
