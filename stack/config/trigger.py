"""Triggers: what makes a function run. The facts are Nuclio's; each kind has its own attributes."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from stack.config.document import NuclioDocument
from stack.config.duration import Duration
from stack.config.inert import Inert
from stack.config.problem import Problem
from stack.config.url import Address

HTTP, RABBITMQ, MQTT, CRON = "http", "rabbit-mq", "mqtt", "cron"
SUPPORTED = (HTTP, RABBITMQ, MQTT, CRON)

# Nuclio's names of the same thing, and the one that the processor is told.
_ALIASES = {"rabbitMq": RABBITMQ, "rabbitmq": RABBITMQ}

# Nuclio's limit (numWorkers).
_MOST_WORKERS = 100_000
_ONE_AT_A_TIME = Inert("has no effect: a worker handles one event at a time; use numWorkers")
_BATCHES = Inert("is for http and rabbit-mq")


class Batch(NuclioDocument):
    """Several events handed over at once."""

    mode: Literal["enable", "disable"] = "disable"
    """enable hands over several events at once, as a list."""
    batch_size: int = Field(10, gt=0)
    """How many events at most."""
    timeout: Duration = "1s"
    """How long the first of them waits for more."""


class _Trigger(NuclioDocument):
    """What every kind has."""

    name: str = ""
    class_: Annotated[str, Inert("is ignored, as in Nuclio")] = Field("", alias="class")
    disabled: bool = False
    """Leave the trigger out."""
    num_workers: int = Field(1, ge=0, le=_MOST_WORKERS)
    """How many events it handles at once; each worker is a process."""
    max_workers: int = Field(0, ge=0, le=_MOST_WORKERS)
    """The older name of numWorkers."""
    url: Address = ""
    """The broker's address; empty is the stack's own broker."""
    username: Annotated[str, Inert("is for rabbit-mq and mqtt")] = ""
    password: Annotated[str, Inert("is for rabbit-mq and mqtt")] = ""
    secret: str = ""
    """A secret, as NAME.KEY, that holds the broker's address with its account; wins over url."""
    paths: Annotated[list[str], Inert()] = []
    partitions: Annotated[list[Any], Inert()] = []
    annotations: dict[str, str] = {}
    """Notes of yours, as key: value."""
    worker_availability_timeout_milliseconds: int | None = None
    """How long an event waits for a free worker; 10000 where left out, 0 does not wait."""
    worker_termination_timeout: Duration = "10s"
    """How long a worker may take to finish its event when the function ends."""
    worker_allocator_name: str = ""
    """Triggers that name the same share their workers."""
    explicit_ack_mode: Annotated[
        Literal["", "enable", "disable", "explicitOnly"], Inert("is for Kafka and v3io streams")
    ] = ""
    wait_explicit_ack_during_rebalance_timeout: Annotated[str, Inert("is for Kafka")] = ""
    batch: Batch | None = None
    """Hand over several events at once."""
    mode: Annotated[Literal["sync", "async"], _ONE_AT_A_TIME] = "sync"
    async_: Annotated[dict[str, Any], _ONE_AT_A_TIME] = Field({}, alias="async")
    total_tasks: Annotated[int, Inert()] = Field(0, alias="total_tasks")
    max_task_allocation: Annotated[int, Inert()] = Field(0, alias="max_task_allocation")

    @property
    def workers(self) -> int:
        """Return how many workers serve the trigger; `maxWorkers` is the older name of `numWorkers`."""
        given = "num_workers" in self.model_fields_set
        return max(1, self.num_workers if given and self.num_workers else self.max_workers or self.num_workers)


class Cors(NuclioDocument):
    """Which pages of other sites may ask; an empty list stands for Nuclio's default."""

    enabled: bool = False
    """Let pages of other sites ask."""
    allow_origins: list[str] = []
    allow_methods: list[str] = []
    allow_headers: list[str] = []
    expose_headers: list[str] = []
    allow_credentials: bool = False
    preflight_max_age_seconds: int | None = Field(None, ge=-1)


class HttpAttributes(NuclioDocument):
    """Attributes of an http trigger; `port` is a port of this machine.

    `hideTraceback`, which is Tidegate's own, keeps what went wrong in a handler out of the body of the response.
    """

    port: int = Field(0, ge=0, le=65535)
    """A port of this machine that leads to the function alone; 0 is none that is fixed."""
    read_buffer_size: int = Field(16384, gt=0)
    """Bytes; the headers of a request may not be longer."""
    max_request_body_size: int = Field(4194304, gt=0)
    """Bytes; a larger body is refused."""
    reduce_memory_usage: Annotated[bool, Inert()] = False
    cors: Cors = Cors()
    """Which pages of other sites may ask."""
    hide_traceback: bool = False
    """Keep what went wrong in a handler out of the response; it is in the log."""
    disable_port_publishing: bool = False
    """Only other services of the stack reach it."""
    service_type: Annotated[str, Inert("is for Kubernetes")] = ""
    ingresses: Annotated[dict[str, dict[str, Any]], Inert("is for Kubernetes")] = {}
    mode: Annotated[str, Inert("is parsed and unused, as in Nuclio")] = "sync"


class _TlsAttributes(NuclioDocument):
    """How a broker is met over TLS; each is PEM, or the path of a file in the function's container."""

    ca_cert: str = ""
    """Who vouches for the broker."""
    client_certificate: str = ""
    """Who the function is to the broker."""
    client_key: str = ""
    """The key of that certificate."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.client_key and not self.client_certificate:
            raise ValueError("a clientKey needs its clientCertificate")
        return self


class RabbitAttributes(_TlsAttributes):
    """Attributes of a rabbit-mq trigger; the topics are routing keys of a topic exchange.

    Without `onError` and `requeueOnError` a failed message is tried again and kept in the end; with them it is treated
    as newer Nuclio does.
    """

    exchange_name: str = ""
    """The topic exchange that the queue is bound to."""
    queue_name: str = ""
    """The queue that is consumed; where left out, one of the function's own."""
    topics: list[str] = []
    """Routing keys that bring messages from the exchange; wildcards * and # are allowed."""
    reconnect_duration: Annotated[Duration, Inert("has no effect: a connection is tried again for ever")] = "5m"
    reconnect_interval: Duration = "15s"
    """The longest pause between two attempts to reach the broker."""
    prefetch_count: int = Field(0, ge=0, le=65535)
    """How many messages a worker holds unacknowledged; 0 follows from how long its handler takes."""
    durable_exchange: bool = False
    """Keep the exchange when the broker restarts."""
    durable_queue: bool = True
    """Keep the queue and its messages when the broker restarts."""
    on_error: Literal["", "retry", "ack", "nack"] = ""
    """What becomes of a failed message: tried again, forgotten, or refused."""
    requeue_on_error: bool | None = None
    """Put a refused message back into its queue."""
    max_retries: int = Field(3, ge=0)
    """How often a failed message is tried again before it is kept as a dead letter."""

    @model_validator(mode="after")
    def _bindable(self) -> "RabbitAttributes":
        if self.topics and not self.exchange_name:
            raise ValueError("topics need an exchangeName to be bound to")
        return self


class Subscription(NuclioDocument):
    """A topic filter of MQTT, wildcards included."""

    topic: str = Field(min_length=1)
    """Wildcards: + for one level, # for all that follow."""
    qos: int = Field(0, ge=0, le=2)
    """Quality of service."""

    @field_validator("topic")
    @classmethod
    def _is_filter(cls, value: str) -> str:
        levels = value.split("/")
        if any("#" in level for level in levels[:-1]) or ("#" in levels[-1] and levels[-1] != "#"):
            raise ValueError(f"# should stand alone at the end, as in a/#, not {value!r}")
        if any("+" in level and level != "+" for level in levels):
            raise ValueError(f"+ should stand alone between slashes, as in a/+/b, not {value!r}")
        return value


class MqttAttributes(_TlsAttributes):
    """Attributes of an mqtt trigger; `queueName` names its queue on the stack's own broker."""

    subscriptions: list[Subscription] = Field(min_length=1)
    """Which topics make it run."""
    client_id: str = Field("", alias="clientID")
    """What it calls itself on a broker other than the stack's own."""
    protocol_version: Literal[3, 4, 5] = 4
    """Of MQTT: 3 is 3.1, 4 is 3.1.1."""
    queue_name: str = ""
    """Its queue on the stack's own broker; where left out, one of the function's own."""
    max_retries: int = Field(3, ge=0)
    """How often a failed message is tried again before it is kept as a dead letter."""


class CronEvent(NuclioDocument):
    """What a cron trigger says each time."""

    body: str = ""
    headers: dict[str, str | int | float | bool] = {}
    path: str = ""
    method: str = ""


class CronAttributes(NuclioDocument):
    """Attributes of a cron trigger; an interval wins over a schedule, as in Nuclio."""

    schedule: str = ""
    """Five fields, six with the seconds first, @hourly, or @every 90s."""
    interval: Duration = ""
    """Such as 500ms or 1h30m; wins over the schedule."""
    timezone: str = ""
    """The schedule's time zone, such as Europe/Rome; UTC where left out."""
    event: CronEvent = CronEvent()
    """What the handler is given."""
    concurrency_policy: Annotated[str, Inert("is for Kubernetes; one run at a time here")] = ""
    job_backoff_limit: Annotated[int, Inert("is for Kubernetes")] = 2

    @model_validator(mode="after")
    def _has_time(self) -> Self:
        if not self.schedule and not self.interval:
            raise ValueError("needs a schedule, such as '*/5 * * * *', or an interval, such as 10s")
        return self


class HttpTrigger(_Trigger):
    """An HTTP server on port 8080 of the container."""

    kind: Literal["http"]
    attributes: HttpAttributes = HttpAttributes()

    @property
    def is_published(self) -> bool:
        """Say whether a port of this machine leads to it."""
        hidden = self.annotations.get("nuclio.io/disable-port-publishing", "").lower() == "true"
        return bool(self.attributes.port) or not (hidden or self.attributes.disable_port_publishing)


class RabbitTrigger(_Trigger):
    """A queue of an AMQP broker."""

    kind: Literal["rabbit-mq", "rabbitMq", "rabbitmq"]
    username: str = ""
    password: str = ""
    attributes: RabbitAttributes = RabbitAttributes()


class MqttTrigger(_Trigger):
    """Topics of an MQTT broker."""

    kind: Literal["mqtt"]
    batch: Annotated[Batch | None, _BATCHES] = None
    username: str = ""
    password: str = ""
    attributes: MqttAttributes


class CronTrigger(_Trigger):
    """The clock."""

    kind: Literal["cron"]
    batch: Annotated[Batch | None, _BATCHES] = None
    attributes: CronAttributes


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


def kind_of(value: Any) -> str:
    """Return the kind of a trigger, parsed or as it stands in a file; `other` if it is none of those supported."""
    if isinstance(value, dict):
        kind = next((item for key, item in value.items() if str(key).lower() == "kind"), "")
    else:
        kind = getattr(value, "kind", "")
    kind = _ALIASES.get(str(kind), str(kind))
    return kind if kind in SUPPORTED else "other"


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
