"""Function events."""

from stack.dashboard.api.description.operation import Body, Operation, Parameter

_EVENT = {
    "metadata": {"name": "hot", "labels": {"nuclio.io/function-name": "reader"}},
    "spec": {"displayName": "Hot", "body": "99", "attributes": {"method": "POST", "path": "", "headers": {}}},
}
_WRONG = {400: "The document is wrong, or names no event or function."}
_MISSING = {404: "There is no such event."}

OPERATIONS = (
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
        "PUT", "/api/function_events", "Update an event", {204: ""}, _WRONG | _MISSING, Body("NamedEvent", _EVENT)
    ),
    Operation("DELETE", "/api/function_events", "Delete an event", {204: ""}, _WRONG | _MISSING, Body("Named")),
    Operation("GET", "/api/function_events/{name}", "Tell of an event", {200: "Event"}, _MISSING),
)  # fmt: skip
