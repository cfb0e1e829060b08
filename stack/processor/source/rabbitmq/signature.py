"""What our own copies of failed messages say of themselves, signed: anybody who may publish could say the same.

The key is the function's own. Its processors sign what is to be tried again, and Tidegate's tasks what is sent again.
"""

import hashlib
import hmac
from dataclasses import dataclass

_LABEL = b"tidegate signature:"


@dataclass(frozen=True)
class Origin:
    """Where a message was first published, and how often its event has failed."""

    exchange: str | bytes
    routing_key: str | bytes
    attempts: int = 0
    topic: str = ""
    """The topic of a message of MQTT that another broker brought."""


def derive_signature_key(password: str) -> bytes:
    """Return the key where a function has none: all that have the broker's password know it."""
    return hashlib.sha256(_LABEL + password.encode()).digest()


def sign(key: bytes, queue: str, origin: Origin, body: bytes) -> str:
    """Return the signature of a message in a queue, as hexadecimal text."""
    parts = (queue, origin.exchange, origin.routing_key, str(origin.attempts), origin.topic)
    texts = [part if isinstance(part, bytes) else part.encode(errors="surrogatepass") for part in parts]
    texts.append(hashlib.sha256(body).digest())
    # Lengths keep the end of one part from passing for the beginning of the next.
    message = b"".join(len(text).to_bytes(8) + text for text in texts)
    return hmac.digest(key, message, "sha256").hex()


def is_signed(key: bytes, queue: str, origin: Origin, body: bytes, *, signature: object) -> bool:
    """Return whether a message has the signature that it should have."""
    return isinstance(signature, str) and hmac.compare_digest(
        sign(key, queue, origin, body).encode(), signature.encode(errors="replace")
    )
