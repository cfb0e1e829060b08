"""The stack key: one random secret, from which the secrets that each function has of its own are derived."""

import hashlib
import hmac

from stack.config.secret import SecretContent

# What a derived secret is for; one label's never tells another's.
ACCOUNT = b"account"
ADMINISTRATION = b"administrator"
SIGNATURE = b"signature"


def derive(key: SecretContent, label: bytes, name: str) -> bytes:
    """Return the 32 bytes that belong to a name: HMAC-SHA256 of the label and the name by the stack key."""
    return hmac.digest(key.get_secret_value(), label + b":" + name.encode(), hashlib.sha256)


def signature_key(key: SecretContent, function: str) -> bytes:
    """Return the 32 bytes by which the retries of a function's messages are signed."""
    return derive(key, SIGNATURE, function)
