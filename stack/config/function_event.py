"""Function events: what a function was tried with, kept to try it again, as Nuclio describes them."""

from typing import Any

from pydantic import Field, field_validator

from stack.config.document import NuclioDocument
from stack.config.function import FUNCTION_LABEL, check_name, check_qualified_name


class EventMetadata(NuclioDocument):
    """Which event it is; the label `nuclio.io/function-name` says whose."""

    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}

    @field_validator("name")
    @classmethod
    def _valid_name(cls, value: str) -> str:
        if value:
            check_qualified_name(value)
        return value

    @field_validator("labels")
    @classmethod
    def _valid_function(cls, value: dict[str, str]) -> dict[str, str]:
        if name := value.get(FUNCTION_LABEL):
            check_name(name)
        return value


class EventSpec(NuclioDocument):
    """What is sent, and how."""

    display_name: str = ""
    trigger_name: str = ""
    trigger_kind: str = "http"
    body: str = ""
    attributes: dict[str, Any] = Field({}, examples=[{"method": "POST", "path": "", "headers": {}}])
    """Of HTTP: the method, the path and the headers."""


class FunctionEvent(NuclioDocument):
    """A whole event; `apiVersion` and `kind` are read and not used."""

    api_version: str = ""
    kind: str = ""
    metadata: EventMetadata = EventMetadata()
    spec: EventSpec = EventSpec()

    @property
    def function(self) -> str:
        """Return the name of the function that it is for; nothing if none is named."""
        return self.metadata.labels.get(FUNCTION_LABEL, "")
