"""What the attributes of triggers that take from a broker have in common."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from stack.config.document import NuclioDocument

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
