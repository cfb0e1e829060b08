"""The same kind in a container: its source, its messages, its events and its entry."""

from functools import partial
from typing import NamedTuple

from nuclio_sdk import Event, TriggerInfo

from stack.processor.configuration import Function, Trigger
from stack.processor.delivery import Failure, Intake, Report
from stack.processor.event import UNUSED, Builder, EventForm, describe_trigger, new_id, to_time
from stack.processor.response import Response
from stack.processor.status import State
from stack.processor.trigger.registry import TriggerKind
from stack.processor.worker_spec import WorkerSpec


class CountMessage(NamedTuple):
    """One number."""

    number: int


class CountDelivery:
    """One number on its way."""

    def __init__(self, number: int) -> None:
        self.message = CountMessage(number)

    def claim(self) -> bool:
        """Return that it is to be handled."""
        return True

    def hold(self) -> None:
        """Note nothing."""

    def done(self, response: Response) -> None:
        """Do nothing."""

    def failed(self, response: Response, failure: Failure) -> None:
        """Do nothing."""


class CountSource:
    """Hands over all numbers at once."""

    def __init__(self, last: int, intake: Intake, report: Report) -> None:
        self._last, self._intake, self._report = last, intake, report

    def start(self) -> None:
        """Count."""
        self._report(State.READY, "")
        for number in range(1, self._last + 1):
            self._intake.put(CountDelivery(number))

    def flush(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Hand over nothing more."""
        self._intake.close()

    def close(self, timeout: float) -> None:
        """Do nothing."""


def open_source(spec: WorkerSpec, _function: Function, intake: Intake, report: Report) -> CountSource:
    """Return the source of a process, not started yet."""
    return CountSource(spec.trigger.attributes.integer("upTo", 1), intake, report)


def build_count(message: CountMessage, trigger: TriggerInfo) -> Event:
    """Make the event of a number."""
    body = str(message.number).encode()
    return Event(body=body, trigger=trigger, _id=new_id(), timestamp=to_time(0), **UNUSED)


def open_builder(trigger: Trigger, _form: EventForm) -> Builder:
    """Return what builds the events of a trigger."""
    return partial(build_count, trigger=describe_trigger(trigger))


KIND = TriggerKind("stack.processor.trigger.count", open_builder)
