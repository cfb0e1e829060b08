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
    """Have the broker keep the last message of each topic for those who subscribe later; an empty one removes it."""

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


MODEL = MqttOutput
