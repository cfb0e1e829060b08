"""The keys by which the messages of each queue are signed: those of the functions that consume them."""

from collections.abc import Callable, Sequence

from stack.plan.function import own_queues
from stack.plan.stack import Service
from stack.run.secret.key import function_signature_key
from stack.run.stack import Stack


def find_keys(stack: Stack, services: Sequence[Service]) -> Callable[[str], bytes]:
    """Return what gives the key of a queue; nobody believes the one of a queue that no function consumes.

    Raises:
        HostError: when called, that the stack key cannot be read.
    """
    owners = {queue: service.plan.name for service in services for queue in own_queues(service.plan)}
    return lambda queue: function_signature_key(stack.workspace, owners.get(queue, ""))
