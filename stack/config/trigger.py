"""Triggers: what makes a function run. The facts are Nuclio's; each kind has its own attributes."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator
from pydantic.json_schema import SkipJsonSchema

from stack.config.attributes import (
    AnyAttributes,
    CronAttributes,
    HttpAttributes,
    MqttAttributes,
    RabbitAttributes,
    check_keys,
)
from stack.config.document import Ignored, NuclioDocument
from stack.config.problem import Problem, refuse
from stack.config.value import Address, AmqpAddress, Duration, MqttAddress, is_own_broker
from stack.contract import ALIASES, CRON, HTTP, KINDS, MQTT, RABBITMQ

# Nuclio's limit (numWorkers).
_MOST_WORKERS = 100_000
# As many messages as AMQP can hand to a worker ahead of time.
_MOST_AT_ONCE = 65_535
_ONE_AT_A_TIME = Ignored("has no effect: a worker handles one event at a time; use numWorkers")
_BATCHES = Ignored("is for http and rabbit-mq")


class Batch(NuclioDocument):
    """Several events handed over at once."""

    mode: Literal["enable", "disable"] = "disable"
    """enable hands over several events at once, as a list."""
    batch_size: int = Field(10, gt=0, le=_MOST_AT_ONCE)
    """How many events at most."""
    timeout: Duration = "1s"
    """How long the first of them waits for more."""


class _Trigger(NuclioDocument):
    """What every kind has."""

    name: str = ""
    """The trigger's key again, if anything."""
    class_: Annotated[str, Ignored("is ignored, as in Nuclio")] = Field("", alias="class")
    disabled: bool = False
    """Leave the trigger out."""
    num_workers: int = Field(1, ge=0, le=_MOST_WORKERS)
    """How many events it handles at once; each worker is a process."""
    max_workers: int = Field(0, ge=0, le=_MOST_WORKERS)
    """The older name of numWorkers."""
    url: Address = ""
    """The broker's address; empty is the stack's own broker."""
    username: Annotated[str, Ignored("is for rabbit-mq and mqtt")] = ""
    password: Annotated[str, Ignored("is for rabbit-mq and mqtt")] = ""
    secret: str = ""
    """A secret, as NAME.KEY, that holds the broker's address with its account; wins over url."""
    paths: Annotated[list[str], Ignored()] = []
    partitions: Annotated[list[Any], Ignored()] = []
    annotations: dict[str, str] = {}
    """Notes of yours, as key: value."""
    worker_availability_timeout_milliseconds: int | None = None
    """How long an event waits for a free worker; 10000 where left out, 0 does not wait."""
    worker_termination_timeout: Duration = "10s"
    """How long a worker may take to finish its event when the function ends."""
    worker_allocator_name: str = ""
    """Triggers that name the same share their workers."""
    explicit_ack_mode: Annotated[
        Literal["", "enable", "disable", "explicitOnly"], Ignored("is for Kafka and v3io streams")
    ] = ""
    wait_explicit_ack_during_rebalance_timeout: Annotated[str, Ignored("is for Kafka")] = ""
    batch: Batch | None = None
    """Hand over several events at once."""
    mode: Annotated[Literal["sync", "async"], _ONE_AT_A_TIME] = "sync"
    async_: Annotated[dict[str, Any], _ONE_AT_A_TIME] = Field({}, alias="async")
    total_tasks: Annotated[int, Ignored()] = Field(0, alias="total_tasks")
    max_task_allocation: Annotated[int, Ignored()] = Field(0, alias="max_task_allocation")

    @property
    def workers(self) -> int:
        """Return how many workers serve the trigger; `maxWorkers` is the older name of `numWorkers`."""
        given = "num_workers" in self.model_fields_set
        return max(1, self.num_workers if given and self.num_workers else self.max_workers or self.num_workers)


class HttpTrigger(_Trigger):
    """An HTTP server on port 8080 of the container."""

    kind: Literal["http"]
    attributes: HttpAttributes = HttpAttributes()

    @property
    def is_published(self) -> bool:
        """Return whether a port of this machine leads to it."""
        hidden = self.annotations.get("nuclio.io/disable-port-publishing", "").lower() == "true"
        return bool(self.attributes.port) or not (hidden or self.attributes.disable_port_publishing)


class RabbitTrigger(_Trigger):
    """A queue of an AMQP broker."""

    kind: Literal["rabbit-mq", "rabbitMq", "rabbitmq"]
    url: AmqpAddress = ""
    """The broker's address; empty is the stack's own broker."""
    username: str = ""
    """The account at the broker; wins over the URL's."""
    password: str = ""
    """Its password; better a `secret`."""
    attributes: RabbitAttributes = RabbitAttributes()


class MqttTrigger(_Trigger):
    """Topics of an MQTT broker."""

    kind: Literal["mqtt"]
    url: MqttAddress = ""
    """The broker's address; empty is the stack's own broker."""
    batch: Annotated[Batch | None, _BATCHES] = None
    username: str = ""
    """The account at the broker; wins over the URL's."""
    password: str = ""
    """Its password; better a `secret`."""
    attributes: MqttAttributes

    @model_validator(mode="after")
    def _bindable(self) -> Self:
        if is_own_broker(self.url) and not self.secret:
            refuse(self, check_keys([one.topic for one in self.attributes.subscriptions]))
        return self


class CronTrigger(_Trigger):
    """The clock."""

    kind: Literal["cron"]
    batch: Annotated[Batch | None, _BATCHES] = None
    attributes: CronAttributes


class OtherTrigger(_Trigger):
    """A kind that Nuclio knows and this processor does not serve yet."""

    kind: str
    attributes: AnyAttributes = AnyAttributes()

    @model_validator(mode="after")
    def _refuse(self) -> "OtherTrigger":
        near = get_close_matches(self.kind.lower(), KINDS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; supported: {', '.join(KINDS)}"
        raise ValueError(f"kind {self.kind!r} is not supported yet{hint}")


def kind_of(value: Any) -> str:
    """Return the kind of a trigger, parsed or as it stands in a file; `other` if it is none of those supported."""
    if isinstance(value, dict):
        kind = next((item for key, item in value.items() if str(key).lower() == "kind"), "")
    else:
        kind = getattr(value, "kind", "")
    kind = ALIASES.get(str(kind), str(kind))
    return kind if kind in KINDS else "other"


Trigger = Annotated[
    Annotated[HttpTrigger, Tag(HTTP)]
    | Annotated[RabbitTrigger, Tag(RABBITMQ)]
    | Annotated[MqttTrigger, Tag(MQTT)]
    | Annotated[CronTrigger, Tag(CRON)]
    | Annotated[OtherTrigger, Tag("other"), SkipJsonSchema()],
    Discriminator(kind_of),
]


def check_triggers(triggers: Mapping[str, Trigger]) -> Iterator[Problem]:
    """Find triggers that are named otherwise than their keys, and a second http trigger."""
    for key, trigger in triggers.items():
        if not key:
            yield Problem(("triggers", "''"), "a trigger needs a name; its key is empty")
        if trigger.name and trigger.name != key:
            yield Problem(("triggers", key, "name"), f"should be {key!r}, the trigger's key, not {trigger.name!r}")
    first, *more = [key for key, trigger in triggers.items() if isinstance(trigger, HttpTrigger)] or [""]
    for key in more:
        yield Problem(("triggers", key), f"a function can have one http trigger only, and {first!r} is one")
