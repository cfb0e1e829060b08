"""What the user is told of deploys."""

from dataclasses import dataclass

from stack import console
from stack.errors import FunctionError
from stack.run.bundle import deploy_bundle
from stack.run.deploy import deploy_functions, roll_back
from stack.run.function_status import print_functions_table
from stack.run.remote import deploy_remotely


@dataclass(frozen=True)
class DeployRequest:
    """What is to be deployed: one function, all, or one from a file; why; and through which dashboard, if not here."""

    name: str = ""
    everything: bool = False
    image_file: str = ""
    message: str = ""
    via: str = ""
    force: bool = False
    """With all, those too that were rolled back."""


def deploy_and_print(request: DeployRequest) -> None:
    """Deploy one function, all, or one from a file, and say where they answer.

    Raises:
        FunctionError: none of the three is given, or more than one.
    """
    name = request.name
    asked = (bool(name), request.everything, bool(request.image_file)).count(True)
    if not asked:
        raise FunctionError("Name one function, or add --all or --image-file: invoke deploy-function NAME.")
    if asked > 1:
        raise FunctionError("Give only one of NAME, --all and --image-file; such a file knows its function's name.")
    if request.via:
        _deploy_elsewhere(request)
        return
    if request.image_file:
        print_functions_table(deploy_bundle(request.image_file, message=request.message))
        return
    functions = deploy_functions([name] if name else [], message=request.message, force=request.force)
    print_functions_table([one for one in functions if request.everything or one.name == name])
    console.say(f"Next: `invoke logs {name} --follow`." if name else "Next: `invoke functions` lists them.")


def _deploy_elsewhere(request: DeployRequest) -> None:
    if not request.name:
        raise FunctionError("--via deploys one function: invoke deploy-function NAME --via URL.")
    if request.message:
        raise FunctionError("Nuclio's API has no place for a message; leave out --message, or --via.")
    deploy_remotely(request.name, request.via)


def roll_back_and_print(name: str, number: int) -> None:
    """Go back to an older revision, and say where it answers."""
    print_functions_table([one for one in roll_back(name, number) if one.name == name])
    console.say(f"Next: `invoke functions {name}` lists the revisions.")
