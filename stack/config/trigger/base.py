"""What every kind of trigger has, and what those that take from a broker have as well."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from stack.config.document import Ignored, NuclioDocument
from stack.config.value import Address, Duration

# Nuclio's limit (numWorkers).
_MOST_WORKERS = 100_000
# As many messages as AMQP can hand to a worker ahead of time.
_MOST_AT_ONCE = 65_535
_ONE_AT_A_TIME = Ignored("has no effect: a worker handles one event at a time; use numWorkers")
NO_BATCHES = Ignored("is for http and rabbit-mq")
_NO_BROKER = Ignored("is for rabbit-mq and mqtt")


class Batch(NuclioDocument):
    """Several events handed over at once."""

    mode: Literal["enable", "disable"] = "disable"
    """enable hands over several events at once, as a list."""
    batch_size: int = Field(10, gt=0, le=_MOST_AT_ONCE)
    """How many events at most."""
    timeout: Duration = "1s"
    """How long the first of them waits for more."""


class BaseTrigger(NuclioDocument):
    """What every kind has."""

    is_single: ClassVar[bool] = False
    """Whether a function can have one trigger of the kind only."""
    own_attributes: ClassVar[tuple[str, ...]] = ()
    """Attributes that code which is fetched may not set: only the function's own function.yaml."""

    name: str = ""
    """The trigger's key again, if anything."""
    class_: Annotated[str, Ignored("is ignored, as in Nuclio")] = Field("", alias="class")
    disabled: bool = False
    """Leave the trigger out."""
    num_workers: int = Field(1, ge=0, le=_MOST_WORKERS)
    """How many events it handles at once; each worker is a process."""
    max_workers: int = Field(0, ge=0, le=_MOST_WORKERS)
    """The older name of numWorkers."""
    url: Annotated[Address, _NO_BROKER] = ""
    username: Annotated[str, _NO_BROKER] = ""
    password: Annotated[str, _NO_BROKER] = ""
    secret: Annotated[str, _NO_BROKER] = ""
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
    kind: str
    attributes: NuclioDocument

    @property
    def workers(self) -> int:
        """Return how many workers serve the trigger; `maxWorkers` is the older name of `numWorkers`."""
        given = "num_workers" in self.model_fields_set
        return max(1, self.num_workers if given and self.num_workers else self.max_workers or self.num_workers)


# Bytes: what the length of a short string of AMQP, and of a text of MQTT, can say.
LONGEST_NAME, _LONG = 255, 65_535
RESERVED = "amq."


def _check_short(text: str) -> str:
    return _check_length(text, LONGEST_NAME)


def _check_topic(text: str) -> str:
    return _check_length(text, _LONG)


def _check_length(text: str, most: int) -> str:
    if (size := len(text.encode())) > most:
        raise ValueError(f"should be at most {most} bytes long, not {size}, which no broker takes")
    return text


def _check_queue(text: str) -> str:
    if text.startswith(RESERVED):
        raise ValueError(f"should not begin with amq., which is for queues that RabbitMQ names, not {text!r}")
    return text


# Types of queues: a quorum queue keeps on the disk what it has confirmed, whatever ends the broker.
QUORUM, CLASSIC = "quorum", "classic"
QueueType = Literal["", "quorum", "classic"]
ShortName = Annotated[str, AfterValidator(_check_short)]
QueueName = Annotated[ShortName, AfterValidator(_check_queue)]
Topic = Annotated[str, AfterValidator(_check_topic)]


class TlsAttributes(NuclioDocument):
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
