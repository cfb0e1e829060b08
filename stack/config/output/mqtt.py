"""A topic, to which MQTT clients of the stack's own broker may be subscribed."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from stack.config.output.base import BaseOutput, check_placeholders
from stack.config.trigger.base import ShortName
from stack.contract import list_placeholders


class MqttOutput(BaseOutput):
    """A topic of MQTT."""

    kind: Literal["mqtt"]
    topic: Annotated[ShortName, Field(min_length=1)]
    """The topic; {names} in it are filled in from keywords of `send`, such as plant/{id}/cmd."""
    qos: int = Field(1, ge=0)
    """Quality of service: 1 is kept for subscribers that are away, 0 is not."""
    retain: bool = False
    """Only false: RabbitMQ retains nothing but what MQTT clients publish."""

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Return those of the topic."""
        return list_placeholders(self.topic)

    @field_validator("topic")
    @classmethod
    def _is_topic(cls, value: str) -> str:
        if "+" in value or "#" in value:
            raise ValueError(f"should be one topic, without the wildcards + and #, not {value!r}")
        return check_placeholders(value)

    @field_validator("qos")
    @classmethod
    def _is_known(cls, value: int) -> int:
        if value > 1:
            raise ValueError(f"should be 0 or 1, not {value}: RabbitMQ has no other; with 1 a message may come twice")
        return value

    @field_validator("retain")
    @classmethod
    def _is_not_retained(cls, value: bool) -> bool:
        if value:
            raise ValueError(
                "should be false: RabbitMQ retains only what MQTT clients publish, and outputs are sent over AMQP; "
                "publish what is to be retained with paho-mqtt, by the secret broker.mqtt"
            )
        return value


MODEL = MqttOutput
