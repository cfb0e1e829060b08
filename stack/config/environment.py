"""spec.env and spec.envFrom: the environment that a handler finds."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from stack.config.document import NuclioDocument
from stack.config.inert import Inert
from stack.config.secret import SecretKey, SecretName

_INSTEAD = Inert("is for Kubernetes and sets nothing here; use value, or secretKeyRef and `invoke secret set`")
_INSTEAD_OF_MAP = Inert("is for Kubernetes and sets nothing here; use env, or secretRef and `invoke secret set`")


class SecretKeyRef(NuclioDocument):
    """One value of a secret; an `optional` one may be missing."""

    name: SecretName
    key: SecretKey
    optional: bool = False


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
    value: str = ""
    value_from: ValueFrom | None = None

    @model_validator(mode="after")
    def _has_one_value(self) -> Self:
        if self.value and self.value_from:
            raise ValueError(f"{self.name} has a value and a valueFrom; leave one out")
        return self


class SourceRef(NuclioDocument):
    """A config map by its name; an `optional` one may be missing."""

    name: str = Field(min_length=1)
    optional: bool = False


class SecretSource(SourceRef):
    """A secret by its name."""

    name: SecretName


class VariableSource(NuclioDocument):
    """Variables taken from every key of a secret, each with the prefix before its name."""

    prefix: str = Field("", pattern=r"^[^=\x00]*$")
    secret_ref: SecretSource | None = None
    config_map_ref: Annotated[SourceRef | None, _INSTEAD_OF_MAP] = None

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (self.secret_ref is None) == (self.config_map_ref is None):
            raise ValueError("should have one source, such as secretRef: {name: broker}")
        return self
