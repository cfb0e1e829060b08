"""The OpenAPI document: it tells the truth."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from starlette.routing import Route

from stack.dashboard.api import openapi
from stack.dashboard.app import make_app
from stack.dashboard.services import open_services
from tests.unit.dashboard.serving import Client

# Resources of other platforms, of which the API says only that there are none; and the document itself.
UNDESCRIBED = ("/api/api_gateways", "/api/v3io_streams", "/api/openapi.json")


@pytest.mark.usefixtures("client")
def test_every_route_is_described_and_nothing_else() -> None:
    described = {(one.method, one.path) for one in openapi.list_operations()}
    found = {
        (method, route.path.replace(":path", ""))
        for route in make_app(open_services()).routes
        if isinstance(route, Route) and route.path.startswith("/api/") and not route.path.startswith(UNDESCRIBED)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert described == found


def test_document_is_served_and_its_schemas_are_schemas(client: Client) -> None:
    document = client.send("GET", "/api/openapi.json").json
    assert document == openapi.make_document()
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    assert set(_references(document)) <= set(schemas) | {"Failure"}


def test_examples_fit_their_schemas() -> None:
    document = openapi.make_document()
    bodies = [
        next(iter(operation["requestBody"]["content"].values()))
        for methods in document["paths"].values()
        for operation in methods.values()
        if "requestBody" in operation
    ]
    examples = [one for one in bodies if "example" in one]
    assert len(examples) >= 6
    for one in examples:
        Draft202012Validator({**one["schema"], "components": document["components"]}).validate(one["example"])


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item.rpartition("/")[2]
            else:
                yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)
