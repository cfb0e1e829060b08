"""The parts of stack.yaml about the broker: its nodes, what each takes of its machine, its queues, and the logger."""

from pydantic import Field, ValidationInfo, field_validator

from stack.config.document import Document
from stack.config.value import memory_bytes

# The least that the broker gets along with, and the share of its memory at which publishers wait: the rest is for what
# it does not count itself, and for the files that the kernel holds for it.
_LEAST = {"memory": "256Mi", "disk_free": "50M"}
_WATERMARK = 0.6
# What RabbitMQ takes: a time to live is less than 2**32 milliseconds.
_MOST_MEGABYTES, _MOST_DAYS = 1_000_000, 49
# How many nodes a broker may have.
_NODES = (1, 3, 5)


class Broker(Document):
    """What the broker may take of this machine; both are quantities, such as 512Mi or 1G."""

    memory: str = "1Gi"
    """Its container's memory. At 60 % of it publishers wait."""
    disk_free: str = Field("1G", alias="disk_free")
    """While less of the disk is free, publishers wait."""
    nodes: int = Field(1, json_schema_extra={"enum": list(_NODES)})
    """How many RabbitMQ are one broker, each on a machine of its own: 1, 3 or 5. Of three, one machine may be lost, of
    five two."""

    @field_validator("nodes")
    @classmethod
    def _has_majority(cls, value: int) -> int:
        if value not in _NODES:
            why = "; of 2 none may be lost, as of 1" if value == 2 else ""
            why = "; of 4 no more than one may be lost, as of 3" if value == 4 else why
            raise ValueError(f"should be 1, 3 or 5, not {value}: more than half of the nodes have to be there{why}")
        return value

    @field_validator("memory", "disk_free")
    @classmethod
    def _is_quantity(cls, value: str, info: ValidationInfo) -> str:
        least = _LEAST[info.field_name or ""]
        if "%" in value:
            raise ValueError(f"takes an amount, such as 512Mi or 2G, and no percentage, not {value!r}")
        if memory_bytes(value) < memory_bytes(least):
            raise ValueError(f"should be at least {least}, not {value!r}")
        return value

    @property
    def memory_bytes(self) -> int:
        """Return the memory in bytes."""
        return memory_bytes(self.memory)

    @property
    def memory_watermark(self) -> int:
        """Return the bytes of memory from which on publishers wait."""
        return int(self.memory_bytes * _WATERMARK)

    @property
    def disk_free_bytes(self) -> int:
        """Return the bytes of the disk that stay free."""
        return memory_bytes(self.disk_free)


class Queue(Document):
    """How much a queue may hold; then it refuses publishers, who are told so by confirms."""

    megabytes: int = Field(1000, ge=1, le=_MOST_MEGABYTES)
    """The size of the messages that wait in one queue."""


class DeadLetters(Document):
    """How much a queue of dead letters may hold, and for how long; the oldest go first."""

    megabytes: int = Field(100, ge=1, le=_MOST_MEGABYTES)
    """The size of the messages that one queue of dead letters keeps."""
    days: int = Field(14, ge=1, le=_MOST_DAYS)
    """How long each is kept."""


class Logger(Document):
    """The logger as a service: it keeps what functions of the example say on the queue iot/logs."""

    service: bool = False
    """Whether the stack has it; `invoke logger --service` and `--stop` write this line."""
    megabytes: int = Field(100, ge=1, le=_MOST_MEGABYTES)
    """The size of all that it keeps; the oldest lines go first."""
