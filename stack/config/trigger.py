"""Triggers: what makes a function run. The facts are Nuclio's; each kind has its own attributes."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from stack.config.document import NuclioDocument
from stack.config.duration import Duration
from stack.config.inert import LATER, Inert

HTTP, RABBITMQ, MQTT, CRON = "http", "rabbit-mq", "mqtt", "cron"
SUPPORTED = (HTTP, RABBITMQ, MQTT)

# Nuclio's names of the same thing, and the one that the processor is told.
_ALIASES = {"rabbitMq": RABBITMQ, "rabbitmq": RABBITMQ}

# Nuclio's limit (numWorkers).
_MOST_WORKERS = 100_000


class Batch(NuclioDocument):
    """Several events handed over at once."""

    mode: Literal["enable", "disable"] = "disable"
    batch_size: int = Field(10, gt=0)
    timeout: Duration = "1s"


class _Trigger(NuclioDocument):
    """What every kind has."""

    name: str = ""
    class_: Annotated[str, Inert("is ignored, as in Nuclio")] = Field("", alias="class")
    disabled: Annotated[bool, LATER] = False
    num_workers: int = Field(1, ge=0, le=_MOST_WORKERS)
    max_workers: int = Field(0, ge=0, le=_MOST_WORKERS)
    url: str = ""
    username: Annotated[str, LATER] = ""
    password: Annotated[str, LATER] = ""
    secret: str = ""
    paths: Annotated[list[str], Inert()] = []
    partitions: Annotated[list[Any], Inert()] = []
    annotations: dict[str, str] = {}
    worker_availability_timeout_milliseconds: Annotated[int | None, LATER] = None
    worker_termination_timeout: Duration = "10s"
    worker_allocator_name: Annotated[str, LATER] = ""
    explicit_ack_mode: Annotated[str, Inert("is for Kafka and v3io streams")] = ""
    wait_explicit_ack_during_rebalance_timeout: Annotated[str, Inert("is for Kafka")] = ""
    batch: Annotated[Batch | None, LATER] = None
    mode: Annotated[Literal["sync", "async"], LATER] = "sync"
    async_: Annotated[dict[str, Any], LATER] = Field({}, alias="async")
    total_tasks: Annotated[int, Inert()] = Field(0, alias="total_tasks")
    max_task_allocation: Annotated[int, Inert()] = Field(0, alias="max_task_allocation")

    @property
    def workers(self) -> int:
        """Return how many workers serve the trigger; `maxWorkers` is the older name of `numWorkers`."""
        given = "num_workers" in self.model_fields_set
        return max(1, self.num_workers if given and self.num_workers else self.max_workers or self.num_workers)


class HttpAttributes(NuclioDocument):
    """Attributes of an http trigger; `port` is a port of this machine."""

    port: int = Field(0, ge=0, le=65535)
    read_buffer_size: Annotated[int, LATER] = Field(16384, gt=0)
    max_request_body_size: int = Field(4194304, gt=0)
    reduce_memory_usage: Annotated[bool, Inert()] = False
    cors: Annotated[dict[str, Any], LATER] = {}
    disable_port_publishing: bool = False
    service_type: Annotated[str, Inert("is for Kubernetes")] = ""
    ingresses: Annotated[dict[str, dict[str, Any]], Inert("is for Kubernetes")] = {}
    mode: Annotated[str, Inert("is parsed and unused, as in Nuclio")] = "sync"


class RabbitAttributes(NuclioDocument):
    """Attributes of a rabbit-mq trigger; the topics are routing keys of a topic exchange.

    Without `onError` and `requeueOnError` a failed message is tried again and kept in the end; with them it is treated
    as newer Nuclio does.
    """

    exchange_name: str = ""
    queue_name: str = ""
    topics: list[str] = []
    reconnect_duration: Annotated[Duration, Inert("has no effect: a connection is tried again for ever")] = "5m"
    reconnect_interval: Duration = "15s"
    prefetch_count: int = Field(0, ge=0, le=65535)
    durable_exchange: bool = False
    durable_queue: bool = True
    on_error: Literal["", "retry", "ack", "nack"] = ""
    requeue_on_error: bool | None = None
    max_retries: int = Field(3, ge=0)

    @model_validator(mode="after")
    def _bindable(self) -> "RabbitAttributes":
        if self.topics and not self.exchange_name:
            raise ValueError("topics need an exchangeName to be bound to")
        return self


class Subscription(NuclioDocument):
    """A topic filter of MQTT, wildcards included."""

    topic: str = Field(min_length=1)
    qos: int = Field(0, ge=0, le=2)


class MqttAttributes(NuclioDocument):
    """Attributes of an mqtt trigger; `queueName` names its queue on the stack's own broker."""

    subscriptions: list[Subscription] = Field(min_length=1)
    client_id: str = Field("", alias="clientID")
    protocol_version: Literal[3, 4, 5] = 4
    queue_name: str = ""
    max_retries: int = Field(3, ge=0)


class HttpTrigger(_Trigger):
    """An HTTP server on port 8080 of the container."""

    kind: Literal["http"] = "http"
    attributes: HttpAttributes = HttpAttributes()

    @property
    def is_published(self) -> bool:
        """Say whether a port of this machine leads to it."""
        hidden = self.annotations.get("nuclio.io/disable-port-publishing", "").lower() == "true"
        return bool(self.attributes.port) or not (hidden or self.attributes.disable_port_publishing)


class RabbitTrigger(_Trigger):
    """A queue of an AMQP broker."""

    kind: Literal["rabbit-mq", "rabbitMq", "rabbitmq"] = "rabbit-mq"
    attributes: RabbitAttributes = RabbitAttributes()


class MqttTrigger(_Trigger):
    """Topics of an MQTT broker."""

    kind: Literal["mqtt"] = "mqtt"
    attributes: MqttAttributes


class AnyAttributes(NuclioDocument):
    """Attributes of a kind that is not known here."""

    model_config = ConfigDict(extra="allow")


class OtherTrigger(_Trigger):
    """A kind that Nuclio knows and this processor does not serve yet."""

    kind: str
    attributes: AnyAttributes = AnyAttributes()

    @model_validator(mode="after")
    def _refuse(self) -> "OtherTrigger":
        raise ValueError(f"kind {self.kind!r} is not supported yet; supported: {', '.join(SUPPORTED)}")


def _kind_of(value: Any) -> str:
    kind = value.get("kind", "") if isinstance(value, dict) else getattr(value, "kind", "")
    kind = _ALIASES.get(str(kind), str(kind))
    return kind if kind in SUPPORTED else "other"


Trigger = Annotated[
    Annotated[HttpTrigger, Tag(HTTP)]
    | Annotated[RabbitTrigger, Tag(RABBITMQ)]
    | Annotated[MqttTrigger, Tag(MQTT)]
    | Annotated[OtherTrigger, Tag("other")],
    Discriminator(_kind_of),
]
