"""Secrets: values that are never shown, and the names by which functions ask for them."""

import re
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, SecretBytes, SecretStr

# Kubernetes' label and its rule for a key of a secret. A name has no dot, so that NAME.KEY can be told apart again.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_KEY = re.compile(r"(?!\.$|\.\.)[-._A-Za-z0-9]{1,180}")
_REDACTED = "[redacted]"


class Secret(SecretStr):
    """A text that prints as `[redacted]`; `get_secret_value` is the only way to the text itself."""

    def _display(self) -> str:
        return _REDACTED


class SecretContent(SecretBytes):
    """Bytes that print as `[redacted]`; `get_secret_value` is the only way to them."""

    def _display(self) -> bytes:
        return _REDACTED.encode()


class SecretRef(NamedTuple):
    """One value of a secret, as a secretKeyRef names it: a secret holds one for each of its keys."""

    name: str
    key: str

    def __str__(self) -> str:
        return f"{self.name}.{self.key}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read NAME.KEY.

        Raises:
            ValueError: it is something else.
        """
        name, dot, key = text.partition(".")
        if not dot:
            raise ValueError(f"should be NAME.KEY, the name of a secret and one of its keys, not {text!r}")
        return cls(check_secret_name(name), check_secret_key(key))


def check_secret_name(name: str) -> str:
    """Return the name, if a secret can have it.

    Raises:
        ValueError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"should be at most 63 lower-case letters, digits and '-', as in Kubernetes, not {name!r}")
    return name


def check_secret_key(key: str) -> str:
    """Return the key, if a secret can have it.

    Raises:
        ValueError: it cannot.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"should be at most 180 letters, digits, '-', '_' and '.', as in Kubernetes, not {key!r}")
    return key


SecretName = Annotated[str, AfterValidator(check_secret_name)]
SecretKey = Annotated[str, AfterValidator(check_secret_key)]
