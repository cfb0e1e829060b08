"""What `up` and a deploy of all functions would do: found out, shown, and not done."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from stack import console
from stack.config.source import function_folders
from stack.docker.stack import Stack, open_stack, warn_refused
from stack.docker.swarm.engine import find_other_engine
from stack.plan.account import ADMINISTRATOR
from stack.plan.broker import SERVICE
from stack.plan.diff import DEPLOY, Action, Change, find_deploys
from stack.plan.stack import Service
from stack.rabbitmq.drift import BrokerSurvey, survey_stack_broker
from stack.run.up import Survey, survey

# Exit statuses: nothing to do, and something.
_SETTLED, _PENDING = 0, 2


def print_plan(*, as_json: bool) -> int:
    """Show what `up` and `deploy-function --all` would do; return the exit status, which is 2 if that is anything.

    Raises:
        StackError: something that is wished is wrong, or Docker does not answer.
    """
    stack = open_stack()
    warn_refused(stack)
    if other := find_other_engine(stack.engine):
        console.warn(other)
    changes = find_plan(stack)
    pending = [one for one in changes if one.action is not Action.KEEP]
    if as_json:
        console.show_json([one.as_document() for one in changes])
    elif pending:
        rows = [{name: str(value) for name, value in one.as_document().items()} for one in pending]
        console.show_table(("action", "subject", "task", "reason"), rows)
        console.note(f"{len(changes) - len(pending)} more stay as they are.")
    else:
        console.say("Everything is as it should be; there is nothing to do.")
    for name, text in stack.notes.items() if not as_json else ():
        console.note(f"{name} {text}.")
    return _PENDING if pending else _SETTLED


def find_plan(stack: Stack) -> tuple[Change, ...]:
    """Find what `up` and a deploy of all functions would do; change nothing."""
    deployed = [*stack.deployed_services]
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(survey_stack_broker, stack)
        found = survey(stack)
        deploys = find_deploys([*_plan_deployed(stack), *stack.undeployed], deployed)
    told = _tell_notes(stack, deploys)
    return (*found.changes, *found.edits, *_plan_broker(stack, found, broker=asked.result()), *told)


def _tell_notes(stack: Stack, deploys: Sequence[Change]) -> tuple[Change, ...]:
    """Return what a deploy of all functions would do, which leaves those alone that were rolled back."""
    left = {name: Change(name, Action.KEEP, text, DEPLOY) for name, text in stack.notes.items()}
    gone = [change for name, change in left.items() if name not in {one.subject for one in deploys}]
    return (*(left.get(one.subject, one) for one in deploys), *gone)


def _plan_broker(stack: Stack, found: Survey, *, broker: BrokerSurvey) -> tuple[Change, ...]:
    """Return what would be done at the broker; of one that does not run, its container is told of already."""
    if not any(one.service == SERVICE and one.is_ready for one in found.containers):
        return ()
    if broker.problem and not broker.is_locked:
        console.warn(f"What is at the broker is not compared: {broker.problem}")
    for one in broker.troubles:
        console.warn(str(one))
    return broker.changes(ADMINISTRATOR)


def _plan_deployed(stack: Stack) -> tuple[Service, ...]:
    """Return the services of deployed functions as they are in their folders; one whose folder is gone runs on."""
    folders = function_folders(stack.workspace.root)
    return stack.planned_services([folder for name, folder in folders.items() if name in stack.deployments])
