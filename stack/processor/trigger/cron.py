"""Events when they are due."""

from functools import partial

from nuclio_sdk import Event, TriggerInfo

from stack.processor.configuration import Trigger
from stack.processor.event import UNUSED, Builder, EventForm, describe_trigger, new_id, to_time
from stack.processor.message import CronMessage
from stack.processor.trigger.registry import TriggerKind


def open_cron_builder(trigger: Trigger, _form: EventForm) -> Builder:
    """Return what builds the events of a cron trigger."""
    return partial(build_cron, trigger=describe_trigger(trigger))


def build_cron(message: CronMessage, trigger: TriggerInfo) -> Event:
    """Make the event of a cron trigger; its time is the epoch, as with Nuclio, and its body stays bytes."""
    return Event(
        body=message.body,
        content_type="",
        trigger=trigger,
        headers=dict(message.headers),
        _id=new_id(),
        method=message.method,
        path=message.path,
        size=len(message.body),
        timestamp=to_time(0),
        url="",
        **UNUSED,
    )


KIND = TriggerKind("stack.processor.source.cron", open_cron_builder, has_loop=False, is_serial=True)
