"""What older versions of functions left at the broker: it is removed once they have stopped, and no message with it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from stack import console
from stack.contract import DEAD, RETRY
from stack.docker.stack import Stack
from stack.errors import BrokerError
from stack.plan.drift import Binding, stale_bindings, stale_queues
from stack.plan.function import FunctionPlan
from stack.rabbitmq.management import Broker, find_broker
from stack.rabbitmq.replacement import delete_idle_queue
from stack.state.deployment import (
    forget_candidate,
    is_deployed,
    load_candidate,
    load_live,
    load_revisions,
)
from stack.state.lock import TREE, lock


def clear_after_deploy(stack: Stack, names: Sequence[str]) -> None:
    """Remove what the versions before bound and the new ones do not, and the queues that they alone consumed.

    What a version bound that never came to count goes too. Another function's version binds before it counts as
    deployed, so none is begun meanwhile.
    """
    if any(_find_after_deploy(stack, names)):
        with lock(stack.workspace, TREE):
            clear(stack, *_find_after_deploy(stack, names))
    for name in names:
        forget_candidate(stack.workspace, name)


def clear_after_deletion(stack: Stack, versions: Sequence[FunctionPlan], *, gone: Collection[str]) -> None:
    """Remove what all versions of a deleted function left, but for the queues that are gone already.

    Who does it lets no deploy begin meanwhile.
    """
    live = _live_plans(stack, ())
    bindings = [one for one in stale_bindings(versions, live) if one.queue not in gone]
    clear(stack, bindings, stale_queues(versions, live).difference(gone))


def clear(stack: Stack, bindings: Collection[Binding], queues: Collection[str]) -> None:
    """Unbind, and delete queues that are empty; say which are not, and what is left where the broker is down."""
    if not bindings and not queues:
        return
    broker = find_broker(stack)
    try:
        known = broker.queues()
        for queue in sorted({one.queue for one in bindings} & known.keys()):
            unbind(broker, queue, bindings)
        for queue in sorted(set(queues) & known.keys()):
            _retire(stack, broker, queue=queue, known=known)
    except BrokerError as error:
        names = ", ".join(sorted({*queues, *(one.queue for one in bindings)}))
        console.warn(f"What no function uses any more of the queues {names} was not removed: {error}")


def _find_after_deploy(stack: Stack, names: Collection[str]) -> tuple[frozenset[Binding], frozenset[str]]:
    """Return the bindings of any version that is kept, and the queues of the one before only.

    An older one's queue may since have become somebody else's.
    """
    # Most deploys change no trigger, and need not read what else is deployed.
    known = [_read_versions(stack, name) for name in names]
    found = [one for one in known if one.differ]
    live = [plan for one in known for plan in one.current] if found else []
    live += _live_plans(stack, names) if found else []
    bindings = stale_bindings([plan for one in found for plan in one.older], live)
    return bindings, stale_queues([plan for one in found for plan in one.latest], live)


@dataclass(frozen=True)
class _Versions:
    """The versions of a function that may have left something: what counts, if any, and others, the latest first."""

    current: Sequence[FunctionPlan]
    candidate: Sequence[FunctionPlan]
    before: Sequence[FunctionPlan]

    @property
    def older(self) -> list[FunctionPlan]:
        """Return those whose bindings may be there."""
        return [*self.candidate, *self.before]

    @property
    def latest(self) -> list[FunctionPlan]:
        """Return those whose queues may be there, and no one else's yet."""
        return [*self.candidate, *self.before[:1]]

    @property
    def differ(self) -> bool:
        """Return whether others bound or consumed what the current one does not."""
        return bool(stale_bindings(self.older, self.current) or stale_queues(self.latest, self.current))


def _read_versions(stack: Stack, name: str) -> _Versions:
    known = load_revisions(stack.workspace, name) if is_deployed(stack.workspace, name) else ()
    plans = [one.plan(stack.settings) for one in known]
    candidate = load_candidate(stack.workspace, name)
    return _Versions(plans[:1], [candidate.plan(stack.settings)] if candidate else [], plans[1:])


def _live_plans(stack: Stack, besides: Collection[str]) -> list[FunctionPlan]:
    return [one.plan(stack.settings) for one in load_live(stack.workspace, besides)]


def unbind(broker: Broker, queue: str, bindings: Collection[Binding]) -> None:
    """Remove bindings of a queue.

    Raises:
        BrokerError: the broker does not answer, or refuses.
    """
    for binding, key in broker.bindings(queue).items():
        if binding in bindings:
            broker.unbind(binding, key)


def _retire(stack: Stack, broker: Broker, *, queue: str, known: Collection[str]) -> None:
    """Delete a queue, with its queues of retries and of dead letters, if no message is in the way."""
    if broker.bindings(queue):
        console.warn(
            f"No function consumes the queue {queue} any more. It is kept, since it is bound by somebody else."
        )
        return
    retries = [name for name in sorted(known) if name.startswith(queue + RETRY)]
    # A message of a queue of retries goes back into the queue, which is asked after them for that.
    if all([delete_idle_queue(broker, name) for name in retries]) and delete_idle_queue(broker, queue):
        delete_idle_queue(broker, queue + DEAD)
        return
    found = broker.queues()
    _tell_kept(stack, queue, messages=sum(found.get(name, 0) for name in (queue, *retries)))


def _tell_kept(stack: Stack, queue: str, *, messages: int) -> None:
    held = f"holds {messages} message{'s' * (messages != 1)}" if messages else "holds messages or has a consumer"
    page = f"http://{stack.settings.host}:{stack.settings.ports.management}/#/queues/%2F/{quote(queue, safe='')}"
    console.warn(
        f"No function consumes the queue {queue} any more. It is kept, since it still {held}. "
        f"A function with this queueName handles them; {page} shows, purges and deletes it."
    )
