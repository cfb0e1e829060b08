"""Projects: what functions belong together, as Nuclio describes them."""

import re
from typing import Annotated, Any

from pydantic import Field, field_validator

from stack.config.document import KUBERNETES, Ignored, NuclioDocument
from stack.config.function import FUNCTION_LABEL, check_name, check_qualified_name
from stack.config.value import Labels

# Kubernetes' DNS label, which Nuclio asks for.
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")


class ProjectMetadata(NuclioDocument):
    """Which project it is."""

    name: str = Field(json_schema_extra={"pattern": _NAME.pattern})
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    resource_version: Annotated[str, Ignored()] = ""

    @field_validator("name")
    @classmethod
    def _valid(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError(
                f"should be at most 63 lower-case letters, digits and '-', none at its ends, not {value!r}"
            )
        return value


class ProjectSpec(NuclioDocument):
    """What the project is for."""

    description: str = ""
    owner: str = ""
    default_function_node_selector: Annotated[Labels, KUBERNETES] = {}


class Project(NuclioDocument):
    """A whole project; `apiVersion`, `kind` and `status` are read and not used."""

    api_version: str = ""
    kind: str = ""
    metadata: ProjectMetadata
    spec: ProjectSpec = ProjectSpec.model_construct()
    status: Annotated[dict[str, Any], Ignored("is written by a dashboard and not read")] = {}


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
    metadata: EventMetadata = EventMetadata.model_construct()
    spec: EventSpec = EventSpec.model_construct()

    @property
    def function(self) -> str:
        """Return the name of the function that it is for; nothing if none is named."""
        return self.metadata.labels.get(FUNCTION_LABEL, "")
