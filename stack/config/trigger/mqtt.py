"""Messages of MQTT topics."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from stack.config.document import NuclioDocument
from stack.config.problem import Problem, refuse
from stack.config.trigger.base import (
    LONGEST_NAME,
    NO_BATCHES,
    BaseTrigger,
    Batch,
    QueueName,
    QueueType,
    TlsAttributes,
    Topic,
)
from stack.config.value import MqttAddress, is_own_broker


def check_keys(topics: Sequence[str]) -> Iterator[Problem]:
    """Find topic filters that are too long to bind a queue of RabbitMQ."""
    for number, topic in enumerate(topics):
        if len(topic.encode()) > LONGEST_NAME:
            text = f"should be at most {LONGEST_NAME} bytes long, which is all that the stack's broker takes"
            yield Problem(("attributes", "subscriptions", str(number), "topic"), text)


def check_filter(value: str) -> str:
    """Return a topic filter as it is.

    Raises:
        ValueError: its wildcards are where none may be.
    """
    levels = value.split("/")
    if any("#" in level for level in levels[:-1]) or ("#" in levels[-1] and levels[-1] != "#"):
        raise ValueError(f"# should stand alone at the end, as in a/#, not {value!r}")
    if any("+" in level and level != "+" for level in levels):
        raise ValueError(f"+ should stand alone between slashes, as in a/+/b, not {value!r}")
    return value


class Subscription(NuclioDocument):
    """A topic filter of MQTT, wildcards included."""

    topic: Topic = Field(min_length=1)
    """Wildcards: + for one level, # for all that follow."""
    qos: int = Field(0, ge=0, le=2)
    """Quality of service."""

    @field_validator("topic")
    @classmethod
    def _is_filter(cls, value: str) -> str:
        return check_filter(value)


class MqttAttributes(TlsAttributes):
    """Attributes of an mqtt trigger; `queueName` names its queue on the stack's own broker."""

    subscriptions: list[Subscription] = Field(min_length=1)
    """Which topics make it run."""
    client_id: str = Field("", alias="clientID")
    """What it calls itself on a broker other than the stack's own."""
    protocol_version: Literal[3, 4, 5] = 4
    """Of MQTT: 3 is 3.1, 4 is 3.1.1."""
    queue_name: QueueName = ""
    """Its queue on the stack's own broker; where left out, one of the function's own."""
    queue_type: QueueType = ""
    """quorum or classic; where left out, its queue on the stack's own broker is a quorum queue."""
    max_retries: int = Field(3, ge=0)
    """How often a failed message is tried again before it is kept as a dead letter."""


class MqttTrigger(BaseTrigger):
    """Topics of an MQTT broker."""

    kind: Literal["mqtt"]
    url: MqttAddress = ""
    """The broker's address; empty is the stack's own broker."""
    batch: Annotated[Batch | None, NO_BATCHES] = None
    username: str = ""
    """The account at the broker; wins over the URL's."""
    password: str = ""
    """Its password; better a `secret`."""
    secret: str = ""
    """A secret, as NAME.KEY, that holds the broker's address with its account; wins over url."""
    attributes: MqttAttributes = Field(examples=["{subscriptions: [{topic: plant/+/temperature}]}"])

    @model_validator(mode="after")
    def _bindable(self) -> Self:
        if is_own_broker(self.url) and not self.secret:
            refuse(self, check_keys([one.topic for one in self.attributes.subscriptions]))
        return self


# What a subscription begins with that several clients share; the name of their group follows.
_SHARED = "$share/"


def find_unheeded_topics(triggers: Mapping[str, BaseTrigger]) -> Iterator[str]:
    """Yield a line for each shared subscription at the stack's own broker, which delivers nothing to one."""
    for name, trigger in triggers.items():
        if not isinstance(trigger, MqttTrigger) or trigger.secret or not is_own_broker(trigger.url):
            continue
        for number, one in enumerate(trigger.attributes.subscriptions):
            if one.topic.startswith(_SHARED):
                own = one.topic.removeprefix(_SHARED).partition("/")[2] or "plant/#"
                path = f"spec.triggers.{name}.attributes.subscriptions.{number}.topic"
                yield f"{path} brings no message; write {own}, as all containers share one queue anyway"


MODEL = MqttTrigger
