"""Projects: what functions belong together, as Nuclio describes them."""

import re
from typing import Annotated, Any

from pydantic import Field, field_validator

from stack.config.document import NuclioDocument
from stack.config.inert import KUBERNETES, Inert
from stack.config.label import Labels

# Kubernetes' DNS label, which Nuclio asks for.
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")


class ProjectMetadata(NuclioDocument):
    """Which project it is."""

    name: str = Field(json_schema_extra={"pattern": _NAME.pattern})
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    resource_version: Annotated[str, Inert()] = ""

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
    spec: ProjectSpec = ProjectSpec()
    status: Annotated[dict[str, Any], Inert("is written by a dashboard and not read")] = {}
