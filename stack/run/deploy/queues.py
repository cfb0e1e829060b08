"""Queues of functions that are about to be deployed, beside those of what is deployed."""

from collections.abc import Sequence
from contextlib import suppress

from stack.config.function import FunctionConfig
from stack.config.source import find_folder, load_function
from stack.errors import StackError
from stack.plan.function import FunctionPlan
from stack.plan.queue_check import Claimant, check_queues
from stack.run.stack import Stack


def check_function_queues(stack: Stack, plan: FunctionPlan, planned: Sequence[FunctionPlan] = ()) -> None:
    """Refuse a function whose queues are those of others, deployed or `planned`, in a way that nobody can want.

    Raises:
        AccessError: code that is fetched would take messages of another function.
        ConfigError: a queue of one function holds the failed messages of another's.
    """
    names = {plan.name, *(one.name for one in planned)}
    others = [one.plan(stack.settings) for name, one in stack.deployments.items() if name not in names]
    others += [one for one in planned if one.name != plan.name]
    check_queues(_as_claimant(stack, plan), [_as_claimant(stack, one) for one in others])


def _as_claimant(stack: Stack, plan: FunctionPlan) -> Claimant:
    """Return a function with its own function.yaml, which is asked of fetched code alone; none says nothing."""
    own = FunctionConfig()
    if plan.function.origin:
        with suppress(StackError):
            own = load_function(find_folder(stack.workspace.root, plan.name)).config
    return Claimant(plan, own)
