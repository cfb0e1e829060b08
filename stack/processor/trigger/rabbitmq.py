"""Messages of an AMQP queue."""

from functools import partial

from nuclio_sdk import Event, TriggerInfo

from stack.processor.configuration import Trigger
from stack.processor.event import (
    DECODED,
    NO_TIME,
    UNUSED,
    Builder,
    EventForm,
    NextId,
    describe_trigger,
    is_cloud_event,
    keep_id,
    new_id,
    open_envelope,
    open_ids,
    to_text,
    to_time,
)
from stack.processor.message import AmqpMessage
from stack.processor.trigger.registry import BROKER_FLUSH_INTERVAL, TriggerKind


def open_amqp_builder(trigger: Trigger, form: EventForm) -> Builder:
    """Return what builds the events of a rabbit-mq trigger."""
    return partial(build_amqp, trigger=describe_trigger(trigger), form=form, next_id=open_ids())


def build_amqp(
    message: AmqpMessage, trigger: TriggerInfo, *, form: EventForm = DECODED, next_id: NextId = new_id
) -> Event:
    """Make the event of a message of an AMQP queue."""
    properties = message.properties
    keep_id(properties, next_id)
    content_type = properties.content_type or ""
    event = Event(
        body=form.decode(message.body, content_type),
        content_type=content_type,
        trigger=trigger,
        headers=dict(properties.headers) if properties.headers else None,
        _id=properties.message_id,
        method=properties.type or "",
        path=f"{to_text(message.exchange)}/{to_text(message.routing_key)}",
        size=len(message.body),
        timestamp=NO_TIME if properties.timestamp is None else to_time(properties.timestamp),
        url=properties.reply_to or "",
        **UNUSED,
    )
    return open_envelope(event, message.body) if is_cloud_event(event) else event


KIND = TriggerKind("stack.processor.source.rabbitmq.source", open_amqp_builder, flush_interval=BROKER_FLUSH_INTERVAL)
