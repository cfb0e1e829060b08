"""What the server is, and what a new function can begin from."""

from stack.dashboard.api.description.operation import Body, Operation, Parameter

OPERATIONS = (
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
