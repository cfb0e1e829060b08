"""Operations, from which OpenAPI's objects are made."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

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
    example: Mapping[str, Any] | None = None


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
            "tags": [self.path.split("/")[2]],
            "summary": self.summary,
            "parameters": [*places, *(_describe_parameter(one) for one in self.parameters)],
            "responses": self._describe_answers(),
        }
        if self.is_deprecated:
            described["deprecated"] = True
        if self.body:
            example = {"example": dict(self.body.example)} if self.body.example else {}
            content = {_JSON: {"schema": refer(self.body.schema), **example}}
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
