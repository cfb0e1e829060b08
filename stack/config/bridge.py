"""The part `bridge` of stack.yaml: what goes to the broker of another place, and what comes from there."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations, product, zip_longest
from typing import Annotated, Self
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from stack.config.device import Rate, read_rate
from stack.config.document import Document
from stack.config.environment import SecretRef
from stack.config.network import check_server_name
from stack.config.problem import Problem, refuse
from stack.config.trigger.base import LONGEST_NAME, RESERVED, ShortName
from stack.config.trigger.mqtt import check_filter
from stack.contract import parse_days

SECURE = "amqps"
_PORTS = {"amqp": 5672, SECURE: 5671}
_NAME = re.compile(r"[a-z0-9][-_a-z0-9]{0,62}")
_MINUTE, _DAY = 60.0, 24 * 3600.0
# RabbitMQ counts how long a message is kept in milliseconds, of which it takes less than 2**32.
_MOST_DAYS, _MOST_MEGABYTES = 49, 1_000_000
_OWN = "tidegate"
# Bytes a second. With less, a connection takes longer to be made than RabbitMQ waits for it.
_LEAST_RATE = 100
# Messages on their way at once: what is so takes one and a half times its size of memory, and comes twice when the line
# is cut; with fewer a long line carries less.
_PREFETCH, _MOST_PREFETCH = 50, 2000


def check_place_name(text: str) -> str:
    """Return the name of a place as it is.

    Raises:
        ValueError: it is none.
    """
    if not _NAME.fullmatch(text):
        raise ValueError(f"should be at most 63 small letters, digits, - and _, such as plant-7, not {text!r}")
    return text


# What is wrong with an address is told without it: somebody may have written a password into it.
def _check_address(text: str) -> str:
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("should be an address such as amqps://hq.example/%2f or amqps://[fd00::7]/%2f") from None
    if text and (parts.scheme not in _PORTS or not parts.hostname):
        raise ValueError("should be an address such as amqps://hq.example/%2f")
    if "@" in parts.netloc:
        raise ValueError("should be without the account, which `secret` names: amqps://hq.example/%2f")
    if parts.query or parts.fragment:
        raise ValueError("should end with the virtual host, such as amqps://hq.example/%2f")
    if text:
        _check_host(parts)
    return text


def _check_host(parts: SplitResult) -> None:
    host = parts.hostname or ""
    if host in ("localhost", "::1") or host.startswith("127."):
        raise ValueError(f"should not have {host}, which is the container of this broker: name the machine's address")
    try:
        check_server_name(host)
    except ValueError:
        raise ValueError("should have the name of a host of letters, digits, - and dots, or its address") from None
    try:
        is_port = parts.port is None or parts.port > 0
    except ValueError:
        is_port = False
    if not is_port:
        raise ValueError("should have a port between 1 and 65535, if any, such as amqps://hq.example:5671/%2f")


def _check_topic(text: str) -> str:
    if not text or len(text.encode()) > LONGEST_NAME or not text.isprintable():
        raise ValueError(f"should be a topic filter of at most {LONGEST_NAME} bytes, not {text!r}")
    check_filter(text)
    if "." in text:
        raise ValueError(f"should have no dot, which RabbitMQ takes for a slash, not {text!r}")
    first = _split(text)[0]
    if first in ("+", "#") or first.startswith("$") or first == _OWN:
        raise ValueError(
            f"should begin with a level of your own, such as plant/#: topics of the stack's own stay here, not {text!r}"
        )
    return text


def _check_secret(text: str) -> str:
    SecretRef.parse(text)
    return text


Topics = tuple[Annotated[str, AfterValidator(_check_topic)], ...]


class Bridge(Document):
    """Another place, such as a headquarters or one of its sites, and what goes there and comes back.

    Each of two places has one for the other; that of the place that connects says where `to`.
    """

    name: Annotated[str, AfterValidator(check_place_name)]
    """What the other place is called; by the place that is connected to, as that one's `site` says."""
    to: Annotated[str, AfterValidator(_check_address)] = ""
    """Where its broker is, such as amqps://hq.example/%2f; without it, the other place connects to this one."""
    secret: Annotated[str, AfterValidator(_check_secret)]
    """The secret with the account at the broker that is connected to, as NAME.KEY; it holds USER:PASSWORD."""
    topics: Topics = ()
    """MQTT topics that go there; + is any one level, # all that follow."""
    exchange: ShortName = ""
    """A topic exchange of AMQP: what is published to it at the place that connects comes out of it at the other."""
    durable: bool = False
    """Whether the exchange is kept when the broker restarts."""
    receive: Topics = ()
    """MQTT topics that come from there."""
    buffer: str = "7d"
    """How long a message waits for the other place: days, or a duration such as 48h; then it goes."""
    megabytes: int = Field(1000, ge=1, le=_MOST_MEGABYTES)
    """The size of the messages that wait; then the oldest go."""
    ca: str = ""
    """For amqps, a file of the certificates that vouch for the other broker (PEM); without it, this machine's own."""
    rate: Rate = ""
    """How much may be sent there, such as 1 MB/s; without it, as much as the line carries."""
    prefetch: int = Field(_PREFETCH, ge=1, le=_MOST_PREFETCH)
    """How many messages are on their way at once each way, in the memory of the broker that connects."""

    @property
    def connects(self) -> bool:
        """Return whether this place connects to the other."""
        return bool(self.to)

    @property
    def is_secure(self) -> bool:
        """Return whether it connects by TLS."""
        return urlsplit(self.to).scheme == SECURE

    @property
    def host(self) -> str:
        """Return the name or address of the other broker."""
        return urlsplit(self.to).hostname or ""

    @property
    def port(self) -> int:
        """Return the port of the other broker."""
        parts = urlsplit(self.to)
        return parts.port or _PORTS.get(parts.scheme, 0)

    @property
    def authority(self) -> str:
        """Return host and port of the other broker, as addresses have them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def vhost(self) -> str:
        """Return the virtual host there, / where the address names none."""
        return unquote(urlsplit(self.to).path.removeprefix("/")) or "/"

    @property
    def buffer_seconds(self) -> float:
        """Return how long a message waits."""
        return parse_days(self.buffer)

    @property
    def bytes_a_second(self) -> int:
        """Return how much may be sent a second; 0 for no limit."""
        return read_rate(self.rate)

    @property
    def secret_ref(self) -> SecretRef:
        """Return the secret with the account."""
        return SecretRef.parse(self.secret)

    @property
    def sends(self) -> bool:
        """Return whether anything goes to the other place."""
        return bool(self.topics or (self.exchange and self.connects))

    @property
    def receives(self) -> bool:
        """Return whether anything comes from the other place."""
        return bool(self.receive or (self.exchange and not self.connects))

    @field_validator("exchange")
    @classmethod
    def _is_own(cls, value: str) -> str:
        if value.startswith(RESERVED):
            raise ValueError(f"should be one of your own; what MQTT clients publish has topics: {value!r}")
        return value

    @field_validator("rate")
    @classmethod
    def _is_enough(cls, value: str) -> str:
        if value and read_rate(value) < _LEAST_RATE:
            raise ValueError(f"should be at least {_LEAST_RATE} B/s, or no connection is made in time, not {value!r}")
        return value

    @field_validator("buffer")
    @classmethod
    def _is_buffer(cls, value: str) -> str:
        try:
            seconds = parse_days(value)
        except ValueError:
            raise ValueError(f"should be such as 30d or 48h, not {value!r}") from None
        if not _MINUTE <= seconds <= _MOST_DAYS * _DAY:
            raise ValueError(f"should be between 1m and {_MOST_DAYS}d, which is all that RabbitMQ takes, not {value!r}")
        return value

    @model_validator(mode="after")
    def _agree(self) -> Self:
        refuse(self, self._find_problems())
        return self

    def _find_problems(self) -> Iterator[Problem]:
        if not (self.topics or self.receive or self.exchange):
            yield Problem((), "should have topics that go there, such as plant/#, or some to receive")
        own_prefetch = self.prefetch if "prefetch" in self.model_fields_set else 0
        for key, value in (("ca", self.ca), ("rate", self.rate), ("prefetch", own_prefetch)):
            if value and not self.connects:
                yield Problem((key,), "is for the place that connects, which says where `to`")
        if self.durable and not self.exchange:
            yield Problem(("durable",), "is for an `exchange`")
        if self.ca and self.connects and not self.is_secure:
            yield Problem(("ca",), "is for an address that begins with amqps://")
        for sent, received in product(self.topics, self.receive):
            if overlap(sent, received):
                text = f"{received} and {sent} of topics have topics in common: what came from there would go back"
                yield Problem(("receive",), text)


def overlap(one: str, other: str) -> bool:
    """Return whether there is a topic that two filters match; a dot of a topic is a slash to RabbitMQ."""
    for left, right in zip_longest(_split(one), _split(other)):
        if "#" in (left, right):
            return True
        if left is None or right is None:
            # What ends here may still match x/#, which is x as well.
            return False
        if left != right and "+" not in (left, right):
            return False
    return True


def _split(topic: str) -> Sequence[str]:
    return topic.replace(".", "/").split("/")


def check_bridges(bridges: Iterable[Bridge], own_name: str) -> Iterator[Problem]:
    """Find names that two bridges have, or a bridge and this place."""
    known: set[str] = set()
    for number, one in enumerate(bridges):
        if one.name == own_name:
            text = f"{one.name} is the name of this place itself, by `site` or `project`: name the other one"
            yield Problem(("bridge", str(number), "name"), text)
        if one.name in known:
            yield Problem(("bridge", str(number), "name"), f"{one.name} is the name of another bridge, too")
        known.add(one.name)


def find_rings(bridges: Sequence[Bridge]) -> Iterator[str]:
    """Yield what comes from one place and goes on to another: in a ring of places it never comes to an end."""
    for source, target in permutations(bridges, 2):
        shared = [(one, other) for one, other in product(source.receive, target.topics) if overlap(one, other)]
        for received, sent in shared[:1]:
            yield (
                f"bridge: what comes from {source.name} as {received} goes on to {target.name} as {sent}. "
                f"Should it come back from there to {source.name}, by whatever way, it never ends."
            )
