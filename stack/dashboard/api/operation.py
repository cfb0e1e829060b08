"""Operations, from which OpenAPI's objects are made."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from stack.config.function import FUNCTION_LABEL, FunctionConfig
from stack.config.project import FunctionEvent, Project
from stack.config.schema import describe_models
from stack.dashboard.api.platform import Rendering

SCHEMAS = "#/components/schemas/"
# The name of a function or an event.
QUALIFIED: Mapping[str, Any] = {"type": "string", "pattern": "^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"}
_JSON = "application/json"


@dataclass(frozen=True)
class Parameter:
    """Something in the query, or a header."""

    name: str
    description: str
    place: str = "header"
    schema: Mapping[str, Any] | None = None
    is_required: bool = False


@dataclass(frozen=True)
class Body:
    """What a request sends: the name of its schema, and what it is like."""

    schema: str
    example: Mapping[str, Any] | str | None = None
    media: str = _JSON


@dataclass(frozen=True)
class Operation:
    """One method of one path; `answers` are its good statuses, each with the name of a schema or nothing."""

    method: str
    path: str
    summary: str
    answers: Mapping[int, str]
    failures: Mapping[int, str] | None = None
    """The statuses that it fails with, and why."""
    body: Body | None = None
    parameters: tuple[Parameter, ...] = ()
    is_deprecated: bool = False
    media: str = _JSON

    def describe(self) -> dict[str, Any]:
        """Return OpenAPI's object."""
        names = re.findall(r"\{(\w+)\}", self.path)
        places = [{"name": one, "in": "path", "required": True, "schema": {"type": "string"}} for one in names]
        described: dict[str, Any] = {
            "operationId": self._identify(),
            "tags": [self.path.split("/")[2].partition(".")[0]],
            "summary": self.summary,
            "parameters": [*places, *(_describe_parameter(one) for one in self.parameters)],
            "responses": self._describe_answers(),
        }
        if self.is_deprecated:
            described["deprecated"] = True
        if self.body:
            example = {"example": self.body.example} if self.body.example else {}
            content = {self.body.media: {"schema": refer(self.body.schema), **example}}
            described["requestBody"] = {"required": True, "content": content}
        return described

    def _identify(self) -> str:
        words = re.findall(r"\w+", self.path.removeprefix("/api/"))
        return "_".join([self.method.lower(), *words])

    def _describe_answers(self) -> dict[str, Any]:
        good = {str(status): self._describe_answer(status, schema) for status, schema in self.answers.items()}
        bad = {
            str(status): {"description": why, "content": {_JSON: {"schema": refer("Error")}}}
            for status, why in (self.failures or {}).items()
        }
        return {**good, **bad, "default": {"$ref": "#/components/responses/Failure"}}

    def _describe_answer(self, status: int, schema: str) -> dict[str, Any]:
        content = {self.media: {"schema": refer(schema)}} if schema else None
        return {"description": HTTPStatus(status).phrase, **({"content": content} if content else {})}


def refer(schema: str) -> dict[str, str]:
    """Return a reference to a schema by its name."""
    return {"$ref": f"{SCHEMAS}{schema}"}


def flag(name: str, description: str, place: str = "header") -> Parameter:
    """Return a parameter that counts if it is `true`, and else says nothing."""
    return Parameter(name, description, place, {"type": "string", "examples": ["true"]})


def _describe_parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "required": parameter.is_required,
        "schema": dict(parameter.schema or {"type": "string"}),
    }


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
    revision=_COUNT,
    version=_TEXT,
)
_FUNCTION_METADATA = _record("name labels", name=_NAME, namespace=_TEXT, labels=_map(_TEXT), annotations=_map(_TEXT))
_EXPORTED = _record("metadata spec", metadata=_OBJECT, spec=_OBJECT)

# Of no time while there was none.
_SECONDS = {"type": ["number", "null"]}
_PRESENCE = _record(
    "connected since lastSeen reason",
    connected={"type": "boolean"},
    since=_SECONDS,
    lastSeen=_SECONDS,
    reason=_TEXT,
    protocol=_TEXT,
    address=_TEXT,
)

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
    "Devices": _record("devices total", devices={"type": "array", "items": refer("Device")}, total=_COUNT),
    "Device": _record(
        "name type labels publish subscribe rate metrics mayLogIn",
        name=_TEXT,
        type=_TEXT,
        description=_TEXT,
        labels=_map(_TEXT),
        publish=_TEXTS,
        subscribe=_TEXTS,
        rate=_COUNT,
        metrics=_map(_record("topic unit", topic=_TEXT, unit=_TEXT)),
        mayLogIn={"type": "boolean"},
        presence={"anyOf": [_PRESENCE, {"type": "null"}]},
    ),
    "Presence": _PRESENCE,
    "Twin": _record(
        "device desired reported delta desiredVersion reportedVersion",
        device=_TEXT,
        desired=_OBJECT,
        reported=_OBJECT,
        delta=_OBJECT,
        desiredVersion=_COUNT,
        reportedVersion=_COUNT,
        desiredAt=_SECONDS,
        reportedAt=_SECONDS,
    ),
    "TwinChanges": _record(
        "changes",
        changes={
            "type": "array",
            "items": _record(
                "part version patch by time", part=_TEXT, version=_COUNT, patch=_OBJECT, by=_TEXT, time=_SECONDS
            ),
        },
    ),
    "Identity": _record(
        "host port amqpPort tls user clientId publish subscribe advice",
        host=_TEXT,
        port=_COUNT,
        amqpPort=_COUNT,
        tls={"type": "boolean"},
        user=_TEXT,
        clientId=_TEXT,
        publish=_TEXTS,
        subscribe=_TEXTS,
        advice=_TEXT,
        password=_TEXT,
        certificate=_TEXT,
        key=_TEXT,
        authority=_TEXT,
    ),
    "Calls": _record("calls", calls={"type": "array", "items": refer("Call")}),
    "Call": _record(
        "id device method data by made expires state sent ended answer late",
        id=_TEXT,
        device=_TEXT,
        method=_TEXT,
        data={},
        by=_TEXT,
        made=_TEXT,
        expires=_TEXT,
        state={"enum": ["queued", "sent", "answered", "refused", "expired"]},
        sent={"type": ["string", "null"]},
        ended={"type": ["string", "null"]},
        answer={},
        late=_COUNT,
    ),
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
    "Rollback": _record("", revision=_COUNT),
    "Desire": _record("", desiredState={"enum": ["ready", "scaledToZero", None]}),
    "TwinChange": _record(
        "patch", patch=_OBJECT, part={"enum": ["desired", "reported"]}, version={"type": ["integer", "null"]}
    ),
    "Table": _TEXT,
    "NewCall": _record("method", method=_TEXT, data={}, wait={"type": "number"}, expires=_TEXT),
    "NewDevice": _record(
        "name", name=_NAME, type=_TEXT, topics=_TEXTS, labels=_map(_TEXT), certificate={"type": "boolean"}
    ),
    "ProjectBody": {"anyOf": [refer("Project"), refer("ProjectExport")]},
}
