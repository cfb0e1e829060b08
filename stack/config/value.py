"""Durations as Go and Nuclio write them: 500ms, 10s, 1h30m."""

import math
import re
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator

from stack.config.problem import Problem
from stack.contract import parse_duration


def _check(text: str) -> str:
    if text:
        parse_duration(text)
    return text


def _write_zero(value: object) -> object:
    """Return a bare 0, which is the only number that needs no unit, as a text."""
    return "0" if value == 0 and type(value) is int else value


Duration = Annotated[str, BeforeValidator(_write_zero), AfterValidator(_check)]


_QUANTITY = re.compile(r"\+?(\d+\.?\d*|\.\d+)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d+))?", re.ASCII)
_FACTORS: dict[str | None, float] = {None: 1, "n": 1e-9, "u": 1e-6, "m": 1e-3} | {
    unit: 1000**power for power, unit in enumerate("kMGTPE", start=1)
}
_BINARY: dict[str | None, float] = {f"{unit}i": 1024**power for power, unit in enumerate("KMGTPE", start=1)}
# What Docker refuses to go below or above, in bytes.
_LEAST_MEMORY, _MOST_MEMORY = 6 * 1024**2, 2**63 - 1
_EXAMPLES = {"cpu": "500m or 2", "memory": "64Mi or 1G"}
# Such small units of a processor make sense, and none of its multiples.
_OF_CPUS = (None, "n", "u", "m")


def cpus(text: str) -> str:
    """Turn `500m` or `2` into Docker's number of processors; nothing stays nothing.

    Raises:
        ValueError: it is not a quantity of processors.
    """
    if not text:
        return ""
    number, unit = _split(text, "cpu")
    if unit not in _OF_CPUS:
        raise ValueError(f"cpu should be such as {_EXAMPLES['cpu']}, not {text!r}")
    return f"{number * _FACTORS[unit]:g}"


def memory_bytes(text: str) -> int:
    """Turn `64Mi` or `1G` into bytes; nothing becomes 0.

    Raises:
        ValueError: it is not a quantity of bytes.
    """
    if not text:
        return 0
    number, unit = _split(text, "memory")
    if unit in _OF_CPUS[1:]:
        raise ValueError(f"memory should be such as {_EXAMPLES['memory']}, not {text!r}")
    return int(number * (_FACTORS | _BINARY)[unit])


def check_memory(text: str) -> str:
    """Return a limit of memory as it is, if Docker takes it; 0 and nothing are no limit.

    Raises:
        ValueError: it is not a quantity, or one that Docker refuses.
    """
    size = memory_bytes(text)
    if 0 < size < _LEAST_MEMORY:
        raise ValueError(f"memory should be at least 6Mi, the least that Docker gives, not {text!r}")
    if size > _MOST_MEMORY:
        raise ValueError(f"memory should be less than 8Ei, not {text!r}")
    return text


def _split(text: str, what: str) -> tuple[float, str | None]:
    match = _QUANTITY.fullmatch(text)
    number = float(f"{match[1]}e{match[3] or 0}") if match else math.inf
    if not match or math.isinf(number * _BINARY["Ei"]):
        raise ValueError(f"{what} should be such as {_EXAMPLES[what]}, not {text!r:.60}")
    return number, match[2]


_NAME = re.compile(r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"(?=.{1,253}/)([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]*[a-z0-9])?/")


def _check_label(labels: dict[str, str]) -> dict[str, str]:
    for key, value in labels.items():
        prefix = _PREFIX.match(key)
        if not _NAME.fullmatch(key[prefix.end() :] if prefix else key):
            raise ValueError(f"{key!r} is no label's name, such as disk or example.com/disk")
        if value and not _NAME.fullmatch(value):
            raise ValueError(f"{value!r} is no label's value: at most 63 of a-z, A-Z, 0-9, '-', '_' and '.'")
    return labels


Labels = Annotated[dict[str, str], AfterValidator(_check_label)]


_ZERO = "\0"


def find_nuls(document: object) -> Iterator[Problem]:
    """Find each text of a document, keys included, that has a NUL character."""
    waiting: list[tuple[tuple[str, ...], object]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        pairs: list[tuple[str, object]] = []
        if isinstance(value, dict):
            pairs = [(str(key), item) for key, item in value.items()]
            yield from (_tell((*path, key), "its key") for key, _ in pairs if _ZERO in key)
        elif isinstance(value, list):
            pairs = [(str(number), item) for number, item in enumerate(value)]
        elif isinstance(value, str) and _ZERO in value:
            yield _tell(path, "it")
        waiting += [((*path, part), item) for part, item in reversed(pairs)]


def _tell(path: tuple[str, ...], what: str) -> Problem:
    return Problem(path, f"should have no NUL character; take \\0 out of {what}")


_AMQP = ("amqp://", "amqps://")
# Without a scheme it is plain TCP.
_MQTT = ("", "tcp", "mqtt", "ssl", "tls", "mqtts", "ws", "wss")
# Hosts that a trigger's url may name to mean the stack's own broker.
_OWN_HOSTS = ("rabbitmq-mqtt", "rabbitmq")


def is_own_broker(url: str) -> bool:
    """Return whether a trigger's url means the stack's broker: it is empty, or names its service."""
    try:
        return not url or _split_url(url).hostname in _OWN_HOSTS
    except ValueError:
        return False


def _split_url(url: str) -> SplitResult:
    return urlsplit(url if "://" in url else f"//{url}")


# What is wrong with an address is not repeated: there may be a password in it.
def _check_url(text: str) -> str:
    try:
        _ = _split_url(text).port
    except ValueError:
        signs = "in a name or password / is written %2F, ? is %3F and # is %23"
        raise ValueError(f"should be an address such as amqp://broker.example:5672; {signs}") from None
    return text


Address = Annotated[str, AfterValidator(_check_url)]


def _check_amqp(text: str) -> str:
    if not is_own_broker(text) and not (text.startswith(_AMQP) and _is_host(_split_url(text).hostname or "localhost")):
        raise ValueError("should be an address such as amqp://broker.example:5672, or one that begins with amqps://")
    return text


def _check_mqtt(text: str) -> str:
    parts = _split_url(text)
    if not is_own_broker(text) and not (parts.scheme in _MQTT and _is_host(parts.hostname or "")):
        schemes = ", ".join(f"{scheme}://" for scheme in _MQTT if scheme)
        raise ValueError(f"should be an address such as mqtt://broker.example:1883; it may begin with {schemes}")
    return text


def _is_host(name: str) -> bool:
    """Return whether it may be a host's name or address; a number alone is rather a port, or a slip."""
    return bool(name) and not name.isdecimal() and not any(character.isspace() for character in name)


AmqpAddress = Annotated[Address, AfterValidator(_check_amqp)]
MqttAddress = Annotated[Address, AfterValidator(_check_mqtt)]


def _check_place(text: str) -> str:
    try:
        urlsplit(text)
    except ValueError as error:
        raise ValueError(f"should be an address such as https://code.example/function.zip ({error})") from error
    return text


Place = Annotated[str, AfterValidator(_check_place)]
"""A URL, or a path of this machine."""


# Docker's own grammar: an optional registry, a lower-case path, an optional tag, an optional digest.
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])"
WORD = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_NAME_IMAGE = re.compile(
    rf"^(?:{_HOST}(?::\d+)?/)?{WORD}(?:/{WORD})*(?::\w[\w.-]{{0,127}})?(?:@[\w+.-]+:[0-9a-f]{{32,}})?$"
)
_REGISTRY = re.compile(rf"^{_HOST}(?::\d+)?(?:/{WORD})*/?$")
# What Nuclio fills in: {{ .Label }} and {{ .Arch }}.
_TEMPLATE = re.compile(r"\{\{ *\.?\w* *\}\}", re.ASCII)


def is_image_name(text: str) -> bool:
    """Return whether Docker takes a text for the name of an image."""
    return _NAME_IMAGE.fullmatch(text) is not None


def _check_name(text: str) -> str:
    if text and not _NAME_IMAGE.fullmatch(_TEMPLATE.sub("x", text)):
        raise ValueError(f"should be the name of an image, such as registry.example:5000/team/name:tag, not {text!r}")
    return text


def _check_base(text: str) -> str:
    if not is_image_name(text):
        raise ValueError(f"should be the name of an image, such as mirror.example:5000/python:3.13-slim, not {text!r}")
    return text


def _check_mirror(text: str) -> str:
    if not is_image_name(f"{text}image:tag"):
        raise ValueError(f"should be what stands before an image's name, such as mirror.example:5000/, not {text!r}")
    return text


def _check_registry(text: str) -> str:
    if text and not _REGISTRY.fullmatch(text):
        raise ValueError(f"should be a registry, such as registry.example:5000/team, not {text!r}")
    return text


ImageName = Annotated[str, AfterValidator(_check_name)]
BaseName = Annotated[str, AfterValidator(_check_base)]
Mirror = Annotated[str, AfterValidator(_check_mirror)]
Registry = Annotated[str, AfterValidator(_check_registry)]
