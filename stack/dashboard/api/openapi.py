"""GET /api/openapi.json: the API as an OpenAPI document, each operation by its resource."""

import json
from functools import cache
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stack.dashboard.api.function_object import OWN_BROKER, VERSION
from stack.dashboard.api.operation import QUALIFIED, Body, Operation, Parameter, describe_schemas, flag, refer
from stack.dashboard.api.platform import LABEL

_ABOUT = (
    "Nuclio's REST API, so that its clients work without a change. API gateways and v3io streams, which need "
    "Kubernetes or the Iguazio platform, are not described: there are none, and changes answer 501. A login is needed "
    "where other machines can reach the dashboard."
)

_DURATION = {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$", "examples": ["30s", "1m"]}
_NUMBER = {"type": "integer", "minimum": 0}
_NAMESPACE = Parameter("X-Nuclio-Function-Namespace", "Accepted; there is one namespace.")
_PROJECT = Parameter("X-Nuclio-Project-Name", "The project; wins over the label.")
_OWN_BROKER = flag(OWN_BROKER, "Let its triggers, variables and source name this stack's broker, whatever they name.")
_VERSION = Parameter(VERSION, "As it was told with the function: refuse the change if that has changed since.")
_EXPORT = flag("export", "As Nuclio exports it: without a status and without secrets.", "query")
_WAIT = (
    flag("X-Nuclio-Wait-Function-Action", "Answer only when the deploy has ended, in whatever way."),
    Parameter("X-Nuclio-Creation-State-Updated-Timeout", "Accepted; the state is known at once.", schema=_DURATION),
    flag("X-Nuclio-Autofix-Function-Configuration", "Accepted; there is nothing of that kind here."),
)
_REFUSALS = {
    400: "The document is wrong.",
    409: "It exists already, or has changed since it was read.",
    412: "It is being deployed, its name is reserved, or its project does not exist.",
}
_MISSING = {404: "There is no such function."}
_FUNCTION = Body(
    "NamedFunction",
    {
        "metadata": {"name": "reader", "annotations": {"skip-build": "true", "skip-deploy": "true"}},
        "spec": {
            "runtime": "python",
            "handler": "main:handler",
            "build": {"functionSourceCode": "ZGVmIGhhbmRsZXIoY29udGV4dCwgZXZlbnQpOgogICAgcmV0dXJuIDEK"},
        },
    },
)
_INVOCATION = (
    Parameter("X-Nuclio-Function-Name", "The function to call.", schema=QUALIFIED, is_required=True),
    Parameter("X-Nuclio-Path", "The path, with its query."),
    Parameter("X-Nuclio-Invoke-Url", "One of the function's own addresses."),
    Parameter("X-Nuclio-Invoke-Timeout", "How long to wait; 60s if left out.", schema=_DURATION),
    Parameter("X-Nuclio-Log-Level", "Have the log of this call come back in X-Nuclio-Logs, from this level on."),
    flag("X-Nuclio-Sanitize-Response", "Have nothing in the answer run in a browser."),
)


def _invoke(method: str, path: str) -> Operation:
    failures = {
        400: "A header is wrong.",
        404: "There is no such function.",
        412: "It has no http trigger, or is not deployed.",
    }
    return Operation(
        method, path, "Call a function; the answer is its own", {200: "Anything"}, failures,
        parameters=_INVOCATION, media="*/*",
    )  # fmt: skip


FUNCTIONS = (
    Operation(
        "GET", "/api/functions", "List functions by name", {200: "Functions"},
        parameters=(
            _NAMESPACE,
            Parameter("X-Nuclio-Function-Name", "Only this one."),
            Parameter("X-Nuclio-Project-Name", "Only those of this project."),
            _EXPORT,
        ),
    ),
    Operation(
        "POST", "/api/functions", "Create a function and deploy it", {202: ""}, _REFUSALS, _FUNCTION,
        parameters=(_NAMESPACE, _PROJECT, _OWN_BROKER, *_WAIT),
    ),
    Operation(
        "DELETE", "/api/functions", "Delete a function with its containers, images and queues", {204: ""},
        {400: "No function is named.", 409: "It has changed since it was read.", 412: "It is being deployed."},
        Body("Named"),
        parameters=(
            _NAMESPACE,
            _VERSION,
            flag("X-Nuclio-Delete-Function-Ignore-State-Validation", "Also while it is being deployed."),
            flag("X-Nuclio-Delete-Function-With-Api-Gateways", "Accepted; there are none."),
        ),
    ),
    Operation(
        "GET", "/api/functions/{name}", "Tell how a function is", {200: "Function"}, _MISSING,
        parameters=(_NAMESPACE, _EXPORT),
    ),
    Operation(
        "PUT", "/api/functions/{name}", "Replace a function, or create it, and deploy it", {202: ""}, _REFUSALS,
        _FUNCTION, parameters=(_NAMESPACE, _PROJECT, _VERSION, _OWN_BROKER, *_WAIT),
    ),
    Operation(
        "PATCH", "/api/functions/{name}", "Deploy a function again, or scale it to zero", {202: "", 204: ""},
        {400: "There is no such state.", **_MISSING, 412: "It is being deployed, or did not come up."},
        Body("Desire"),
        parameters=(_NAMESPACE, flag("X-Nuclio-Imported-Function-Only", "Only if it was never deployed.")),
    ),
    Operation(
        "POST", "/api/functions/{name}/rollback", "Go back to an older revision; 0 is the one before what runs",
        {202: ""},
        {400: "The document is wrong.", **_MISSING, 412: "There is no such revision, or it did not come up."},
        Body("Rollback", {"revision": 0}),
    ),
    Operation("GET", "/api/functions/{name}/replicas", "List its containers", {200: "Replicas"}, _MISSING),
    Operation(
        "GET", "/api/functions/{name}/logs/{replica}", "Send what a container says", {200: "Text"},
        {400: "It is no container of this function's.", **_MISSING},
        parameters=(
            flag("follow", "Go on as it grows; true if left out.", "query"),
            Parameter("since", "How far back.", "query", _DURATION),
            Parameter("tailLines", "How many of the last lines.", "query", {"type": "integer", "minimum": 0}),
            Parameter("containerName", "Accepted; a replica is one container.", "query"),
        ),
        media="text/plain",
    ),
    *(
        _invoke(method, path)
        for path in ("/api/function_invocations", "/api/function_invocations/{path}")
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
    ),
)  # fmt: skip


_EVENT = {
    "metadata": {"name": "hot", "labels": {"nuclio.io/function-name": "reader"}},
    "spec": {"displayName": "Hot", "body": "99", "attributes": {"method": "POST", "path": "", "headers": {}}},
}
_WRONG = {400: "The document is wrong, or names no event or function."}
_NO_EVENT = {404: "There is no such event."}

FUNCTION_EVENTS = (
    Operation(
        "GET", "/api/function_events", "List saved events by name", {200: "Events"},
        parameters=(
            Parameter("X-Nuclio-Function-Name", "Only those of this function."),
            Parameter("X-Nuclio-Function-Event-Name", "Only this one."),
        ),
    ),
    Operation(
        "POST", "/api/function_events", "Save an event; without a name it is given one", {201: "Event"}, _WRONG,
        Body("NewEvent", _EVENT),
    ),
    Operation(
        "PUT", "/api/function_events", "Update an event", {204: ""}, _WRONG | _NO_EVENT, Body("NamedEvent", _EVENT)
    ),
    Operation("DELETE", "/api/function_events", "Delete an event", {204: ""}, _WRONG | _NO_EVENT, Body("Named")),
    Operation("GET", "/api/function_events/{name}", "Tell of an event", {200: "Event"}, _NO_EVENT),
)  # fmt: skip


_WITH_ALL = flag("export", "With all that is in it.", "query")
_BAD = {400: "The document is wrong."}
_NO_PROJECT = {404: "There is no such project."}
_PLANT = {"metadata": {"name": "plant"}, "spec": {"description": "Ovens"}}

PROJECTS = (
    Operation(
        "GET", "/api/projects", "List projects by name", {200: "ProjectObjects"},
        parameters=(Parameter("X-Nuclio-Project-Name", "Only this one."), _WITH_ALL),
    ),
    Operation(
        "POST", "/api/projects", "Create a project, or import one with all that is in it", {201: "ProjectCreated"},
        _BAD, Body("ProjectBody", _PLANT), (flag("import", "The body is an export.", "query"),),
    ),
    Operation(
        "PUT", "/api/projects", "Update the project that the body names", {204: ""}, _BAD, Body("Project", _PLANT),
        (Parameter("X-Nuclio-Project-Name", "Its name, if the body has none."),), is_deprecated=True,
    ),
    Operation(
        "DELETE", "/api/projects", "Delete a project", {204: ""},
        {**_BAD, **_NO_PROJECT, 412: "It has functions, or is the default one."}, Body("NamedProject"),
        (
            Parameter(
                "X-Nuclio-Delete-Project-Strategy",
                "What to do about its functions: refuse, delete them with their containers, or only check.",
                schema={"type": "string", "enum": ["restricted", "cascading", "check"]},
            ),
        ),
    ),
    Operation(
        "GET", "/api/projects/{name}", "Tell of a project", {200: "ProjectObject"}, _NO_PROJECT, parameters=(_WITH_ALL,)
    ),
    Operation(
        "PUT", "/api/projects/{name}", "Update a project, or create it", {204: ""}, _BAD, Body("Project", _PLANT)
    ),
)  # fmt: skip


PLATFORM = (
    Operation(
        "GET", "/api/function_templates", "List what a new function can begin from", {200: "Templates"},
        parameters=(Parameter("X-Nuclio-Filter-Contains", "Only what has this text."),),
    ),
    Operation(
        "POST", "/api/function_templates/render", "Put values into a template", {200: "Rendered"},
        {400: "It asks for a value that is not given, or is no YAML then."},
        Body("Rendering", {"template": "metadata:\n  name: {{ .name }}\n", "values": {"name": "reader"}}),
    ),
    Operation("GET", "/api/frontend_spec", "Tell what a user interface has to know", {200: "FrontendSpec"}),
    Operation("GET", "/api/versions", "Tell the release of Nuclio whose API this is", {200: "Versions"}),
    Operation("GET", "/api/external_ip_addresses", "Tell where this machine is reached", {200: "Addresses"}),
    Operation("GET", "/api/namespaces", "Tell the namespace", {200: "Namespaces"}),
)  # fmt: skip

_CSV = "text/csv"
_NO_DEVICE = {404: "There is no such device."}
_NO_STATE = {**_NO_DEVICE, 503: "The service of devices does not run."}

DEVICES = (
    Operation(
        "GET", "/api/devices", "List devices by name", {200: "Devices"}, {400: "A count or a label is none."},
        parameters=(
            Parameter("contains", "Only those with this text in their name, type or labels.", "query"),
            Parameter("label", "Only those with this label, as NAME=VALUE; may be given several times.", "query"),
            Parameter("limit", "How many; 100 if left out, 1000 at most.", "query", _NUMBER),
            Parameter("offset", "How many to pass over.", "query", _NUMBER),
        ),
    ),
    Operation(
        "POST", "/api/devices", "Add a device; its password is told this once", {201: "Identity"},
        {400: "Its name, type or topics are wrong.", 409: "There is one of this name."},
        Body("NewDevice", {"name": "pump-7", "topics": ["plant/pump-7/#"], "labels": {"site": "hall-2"}}),
    ),
    Operation("GET", "/api/devices.csv", "Tell all devices as a table", {200: "Table"}, media=_CSV),
    Operation(
        "POST", "/api/devices.csv", "Add all devices of a table, or none; their passwords are told this once",
        {201: "Table"}, {400: "A line is wrong."},
        Body("Table", "name,topics,label.site\npump-7,plant/pump-7/#,hall-2\n", _CSV), media=_CSV,
    ),
    Operation("GET", "/api/devices/{name}", "Tell of a device", {200: "Device"}, _NO_DEVICE),
    Operation("DELETE", "/api/devices/{name}", "Lock a device out, and remove it", {204: ""}, _NO_DEVICE),
    Operation(
        "POST", "/api/devices/{name}/password", "Give a device another password, and end its session",
        {201: "Identity"}, _NO_DEVICE,
    ),
    Operation(
        "DELETE", "/api/devices/{name}/password", "Lock a device out, and end its session", {204: ""}, _NO_DEVICE
    ),
    Operation(
        "GET", "/api/devices/{name}/presence", "Return whether a device is connected", {200: "Presence"}, _NO_STATE
    ),
    Operation("GET", "/api/devices/{name}/twin", "Tell how a device is to be and is", {200: "Twin"}, _NO_STATE),
    Operation(
        "PATCH", "/api/devices/{name}/twin", "Change how a device is to be, by a JSON merge patch", {200: "Twin"},
        {**_NO_STATE, 409: "The part has another version by now."},
        Body("TwinChange", {"patch": {"fan": "on"}, "version": 3}),
    ),
    Operation(
        "GET", "/api/devices/{name}/twin/history", "List the last changes of a twin, the newest first",
        {200: "TwinChanges"}, _NO_STATE,
    ),
    Operation(
        "GET", "/api/devices/{name}/calls", "List the last calls of a device, the newest first", {200: "Calls"},
        {400: "limit is no number.", **_NO_STATE},
        parameters=(Parameter("limit", "How many; 20 if left out, 200 at most.", "query", _NUMBER),),
    ),
    Operation(
        "POST", "/api/devices/{name}/calls", "Call a device, and wait for its answer", {201: "Call"},
        {400: "The call is wrong.", 409: "It is locked out, or has too many calls to answer.", **_NO_STATE},
        Body("NewCall", {"method": "open", "data": {"valve": 2}, "wait": 10, "expires": "1h"}),
    ),
    Operation(
        "GET", "/api/devices/{name}/calls/{id}", "Tell what became of a call", {200: "Call"},
        {**_NO_STATE, 400: "wait is no number.", 404: "There is no such call."},
        parameters=(Parameter("wait", "For how many seconds its end is waited for; 0 if left out.", "query", _NUMBER),),
    ),
)  # fmt: skip

_OPERATIONS = (*DEVICES, *FUNCTIONS, *PROJECTS, *FUNCTION_EVENTS, *PLATFORM)


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [Route("/api/openapi.json", _tell, methods=["GET"])]


def list_operations() -> tuple[Operation, ...]:
    """Return everything that the document describes."""
    return _OPERATIONS


def make_document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for one in _OPERATIONS:
        paths.setdefault(one.path, {})[one.method.lower()] = one.describe()
    failure = {"description": "It failed.", "content": {"application/json": {"schema": refer("Error")}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tidegate's dashboard", "version": LABEL, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{}, {"basic": []}, {"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": describe_schemas(),
            "responses": {"Failure": failure},
            "securitySchemes": {kind: {"type": "http", "scheme": kind} for kind in ("basic", "bearer")},
        },
    }


async def _tell(_: Request) -> Response:
    return Response(await run_in_threadpool(_encode), media_type="application/json")


@cache
def _encode() -> bytes:
    return json.dumps(make_document()).encode()
