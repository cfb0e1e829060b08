"""The tasks about functions: written, deployed, called and taken away."""

from invoke import Context, Exit

from stack.cli import JSON_HELP, verb

_NAME = {"name": "the function's name"}
_SITES = {
    "via": "the address of a dashboard elsewhere, Tidegate's or Nuclio's, again for each; or a file such as sites.yaml",
    "site": "a site of that file, by its name or as LABEL=VALUE; again for each label that it has to have",
    "parallel": "how many sites are at work at a time; 10 if left out",
    "timeout": "how long a site may take, such as 5m; 30m if left out",
}
# Of a site that is only asked.
_ASKED = {"parallel": "how many sites are asked at a time", "timeout": "how long a site may take to answer"}


@verb(
    "name",
    help={
        **_NAME,
        "trigger": "what makes it run, such as http, amqp, mqtt or cron",
        "runtime": "what it is written for: python or nodejs",
    },
)
def new_function(_: Context, name: str, trigger: str = "http", runtime: str = "python") -> None:
    """Write a function that works as it is, with its test, to begin from."""
    from stack.run.creation import new_function as make

    make(name, trigger, runtime)


@verb("name", help={"name": "the function's name; all if left out"})
def test_function(_: Context, name: str = "") -> None:
    """Run the tests in functions' folders, by pytest and `node --test`, without Docker."""
    from stack.run.function_test import run_tests

    raise Exit(code=run_tests(name))


@verb(
    "name",
    iterable=["via", "site"],
    help={
        **_NAME,
        **_SITES,
        **JSON_HELP,
        "all": "deploy every function in functions/",
        "image-file": "deploy what `build-function --output` wrote, and build nothing",
        "message": "why, for `invoke functions NAME`",
        "force": "with --all, functions too that were rolled back",
        "waves": "how far each wave of sites goes, such as 1,10%,all; one begins when all of the last are ready",
    },
)
def deploy_function(  # noqa: PLR0913 -- each is an option of the command line
    _: Context,
    name: str = "",
    all: bool = False,
    image_file: str = "",
    message: str = "",
    via: list[str] | None = None,
    site: list[str] | None = None,
    waves: str | None = None,
    parallel: int = 0,
    timeout: str = "",
    force: bool = False,
    json: bool = False,
) -> None:
    """Build a function and put it in the place of its older self, without a gap; here, or at sites elsewhere."""
    from stack.run.deploy_request import DeployRequest, deploy_and_print
    from stack.run.sites.choice import SiteChoice
    from stack.run.sites.rollout import SiteRequest

    sites = SiteRequest(name, SiteChoice(via or (), site or ()), waves, parallel, timeout, json)
    deploy_and_print(DeployRequest(name, all, image_file, message, force, sites))


@verb("name", help={**_NAME, "output": "save the image in this file, for a machine that can build nothing"})
def build_function(_: Context, name: str, output: str = "") -> None:
    """Build a function's image and deploy nothing."""
    from stack.run.deploy_request import build_and_tell

    build_and_tell(name, output)


@verb(
    "name",
    iterable=["via", "site"],
    help={**_NAME, **_SITES, **JSON_HELP, "to": "the number of a revision; the one before what runs if left out"},
)
def rollback_function(
    _: Context,
    name: str,
    to: int = 0,
    via: list[str] | None = None,
    site: list[str] | None = None,
    parallel: int = 0,
    timeout: str = "",
    json: bool = False,
) -> None:
    """Put an older revision of a function in the place of what runs, without a build and without a gap."""
    from stack.run.deploy_request import roll_back_and_print
    from stack.run.sites.choice import SiteChoice
    from stack.run.sites.rollout import SiteRequest

    choice = SiteChoice(via or (), site or ())
    roll_back_and_print(name, to, sites=SiteRequest(name, choice, parallel=parallel, timeout=timeout, as_json=json))


@verb("name", iterable=["via", "site"], help={**_SITES, **_ASKED, **JSON_HELP, "name": "a function; all if left out"})
def sites(
    _: Context,
    name: str = "",
    via: list[str] | None = None,
    site: list[str] | None = None,
    parallel: int = 50,
    timeout: str = "10s",
    json: bool = False,
) -> None:
    """Say which revision of each function the sites of sites.yaml run."""
    from stack.run.sites.choice import SiteChoice
    from stack.run.sites.rollout import SiteRequest
    from stack.run.sites.status import print_sites

    choice = SiteChoice(via or (), site or ())
    print_sites(SiteRequest(name, choice, parallel=parallel, timeout=timeout, as_json=json))


@verb("name", help={**_NAME, "yes": "do not ask"})
def delete_function(_: Context, name: str, yes: bool = False) -> None:
    """Stop a function and remove its container, images and queues; its folder stays."""
    from stack.console import confirm
    from stack.run.function import delete_function as delete

    confirm(f"Remove the container, images and queues of {name}, with the messages that wait for it?", yes=yes)
    delete(name)


@verb("name", "replicas", help={**_NAME, "replicas": "how many containers; 0 stops it"})
def scale_function(_: Context, name: str, replicas: str) -> None:
    """Have so many containers of a function share its work, also after the next deploy."""
    from stack.run.scale import scale_function as scale

    scale(name, replicas)


@verb("name", help={"name": "a function whose revisions to list; all functions if left out", **JSON_HELP})
def functions(_: Context, name: str = "", json: bool = False) -> None:
    """List every function: its state, its address and its triggers; or the revisions of one."""
    from stack.run.function_status import print_functions
    from stack.run.revision import print_revisions

    print_revisions(name, as_json=json) if name else print_functions(as_json=json)


@verb(
    "name",
    iterable=["header"],
    help={
        **_NAME,
        "body": "what to send; @FILE reads a file, and - standard input",
        "method": "POST if there is a body, else GET",
        "path": "what stands behind the function's address",
        "header": "'Name: value'; may be given several times",
    },
)
def invoke_function(
    _: Context, name: str, body: str = "", method: str = "", path: str = "/", header: list[str] | None = None
) -> None:
    """Call a function over HTTP and print its answer."""
    from stack.run.invocation import Call
    from stack.run.invocation import invoke_function as call

    call(name, Call(body, method, path, header or ()))


@verb(
    "name",
    help={
        **_NAME,
        "port": "where it answers; 0 is the one that it asks for, else 8080 or a free one",
        "broker": "amqp://user:password@host:port; the stack's own broker, if it is up, where left out",
        "event": "a JSON file, or - for standard input: handle this one event, print the response, and end",
        "debug": "let a debugger attach; with --event, wait for it",
    },
)
def run_function(_: Context, name: str, port: int = 0, broker: str = "", event: str = "", debug: bool = False) -> None:
    """Run a function on this machine without Docker, and again as its files are saved."""
    from stack.run.local import LocalRequest
    from stack.run.local import run_function as run

    raise Exit(code=run(name, LocalRequest(port, broker, event, debug)))


@verb(help={"stack": "that of stack.yaml"})
def function_schema(_: Context, stack: bool = False) -> None:
    """Print the JSON Schema of function.yaml, with which an editor completes and checks it."""
    from stack.config.schema import print_schema

    print_schema(of_stack=stack)


@verb(
    "file",
    help={
        "file": "a function of Nuclio's, or an export of several; - is standard input",
        "name": "another name than its own",
        "force": "overwrite the files of a folder that is there already",
        "broker": "let its broker addresses name this stack's broker",
    },
)
def import_function(_: Context, file: str, name: str = "", force: bool = False, broker: bool = False) -> None:
    """Make a folder in functions/ of a function written for Nuclio, its source a readable file."""
    from stack.run.import_export import import_functions

    import_functions(file, name=name, force=force, to_broker=broker)


@verb("name", help={**_NAME, **JSON_HELP})
def export_function(_: Context, name: str, json: bool = False) -> None:
    """Print a function as one YAML that Nuclio's own tools accept, its source within."""
    from stack.run.import_export import export_function as export

    export(name, as_json=json)
