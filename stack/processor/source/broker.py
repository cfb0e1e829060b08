"""What sources of a broker's messages need: growing delays between attempts, TLS, and an mqtt trigger's filters."""

import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import uniform

from stack.processor.attributes import Attributes, ConfigurationError
from stack.processor.configuration import Function, Trigger
from stack.processor.delivery import Intake, Report
from stack.processor.in_flight import InFlight

_FIRST, _FACTOR = 0.2, 2.0
# A part of each delay is random, so that many workers do not come back to a broker at the same moment.
_JITTER = 0.25


@dataclass(frozen=True)
class SourceContext:
    """What the source of a trigger works with; `in_flight` is where its worker notes what it handles."""

    trigger: Trigger
    function: Function
    intake: Intake
    report: Report
    in_flight: InFlight


class Delays:
    """Seconds to wait before each attempt, growing up to a longest one."""

    def __init__(self, longest: float) -> None:
        self._longest = max(_FIRST, longest)
        self._delay = _FIRST

    def next(self) -> float:
        """Return the seconds to wait now."""
        delay, self._delay = self._delay, min(self._longest, self._delay * _FACTOR)
        return delay * uniform(1 - _JITTER, 1 + _JITTER)

    def reset(self) -> None:
        """Begin again: the attempt went well."""
        self._delay = _FIRST


# What a certificate or key in PEM begins with; anything else is the path of a file.
_PEM = "-----BEGIN"


def open_tls(attributes: Attributes) -> ssl.SSLContext:
    """Return the context for a trigger's connection; the broker's certificate and name are always checked.

    The system's authorities are trusted, or those of the attribute `caCert` alone; `clientCertificate` and `clientKey`
    are shown to the broker. Each is PEM, or the path of a file in PEM.

    Raises:
        ConfigurationError: one of them cannot be read, or is not in PEM.
    """
    authority = attributes.text("caCert")
    is_inline = _is_pem(authority)
    try:
        context = ssl.create_default_context(
            cafile=authority if authority and not is_inline else None, cadata=authority if is_inline else None
        )
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{attributes.path}.caCert: {error}") from None
    if attributes.text("clientCertificate"):
        _load_identity(context, attributes)
    return context


def _load_identity(context: ssl.SSLContext, attributes: Attributes) -> None:
    certificate, key = attributes.text("clientCertificate"), attributes.text("clientKey")
    try:
        if _is_pem(certificate) or _is_pem(key):
            _load_inline(context, _read(certificate), _read(key))
        else:
            context.load_cert_chain(certificate, key or None)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{attributes.path}.clientCertificate and clientKey: {error}") from None


def _load_inline(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Load both from a file that only this user can read, since OpenSSL takes them from nowhere else."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(f"{certificate.strip()}\n{key.strip()}\n")
        file.flush()
        context.load_cert_chain(file.name)


def _read(text: str) -> str:
    if _is_pem(text) or not text:
        return text
    return Path(text).read_text()


def _is_pem(text: str) -> bool:
    return text.lstrip().startswith(_PEM)


def read_filters(trigger: Trigger) -> dict[str, int]:
    """Return the topic filters of an mqtt trigger and the quality of service of each.

    Two is taken for one: RabbitMQ has no such quality, and a handler that must see a message at least once gains
    nothing by it.
    """
    subscriptions = trigger.attributes.raw("subscriptions")
    count = len(subscriptions) if isinstance(subscriptions, list) else 0
    items = [trigger.attributes.item("subscriptions", index) for index in range(count)]
    return {item.text("topic"): min(1, item.integer("qos", 0)) for item in items}
