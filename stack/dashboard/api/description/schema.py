"""Schemas of what the API answers, and of bodies that are no document of a person's."""

from typing import Any

from stack.config.function import FUNCTION_LABEL, FunctionConfig
from stack.config.function_event import FunctionEvent
from stack.config.project import Project
from stack.config.schema import describe_models
from stack.dashboard.api.description.operation import QUALIFIED, SCHEMAS, refer
from stack.dashboard.api.function_templates import Rendering

_TEXT: dict[str, Any] = {"type": "string"}
_OBJECT: dict[str, Any] = {"type": "object"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_NAME: dict[str, Any] = {"type": "string", "minLength": 1}


def describe_schemas() -> dict[str, Any]:
    """Return all schemas by their names."""
    return describe_models((FunctionConfig, FunctionEvent, Project, Rendering), SCHEMAS) | _ANSWERS | _BODIES


def _record(required: str, **properties: Any) -> dict[str, Any]:
    """Return the schema of an object; `required` are the names of keys that it always has."""
    return {"type": "object", "properties": properties, "required": required.split()}


def _map(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object whose keys are names."""
    return {"type": "object", "additionalProperties": schema}


def _account(failures: str, noun: str) -> dict[str, Any]:
    failed = {"type": "array", "items": _record(f"{noun} error", **{noun: _TEXT, "error": _TEXT})}
    return _record(f"createdAmount failedAmount {failures}", createdAmount=_COUNT, failedAmount=_COUNT) | {
        "properties": {"createdAmount": _COUNT, "failedAmount": _COUNT, failures: failed}
    }


_LOG = _record("time level message", time={"type": "number"}, level=_TEXT, name=_TEXT, message=_TEXT)
_STATUS = _record(
    "state",
    state={"type": "string", "enum": ["building", "ready", "error", "unhealthy", "imported", "scaledToZero"]},
    message=_TEXT,
    logs={"type": "array", "items": _LOG},
    httpPort=_COUNT,
    internalInvocationUrls=_TEXTS,
    externalInvocationUrls=_TEXTS,
)
_FUNCTION_METADATA = _record("name labels", name=_NAME, namespace=_TEXT, labels=_map(_TEXT), annotations=_map(_TEXT))
_EXPORTED = _record("metadata spec", metadata=_OBJECT, spec=_OBJECT)

_ANSWERS: dict[str, Any] = {
    "Error": _record("error", error=_TEXT, errorStackTrace=_TEXT),
    "Function": _record("metadata spec", metadata=_FUNCTION_METADATA, spec=_OBJECT, status=_STATUS),
    "Functions": _map(refer("Function")),
    "Replicas": _record("names", names=_TEXTS),
    "Text": _TEXT,
    "Anything": {},
    "ProjectObject": {"anyOf": [refer("ProjectAnswer"), refer("ProjectExport")]},
    "ProjectAnswer": _record(
        "metadata spec status", metadata=_record("name", name=_TEXT), spec=_OBJECT, status=_OBJECT
    ),
    "ProjectObjects": _map(refer("ProjectObject")),
    "ProjectExport": _record(
        "project functions functionEvents apiGateways",
        project=refer("Project"),
        functions=_map(_EXPORTED),
        functionEvents=_map(refer("FunctionEvent")),
        apiGateways=_map(_OBJECT),
    ),
    "ProjectCreated": {"anyOf": [refer("ProjectAnswer"), refer("ProjectImported")]},
    "ProjectImported": _record(
        "functionImportResult functionEventImportResult apiGatewayImportResult",
        functionImportResult=_account("failedFunctions", "function"),
        functionEventImportResult=_account("failedFunctionEvents", "functionEvent"),
        apiGatewayImportResult=_account("failedAPIGateways", "apiGateway"),
    ),
    "Event": _record("metadata spec", metadata=_record("name namespace labels", name=_NAME), spec=_OBJECT),
    "Events": _map(refer("Event")),
    "Template": {
        "oneOf": [
            _record("metadata template values", metadata=_OBJECT, template=_TEXT, values=_OBJECT),
            _record("rendered", rendered=_EXPORTED),
        ]
    },
    "Templates": _map(refer("Template")),
    "Rendered": _EXPORTED,
    "FrontendSpec": _record("externalIPAddresses namespace platformKind", externalIPAddresses=_TEXTS, namespace=_TEXT),
    "Versions": _record("dashboard", dashboard=_record("label gitCommit os arch", label=_TEXT)),
    "Addresses": _record("externalIPAddresses", externalIPAddresses=_record("addresses", addresses=_TEXTS)),
    "Namespaces": _record("namespaces", namespaces=_record("names", names=_TEXTS)),
}

_IS_NAMED = _record("name", name=dict(QUALIFIED))
_OF_FUNCTION = _record("labels", labels=_record(FUNCTION_LABEL, **{FUNCTION_LABEL: dict(QUALIFIED)}))
_BODIES: dict[str, Any] = {
    "NewEvent": {"allOf": [refer("FunctionEvent"), _record("metadata", metadata=_OF_FUNCTION)]},
    "NamedEvent": {"allOf": [refer("FunctionEvent"), _record("metadata", metadata=_IS_NAMED)]},
    "NamedFunction": {"allOf": [refer("FunctionConfig"), _record("metadata spec", metadata=_IS_NAMED)]},
    "Named": _record("metadata", metadata=_IS_NAMED),
    "NamedProject": _record("metadata", metadata=_record("name", name=_NAME)),
    "Desire": _record("", desiredState={"enum": ["ready", "scaledToZero", None]}),
    "ProjectBody": {"anyOf": [refer("Project"), refer("ProjectExport")]},
}
