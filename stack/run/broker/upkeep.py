"""What the dashboard sees to at the broker, now and then: accounts whose time is over, and long memories."""

import asyncio
from urllib.parse import quote

from stack import console
from stack.errors import StackError
from stack.run.broker.broker import find_broker
from stack.run.lock import TREE, lock
from stack.run.secret.credentials import forget_former_credentials, has_ended
from stack.run.secret.gateway_login import forget_former_login, has_former_ended
from stack.run.stack import Stack

# Seconds between two looks.
_PAUSE = 10.0
# RabbitMQ remembers each address and user name that was refused; anybody could try any number of them.
_MOST_ATTEMPTS = 1000


async def keep_up(stack: Stack) -> None:
    """See to the broker for ever; what fails is told and tried again."""
    while True:
        await asyncio.sleep(_PAUSE)
        try:
            await asyncio.to_thread(see_to_broker, stack.reread())
        except (StackError, OSError) as error:
            console.warn(f"The broker was not seen to: {error}")


def see_to_broker(stack: Stack) -> None:
    """Remove logins whose overlap is over, and have the broker forget refused ones if they are too many.

    Raises:
        StackError: the broker does not answer, or a file cannot be written.
    """
    has_account_ended, has_login_ended = has_ended(stack.workspace), has_former_ended(stack.workspace)
    if has_account_ended or has_login_ended:
        with lock(stack.workspace, TREE):
            fresh = stack.reread()
            fresh.write(fresh.inputs)
            if has_account_ended:
                forget_former_credentials(stack.workspace)
            if has_login_ended:
                forget_former_login(stack.workspace)
    broker = find_broker(stack)
    for node in broker.request("GET", "/api/nodes?columns=name"):
        path = f"/api/auth/attempts/{quote(node['name'], safe='')}/source"
        if len(broker.request("GET", path)) > _MOST_ATTEMPTS:
            broker.request("DELETE", path)
