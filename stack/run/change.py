"""What would happen, told to the user."""

from stack import console
from stack.config.source import function_folders
from stack.plan.change import Action, Change, find_deploys
from stack.plan.stack import Service
from stack.run.boot import survey
from stack.run.stack import Stack, open_stack

# Exit statuses: nothing to do, and something.
_SETTLED, _PENDING = 0, 2


def tell_plan(*, as_json: bool) -> int:
    """Show what `up` and `deploy-function --all` would do; return the exit status, which is 2 if that is anything.

    Raises:
        StackError: something that is wished is wrong, or Docker does not answer.
    """
    changes = find_plan(open_stack())
    pending = [one for one in changes if one.action is not Action.KEEP]
    if as_json:
        console.show_json([one.as_document() for one in changes])
    elif pending:
        rows = [{name: str(value) for name, value in one.as_document().items()} for one in pending]
        console.show_table(("action", "subject", "task", "reason"), rows)
        console.note(f"{len(changes) - len(pending)} more stay as they are.")
    else:
        console.say("Everything is as it should be; there is nothing to do.")
    return _PENDING if pending else _SETTLED


def find_plan(stack: Stack) -> tuple[Change, ...]:
    """Find what `up` and a deploy of all functions would do; change nothing."""
    found = survey(stack)
    deployed = [one for one in stack.inputs.services if one.is_deployed]
    deploys = find_deploys([*_plan_deployed(stack), *stack.undeployed], deployed)
    return (*found.changes, *found.edits, *deploys)


def _plan_deployed(stack: Stack) -> tuple[Service, ...]:
    """Return the services of deployed functions as they are in their folders; one whose folder is gone runs on."""
    folders = function_folders(stack.workspace.root)
    return stack.planned_services([folder for name, folder in folders.items() if name in stack.deployments])
