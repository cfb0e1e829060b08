"""The accounts of a broker that runs: made and removed through its management API, so that it need not start again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stack.docker.engine import Engine
from stack.docker.stack import Stack
from stack.errors import BrokerError, EngineError
from stack.plan.account import describe_accounts
from stack.plan.broker import SERVICE
from stack.plan.function import FunctionPlan, own_queues
from stack.plan.stack import Service
from stack.rabbitmq.management import Broker, RefusedError, find_broker
from stack.state.lock import local_lock, lock
from stack.state.vault import function_signature_key
from stack.state.workspace import parse_json

if TYPE_CHECKING:
    from stack.docker.stack import Stack

# What RabbitMQ calls the parts of its definitions, and by what an entry of each is known.
_USERS, _PERMISSIONS, _TOPICS = "users", "permissions", "topic_permissions"
_KEYS = {_USERS: "name", _PERMISSIONS: "user", _TOPICS: "user"}

Entries = Mapping[str, Mapping[str, Any]]


def apply_accounts(broker: Broker, before: bytes, *, after: bytes) -> None:
    """Make the accounts of definitions that are not the same in those before, and remove those that are no more.

    Raises:
        BrokerError: the broker does not answer, or refuses.
    """
    changed = {part: _find_changed(_read(before, part), _read(after, part)) for part in _KEYS}
    if any(changed.values()):
        broker.import_definitions(changed)
    for name in _read(before, _USERS).keys() - _read(after, _USERS).keys():
        broker.delete_user(name)
    for name in _read(before, _PERMISSIONS).keys() & _read(after, _USERS).keys() - _read(after, _PERMISSIONS).keys():
        broker.delete_permission(name)


def settle_accounts(stack: "Stack", before: bytes, *, after: bytes) -> None:
    """Do the same where the broker runs and knows the administrator; any other reads the definitions at its start.

    Raises:
        BrokerError: it runs, and refuses.
    """
    if before == after or not _is_up(stack.engine):
        return
    try:
        apply_accounts(find_broker(stack), before, after=after)
    except RefusedError as error:
        if error.code != RefusedError.UNAUTHORIZED:
            raise
    except BrokerError:
        return


@contextmanager
def temporary_account(stack: "Stack", plan: FunctionPlan) -> Iterator[None]:
    """Have the broker know a function's account while the function runs on this machine, deployed or not.

    Raises:
        BrokerError: the broker runs, and refuses.
    """
    deployed = [one.plan(stack.settings) for one in stack.deployments.values() if one.name != plan.name]
    with_it = describe_accounts(stack.accounts, [*deployed, plan], settings=stack.settings).encode()
    with lock(stack.workspace, local_lock(plan.name), is_shared=True):
        settle_accounts(stack, stack.rendered_accounts, after=with_it)
        try:
            yield
        finally:
            settle_accounts(stack, with_it, after=stack.rendered_accounts)


def _is_up(engine: Engine) -> bool:
    try:
        return any(one.service == SERVICE and one.is_running for one in engine.listed())
    except EngineError:
        return False


def _read(definitions: bytes, part: str) -> Entries:
    """Return the entries of one kind; of what was rendered last and is spoiled, none: then all are made again."""
    try:
        document = parse_json(dict[str, list[dict[str, Any]]], definitions)
        return {entry[_KEYS[part]]: entry for entry in document.get(part, ())}
    except (ValueError, KeyError, TypeError):
        return {}


def _find_changed(before: Entries, after: Entries) -> list[Mapping[str, Any]]:
    return [entry for name, entry in after.items() if before.get(name) != entry]


def find_keys(stack: Stack, services: Sequence[Service]) -> Callable[[str], bytes]:
    """Return what gives the key of a queue; no one believes the one of a queue that no function consumes.

    Raises:
        HostError: when called, that the stack key cannot be read.
    """
    owners = {queue: service.plan.name for service in services for queue in own_queues(service.plan)}
    return lambda queue: function_signature_key(stack.workspace, owners.get(queue, ""))
