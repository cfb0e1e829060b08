"""Messages of MQTT topics, which a session brings, or, from RabbitMQ itself, a queue of AMQP."""

from datetime import datetime
from functools import partial

from nuclio_sdk import Event, TriggerInfo

from stack.processor.configuration import Trigger
from stack.processor.event import (
    UNUSED,
    Builder,
    EventForm,
    NextId,
    describe_trigger,
    keep_id,
    new_id,
    open_ids,
    to_text,
    to_time,
)
from stack.processor.message import TOPIC, AmqpMessage, MqttMessage
from stack.processor.trigger.registry import BROKER_FLUSH_INTERVAL, TriggerKind


def open_mqtt_builder(trigger: Trigger, _form: EventForm) -> Builder:
    """Return what builds the events of an mqtt trigger."""
    return partial(build_mqtt, trigger=describe_trigger(trigger), url=trigger.url_to_show, next_id=open_ids())


def build_mqtt(
    message: AmqpMessage | MqttMessage, trigger: TriggerInfo, url: str, *, next_id: NextId = new_id
) -> Event:
    """Make the event of an MQTT message, whether an MQTT session or an AMQP queue brought it; its body stays bytes."""
    event_id = ""
    if isinstance(message, AmqpMessage):
        keep_id(message.properties, next_id)
        event_id, message = message.properties.message_id, _read_topic(message)
    return Event(
        body=message.payload,
        content_type=message.content_type,
        trigger=trigger,
        headers=message.headers,
        _id=event_id or str(message.packet_id),
        method="",
        path=message.topic,
        size=len(message.payload),
        timestamp=to_time(int(message.received)),
        url=url,
        **{**UNUSED, "topic": message.topic},
    )


def _read_topic(message: AmqpMessage) -> MqttMessage:
    """Return the MQTT message that RabbitMQ made an AMQP message of; it writes `/` as `.`.

    It keeps messages of quality 1 on the disk, and gives retained ones to MQTT clients only.
    """
    properties = message.properties
    known = {"x-mqtt-publish-qos": 1 if properties.delivery_mode == 2 else 0, "x-mqtt-retain": False}
    headers = known | (properties.headers or {})
    return MqttMessage(
        topic=headers.pop(TOPIC, "") or to_text(message.routing_key).replace(".", "/"),
        payload=message.body,
        packet_id=-1,
        headers=headers,
        content_type=properties.content_type or "",
        received=properties.timestamp if properties.timestamp is not None else datetime.now().timestamp(),
    )


_ON_AMQP = TriggerKind(
    "stack.processor.source.mqtt.retry_source", open_mqtt_builder, flush_interval=BROKER_FLUSH_INTERVAL
)
KIND = TriggerKind(
    "stack.processor.source.mqtt.source",
    open_mqtt_builder,
    flush_interval=BROKER_FLUSH_INTERVAL,
    is_single=True,
    on_amqp=_ON_AMQP,
)
