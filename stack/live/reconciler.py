"""The reconciler: sees to it that what a killed deploy has left does not go on beside what is recorded."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from stack import console
from stack.docker.stack import Stack
from stack.errors import StackError
from stack.live.docker import Event
from stack.rabbitmq.account_use import attempts_path, list_nodes, note_uses
from stack.rabbitmq.management import find_broker
from stack.run.certificates import renew_certificates
from stack.run.stack import write_stack
from stack.state.access import forget_former_login, has_former_ended
from stack.state.credentials import forget_former_credentials, has_ended
from stack.state.lock import TREE, lock

# Seconds from an event to a look, and between two looks whether a function is still being deployed.
_PAUSE = 1.0

# By what a container shows that it is there; one whose deploy was killed may never have been started.
_BEGINNINGS = ("create", "start")

# Sees to functions, and says to which that could be done.
Clear = Callable[[Sequence[str]], Iterable[str]]


class Reconciler:
    """Looks after each function that has a new container, once no deploy of it is under way any more."""

    def __init__(self, find_names: Callable[[], Iterable[str]], clear: Clear) -> None:
        self._find_names = find_names
        self._clear = clear
        self._waiting: set[str] = set()
        self._is_all = True
        self._bell = asyncio.Event()
        self._bell.set()

    def hear(self, event: Event | None) -> None:
        """Take note of one of Docker's events; of none, when some may have been missed, as if all were new."""
        if event is None:
            self._is_all = True
        elif event.function and event.action in _BEGINNINGS:
            self._waiting.add(event.function)
        else:
            return
        self._bell.set()

    async def run(self) -> None:
        """Go on for ever."""
        while True:
            await self._bell.wait()
            # A container that has just begun may not take a signal yet.
            await asyncio.sleep(_PAUSE)
            self._bell.clear()
            await self._look()
            if self._waiting:
                self._bell.set()

    async def _look(self) -> None:
        if self._is_all:
            self._is_all = False
            self._waiting |= set(await asyncio.to_thread(self._find_names))
        # What is heard of meanwhile is looked after once more.
        names, self._waiting = self._waiting, set()
        self._waiting |= names.difference(await asyncio.to_thread(self._see_to, sorted(names)))

    def _see_to(self, names: Sequence[str]) -> Iterable[str]:
        try:
            return self._clear(names)
        except (StackError, OSError) as error:
            console.warn(f"{', '.join(names)}: {error}")
            return names


# Seconds between two looks.
_PAUSE_UPKEEP = 10.0
# RabbitMQ remembers each address and user name that was refused; anybody could try any number of them.
_MOST_ATTEMPTS = 1000


async def keep_up(stack: Stack) -> None:
    """See to the broker for ever; what fails is told and tried again."""
    while True:
        await asyncio.sleep(_PAUSE_UPKEEP)
        try:
            await asyncio.to_thread(tend_broker, stack.reopen())
        except (StackError, OSError) as error:
            console.warn(f"The broker was not seen to: {error}")


def tend_broker(stack: Stack) -> None:
    """Remove logins that are over, renew certificates, note who logs in, and forget attempts if they are too many.

    Raises:
        StackError: the broker does not answer, or a file cannot be written.
    """
    has_account_ended, has_login_ended = has_ended(stack.workspace), has_former_ended(stack.workspace)
    if has_account_ended or has_login_ended:
        with lock(stack.workspace, TREE):
            fresh = stack.reread()
            write_stack(fresh, fresh.inputs)
            if has_account_ended:
                forget_former_credentials(stack.workspace)
            if has_login_ended:
                forget_former_login(stack.workspace)
    if stack.settings.tls.is_on:
        renew_certificates(stack)
    broker = find_broker(stack)
    note_uses(stack, broker)
    for path in map(attempts_path, list_nodes(broker)):
        if len(broker.request("GET", path)) > _MOST_ATTEMPTS:
            broker.request("DELETE", path)
