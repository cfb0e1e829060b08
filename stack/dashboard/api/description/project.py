"""Projects."""

from stack.dashboard.api.description.operation import Body, Operation, Parameter, flag

_EXPORT = flag("export", "With all that is in it.", "query")
_WRONG = {400: "The document is wrong."}
_MISSING = {404: "There is no such project."}
_PROJECT = {"metadata": {"name": "plant"}, "spec": {"description": "Ovens"}}

OPERATIONS = (
    Operation(
        "GET", "/api/projects", "List projects by name", {200: "ProjectObjects"},
        parameters=(Parameter("X-Nuclio-Project-Name", "Only this one."), _EXPORT),
    ),
    Operation(
        "POST", "/api/projects", "Create a project, or import one with all that is in it", {201: "ProjectCreated"},
        _WRONG, Body("ProjectBody", _PROJECT), (flag("import", "The body is an export.", "query"),),
    ),
    Operation(
        "PUT", "/api/projects", "Update the project that the body names", {204: ""}, _WRONG, Body("Project", _PROJECT),
        (Parameter("X-Nuclio-Project-Name", "Its name, if the body has none."),), is_deprecated=True,
    ),
    Operation(
        "DELETE", "/api/projects", "Delete a project", {204: ""},
        {**_WRONG, **_MISSING, 412: "It has functions, or is the default one."}, Body("NamedProject"),
        (
            Parameter(
                "X-Nuclio-Delete-Project-Strategy",
                "What to do about its functions: refuse, delete them with their containers, or only check.",
                schema={"type": "string", "enum": ["restricted", "cascading", "check"]},
            ),
        ),
    ),
    Operation(
        "GET", "/api/projects/{name}", "Tell of a project", {200: "ProjectObject"}, _MISSING, parameters=(_EXPORT,)
    ),
    Operation(
        "PUT", "/api/projects/{name}", "Update a project, or create it", {204: ""}, _WRONG, Body("Project", _PROJECT)
    ),
)  # fmt: skip
