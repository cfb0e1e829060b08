"""What the user is told of deploys."""

from dataclasses import dataclass

from stack import console
from stack.errors import FunctionError
from stack.run.bundle import deploy_bundle
from stack.run.deploy import deploy_functions, roll_back
from stack.run.function_status import show_functions
from stack.run.remote import deploy_remotely


@dataclass(frozen=True)
class Wish:
    """What is to be deployed: one function, all, or one from a file; why; and through which dashboard, if not here."""

    name: str = ""
    everything: bool = False
    image_file: str = ""
    message: str = ""
    via: str = ""
    force: bool = False
    """With all, those too that were rolled back."""


def deploy_and_tell(wish: Wish) -> None:
    """Deploy one function, all, or one from a file, and say where they answer.

    Raises:
        FunctionError: none of the three is given, or more than one.
    """
    name = wish.name
    asked = (bool(name), wish.everything, bool(wish.image_file)).count(True)
    if not asked:
        raise FunctionError("Name one function, or add --all or --image-file: invoke deploy-function NAME.")
    if asked > 1:
        raise FunctionError("Give only one of NAME, --all and --image-file; such a file knows its function's name.")
    if wish.via:
        _deploy_elsewhere(wish)
        return
    if wish.image_file:
        show_functions(deploy_bundle(wish.image_file, message=wish.message))
        return
    functions = deploy_functions([name] if name else [], message=wish.message, force=wish.force)
    show_functions([one for one in functions if wish.everything or one.name == name])
    console.say(f"Next: `invoke logs {name} --follow`." if name else "Next: `invoke functions` lists them.")


def _deploy_elsewhere(wish: Wish) -> None:
    if not wish.name:
        raise FunctionError("--via deploys one function: invoke deploy-function NAME --via URL.")
    if wish.message:
        raise FunctionError("Nuclio's API has no place for a message; leave out --message, or --via.")
    deploy_remotely(wish.name, wish.via)


def roll_back_and_tell(name: str, number: int) -> None:
    """Go back to an older revision, and say where it answers."""
    show_functions([one for one in roll_back(name, number) if one.name == name])
    console.say(f"Next: `invoke functions {name}` lists the revisions.")
