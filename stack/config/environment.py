"""spec.env and spec.envFrom: the environment that a handler finds."""

import re
from typing import Annotated, Any, NamedTuple, Self

from pydantic import AfterValidator, Field, SecretBytes, SecretStr, model_validator

from stack.config.document import Ignored, NuclioDocument

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


_INSTEAD = Ignored("is for Kubernetes and sets nothing here; use value, or secretKeyRef and `invoke secret set`")
_INSTEAD_OF_MAP = Ignored("is for Kubernetes and sets nothing here; use env, or secretRef and `invoke secret set`")


class SecretKeyRef(NuclioDocument):
    """One value of a secret; an `optional` one may be missing."""

    name: SecretName
    """The secret's name."""
    key: SecretKey
    """Which of its values."""
    optional: bool = False
    """Have no variable where the secret or the key is missing."""


class ValueFrom(NuclioDocument):
    """Where a variable's value is taken from."""

    secret_key_ref: SecretKeyRef | None = None
    config_map_key_ref: Annotated[dict[str, Any] | None, _INSTEAD] = None
    field_ref: Annotated[dict[str, Any] | None, _INSTEAD] = None
    resource_field_ref: Annotated[dict[str, Any] | None, _INSTEAD] = None

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("should have one source, such as secretKeyRef: {name: broker, key: url}")
        return self


class Variable(NuclioDocument):
    """A variable of the handler's environment."""

    name: str = Field(pattern=r"^[^=\x00]+$")
    """The variable's name."""
    value: str = ""
    """Its value, as a text."""
    value_from: ValueFrom | None = None

    @model_validator(mode="after")
    def _has_one_value(self) -> Self:
        if self.value and self.value_from:
            raise ValueError(f"{self.name} has a value and a valueFrom; leave one out")
        return self


class SourceRef(NuclioDocument):
    """A config map by its name; an `optional` one may be missing."""

    name: str = Field(min_length=1)
    """The name."""
    optional: bool = False
    """Have no variables where it is missing."""


class SecretSource(SourceRef):
    """A secret by its name."""

    name: SecretName
    """The secret's name."""


class VariableSource(NuclioDocument):
    """Variables taken from every key of a secret, each with the prefix before its name."""

    prefix: str = Field("", pattern=r"^[^=\x00]*$")
    """Put before the name of each variable."""
    secret_ref: SecretSource | None = None
    config_map_ref: Annotated[SourceRef | None, _INSTEAD_OF_MAP] = None

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (self.secret_ref is None) == (self.config_map_ref is None):
            raise ValueError("should have one source, such as secretRef: {name: broker}")
        return self
