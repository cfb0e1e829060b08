"""Attributes: what each kind of trigger has of its own. The facts are Nuclio's."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from stack.config.document import Ignored, NuclioDocument
from stack.config.problem import Problem, refuse
from stack.config.value import Duration
from stack.contract import parse_duration
from stack.processor.source.schedule import parse_schedule

# Bytes: what the length of a short string of AMQP, and of a text of MQTT, can say.
_SHORT, _LONG = 255, 65_535
_RESERVED = "amq."
# RabbitMQ's own exchanges that are topic exchanges; the second begins the names of its plugins'.
_TOPIC_EXCHANGES = ("amq.topic", "amq.rabbitmq.")


def _check_short(text: str) -> str:
    return _check_length(text, _SHORT)


def _check_topic(text: str) -> str:
    return _check_length(text, _LONG)


def _check_length(text: str, most: int) -> str:
    if (size := len(text.encode())) > most:
        raise ValueError(f"should be at most {most} bytes long, not {size}, which no broker takes")
    return text


def _check_queue(text: str) -> str:
    if text.startswith(_RESERVED):
        raise ValueError(f"should not begin with amq., which is for queues that RabbitMQ names, not {text!r}")
    return text


# Types of queues: a quorum queue keeps on the disk what it has confirmed, whatever ends the broker.
QUORUM, CLASSIC = "quorum", "classic"
QueueType = Literal["", "quorum", "classic"]
ShortName = Annotated[str, AfterValidator(_check_short)]
QueueName = Annotated[ShortName, AfterValidator(_check_queue)]
Topic = Annotated[str, AfterValidator(_check_topic)]


def check_declared(queue: str, exchange: str) -> Iterator[Problem]:
    """Find what RabbitMQ lets no one declare; what is only consumed may have any name."""
    if queue.startswith(_RESERVED):
        yield Problem(("queueName",), f"should not begin with amq., which is for queues that RabbitMQ names: {queue!r}")
    if exchange.startswith(_RESERVED) and not exchange.startswith(_TOPIC_EXCHANGES):
        text = "should not begin with amq., which is for RabbitMQ's own exchanges; of those amq.topic has topics"
        yield Problem(("exchangeName",), text)


def check_keys(topics: Sequence[str]) -> Iterator[Problem]:
    """Find topic filters that are too long to bind a queue of RabbitMQ."""
    for number, topic in enumerate(topics):
        if len(topic.encode()) > _SHORT:
            text = f"should be at most {_SHORT} bytes long, which is all that the stack's broker takes"
            yield Problem(("attributes", "subscriptions", str(number), "topic"), text)


_ZONE = "UTC"


def find_mistakes(schedule: str, timezone: str) -> Iterator[Problem]:
    """Yield what the processor would refuse; where no time zone is named, it has that of its container."""
    # Only who has a cron trigger waits for it.
    try:
        parse_schedule("@daily", timezone or _ZONE)
    except ValueError as error:
        yield Problem(("timezone",), str(error))
    try:
        parse_schedule(schedule.strip(), _ZONE)
    except ValueError as error:
        reason = str(error)[:1].lower() + str(error)[1:]
        yield Problem(
            ("schedule",), f"should be such as '*/5 * * * *', @hourly or @every 90s, not {schedule!r}: {reason}"
        )


class Cors(NuclioDocument):
    """Which pages of other sites may ask; an empty list stands for Nuclio's default."""

    enabled: bool = False
    """Let pages of other sites ask."""
    allow_origins: list[str] = []
    """The sites whose pages may call; any where left out."""
    allow_methods: list[str] = []
    """The methods that they may use; the usual seven where left out."""
    allow_headers: list[str] = []
    """The headers that they may send; Nuclio's five where left out."""
    expose_headers: list[str] = []
    """The headers of an answer that they may read."""
    allow_credentials: bool = False
    """Let them send cookies and logins."""
    preflight_max_age_seconds: int | None = Field(None, ge=-1)
    """How many seconds a browser may remember this; at -1 it is told nothing."""


class HttpAttributes(NuclioDocument):
    """Attributes of an http trigger; `port` is a port of this machine.

    `hideTraceback` and `hideLogs`, which are Tidegate's own, say who is told what goes wrong in a handler, and its log:
    no one (true), everyone (false), or, where they are left out, the dashboard and the command line alone.
    """

    port: int = Field(0, ge=0, le=65535)
    """A port of this machine that leads to the function alone; 0 is none that is fixed."""
    read_buffer_size: int = Field(16384, gt=0)
    """Bytes; the headers of a request may not be longer."""
    max_request_body_size: int = Field(4194304, gt=0)
    """Bytes; a larger body is refused."""
    reduce_memory_usage: Annotated[bool, Ignored()] = False
    cors: Cors = Cors()
    """Which pages of other sites may ask."""
    hide_traceback: bool | None = None
    """Keep what went wrong in a handler from all who call it (true), or from no one; it is in the log."""
    hide_logs: bool | None = None
    """Keep the log of a call, which X-Nuclio-Log-Level asks for, from all who call it (true), or from no one."""
    filestream_folder: str = ""
    """The folder below which a handler's response may name a file to be sent, in X-Nuclio-Filestream-Path."""
    authentication: Literal["", "none", "basic", "bearer", "any"] = ""
    """The login that the gateway asks for: none, basic, bearer, or any of the two; where left out, stack.yaml's."""
    disable_port_publishing: bool = False
    """Only other services of the stack reach it."""
    service_type: Annotated[str, Ignored("is for Kubernetes")] = ""
    ingresses: Annotated[dict[str, dict[str, Any]], Ignored("is for Kubernetes")] = {}
    mode: Annotated[str, Ignored("is parsed and unused, as in Nuclio")] = "sync"


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

    exchange_name: ShortName = ""
    """The topic exchange that the queue is bound to."""
    queue_name: ShortName = ""
    """The queue that is consumed; where left out, one of the function's own."""
    topics: list[ShortName] = []
    """Routing keys that bring messages from the exchange; wildcards * and # are allowed."""
    reconnect_duration: Annotated[Duration, Ignored("has no effect: a connection is tried again for ever")] = "5m"
    reconnect_interval: Duration = "15s"
    """The longest pause between two attempts to reach the broker."""
    prefetch_count: int = Field(0, ge=0, le=65535)
    """How many messages a worker holds unacknowledged; 0 follows from how long its handler takes."""
    durable_exchange: bool = False
    """Keep the exchange when the broker restarts."""
    durable_queue: bool = True
    """Keep the queue and its messages when the broker restarts."""
    queue_type: QueueType = ""
    """quorum or classic; where left out, a durable queue of the stack's own broker is a quorum queue."""
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
        refuse(self, check_declared(self.queue_name, self.exchange_name) if self.topics else ())
        if self.queue_type == QUORUM and not self.durable_queue:
            raise ValueError("a quorum queue is durable: leave out durableQueue: false or queueType: quorum")
        return self


class Subscription(NuclioDocument):
    """A topic filter of MQTT, wildcards included."""

    topic: Topic = Field(min_length=1)
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
    queue_name: QueueName = ""
    """Its queue on the stack's own broker; where left out, one of the function's own."""
    queue_type: QueueType = ""
    """quorum or classic; where left out, its queue on the stack's own broker is a quorum queue."""
    max_retries: int = Field(3, ge=0)
    """How often a failed message is tried again before it is kept as a dead letter."""


class CronEvent(NuclioDocument):
    """What a cron trigger says each time."""

    body: str = ""
    """The body."""
    headers: dict[str, str | int | float | bool] = {}
    """The headers."""
    path: str = ""
    """The path."""
    method: str = ""
    """The method."""


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
    concurrency_policy: Annotated[str, Ignored("is for Kubernetes; one run at a time here")] = ""
    job_backoff_limit: Annotated[int, Ignored("is for Kubernetes")] = 2

    @model_validator(mode="after")
    def _has_time(self) -> Self:
        if self.interval and parse_duration(self.interval):
            return self
        if not self.schedule.strip():
            raise ValueError("needs a schedule, such as '*/5 * * * *', or an interval, such as 10s")
        refuse(self, find_mistakes(self.schedule, self.timezone))
        return self


class AnyAttributes(NuclioDocument):
    """Attributes of a kind that is not known here."""

    model_config = ConfigDict(extra="allow")
