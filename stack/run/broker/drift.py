"""The stack's broker as it is declared: found out by `plan` and `status`, and made so again by `up` and by deploys."""

from collections.abc import Sequence
from dataclasses import replace

from stack import console
from stack.errors import BrokerError
from stack.plan.broker import SERVICE
from stack.plan.function import service_name
from stack.plan.render import DEFINITIONS, render_broker
from stack.plan.stack import Service
from stack.run.broker.broker import DENIED, Broker, RefusedError, find_broker
from stack.run.broker.mending import mend_broker
from stack.run.broker.signature import find_keys
from stack.run.broker.survey import BrokerSurvey, Declared, read_declared, read_declared_of, survey_broker
from stack.run.broker.transfer import keep_origin
from stack.run.deploy.deployment import list_deployed
from stack.run.lock import find_rollouts, find_trials
from stack.run.stack import Stack

# Where the broker's container has the definitions.
_MOUNTED = "/etc/rabbitmq/definitions"


def survey_stack_broker(stack: Stack) -> BrokerSurvey:
    """Find what of the stack's broker is not as declared, and what is wrong with it."""
    return survey_broker(find_broker(stack), _read_declared(stack))


def mend_stack_broker(stack: Stack) -> bool:
    """Make the broker what is declared, and return whether it was not; why that cannot be done is only told."""
    declared, broker = _read_declared(stack), find_broker(stack)
    is_let_in = _is_locked(broker) and _let_in(stack, broker)
    return _try_mend(stack, broker, declared, stack.inputs.services) or is_let_in


def mend_functions(stack: Stack, services: Sequence[Service]) -> None:
    """Make what functions declare be at the broker; functions declare it themselves, but only when they connect."""
    _try_mend(stack, find_broker(stack), read_declared_of(services), services)


def _read_declared(stack: Stack) -> Declared:
    declared = read_declared(render_broker(stack.inputs), stack.inputs.services)
    in_use = {*list_deployed(stack.workspace), *find_rollouts(stack.workspace), *find_trials(stack.workspace)}
    return replace(declared, kept_users=frozenset(map(service_name, in_use)))


def _try_mend(stack: Stack, broker: Broker, declared: Declared, services: Sequence[Service]) -> bool:
    try:
        return mend_broker(broker, declared, keep_origin(find_keys(stack, services)))
    except BrokerError as error:
        console.warn(f"The broker was not compared with what is declared: {error}")
        return False


def _is_locked(broker: Broker) -> bool:
    """Say whether the broker is there and refuses our account."""
    try:
        broker.request("GET", "/api/definitions")
    except RefusedError as error:
        return error.code in DENIED
    except BrokerError:
        return False
    return False


def _let_in(stack: Stack, broker: Broker) -> bool:
    """Have the broker make our account again by its own command, which needs none."""
    console.note(f"user {broker.credentials.username}: change: is not let in as administrator.")
    first = min(path for path in render_broker(stack.inputs) if path.startswith(DEFINITIONS))
    running = [one for one in stack.engine.containers() if one.service == SERVICE and one.is_running]
    for container in running[:1]:
        file = f"{_MOUNTED}/{first.rpartition('/')[2]}"
        stack.engine.execute(container, "rabbitmqctl", "import_definitions", file)
    return bool(running)
