"""Dead letters on the stack's broker: read, sent again, or discarded.

A letter is taken off its queue only when it is discarded on purpose, or when the broker has confirmed that it keeps it
elsewhere; whatever interrupts this, what was not taken off stays. Who reads has the letters for a moment, and
so one at a time does anything with them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, islice
from time import monotonic, sleep
from typing import Any

from pika.exceptions import AMQPError, NackError, UnroutableError

from stack.contract import DEAD
from stack.docker.stack import Stack
from stack.errors import BrokerError, FunctionError
from stack.plan.dead_letter import Letter
from stack.plan.function import own_queues
from stack.processor.source.rabbitmq.headers import sign_again
from stack.rabbitmq.connection import connected
from stack.rabbitmq.management import Broker, find_broker
from stack.rabbitmq.transfer import read_unacknowledged
from stack.state.lock import lock
from stack.state.vault import function_signature_key

# Seconds that letters may take on their way back into their queue, and between two looks whether they are there.
_PATIENCE, _PAUSE = 5.0, 0.02
_GONE = "This dead letter is gone: it was sent again or discarded meanwhile."
_KEPT = "No dead letter was lost: those that were not sent are back when it takes messages; one may come twice."
_CHANGED = "The dead letters are others than those shown; nothing was done. Look at the list again."


@dataclass(frozen=True)
class Choice:
    """Which letters: of one function or of all, that hold a text, the first so many."""

    function: str = ""
    match: str = ""
    count: int = 0
    key: str = ""
    """The one letter that has this key."""
    through: frozenset[str] = frozenset()
    """The keys of the last letter of each queue that somebody has seen; what came after them is left alone."""

    def has(self, letter: Letter, owners: Mapping[str, str]) -> bool:
        """Return whether a letter is chosen; the function is that of its queue, or, if none consumes it, as it says."""
        is_of = self.function in ("", owners.get(letter.target, letter.function))
        return is_of and self.key in ("", letter.key) and letter.matches(self.match)


@dataclass(frozen=True)
class Listing:
    """The chosen letters, and how many there are in their queues, chosen or not."""

    letters: tuple[Letter, ...]
    total: int


@dataclass(frozen=True)
class Replay:
    """How many letters were sent again, and the queues that are gone, whose letters stay."""

    sent: int
    missing: tuple[str, ...]

    @property
    def problem(self) -> str:
        """Return what is to be done about those that stay; nothing if none does."""
        names = ", ".join(self.missing)
        return f"There is no queue {names}; its letters stay. Deploy the function, then do this again." if names else ""


# Does something with a letter, the channel and the properties that it came with; tells whether it may go.
_Action = Callable[[Any, Letter, Any], bool]


@dataclass(frozen=True)
class _Held:
    """A letter in progress: until it is acknowledged it goes back to its place when the channel closes."""

    letter: Letter
    properties: Any
    tag: int


def list_letters(stack: Stack, choice: Choice) -> Listing:
    """Read dead letters; they stay where they are.

    Raises:
        FunctionError: there is no such function, or the one letter is gone.
        BrokerError: RabbitMQ does not answer.
    """
    letters: list[Letter] = []

    def note(_channel: Any, letter: Letter, _properties: Any) -> bool:
        letters.append(letter)
        return False

    total = _do(stack, choice, action=note).total
    return Listing(tuple(letters), total)


def replay_letters(stack: Stack, choice: Choice) -> Replay:
    """Send dead letters to the queues that they came from, as if they had never been tried.

    They do not pass through the exchange again, whose other queues have had them. What is of a queue that the function
    does not consume any more goes to the one that it does.

    Raises:
        FunctionError: there is no such function, or the letters are not those that were meant.
        BrokerError: RabbitMQ does not answer; what was sent is sent, and the rest stays.
    """
    missing: set[str] = set()
    owners = _find_owners(stack)

    def send(channel: Any, letter: Letter, properties: Any) -> bool:
        function = owners.get(letter.target) or letter.function
        target = _find_target(letter, owners)
        key = function_signature_key(stack.workspace, function)
        fresh = sign_again(properties, letter.body, queue=target, key=key)
        try:
            channel.basic_publish("", target, letter.body, fresh, mandatory=True)
        except (UnroutableError, NackError):
            missing.add(target)
            return False
        return True

    return Replay(_do(stack, choice, action=send).taken, tuple(sorted(missing)))


def discard_letters(stack: Stack, choice: Choice) -> int:
    """Discard dead letters; return how many.

    Raises:
        FunctionError: there is no such function, or the letters are not those that were meant.
        BrokerError: RabbitMQ does not answer.
    """
    return _do(stack, choice, action=lambda _channel, _letter, _properties: True).taken


@dataclass(frozen=True)
class _Done:
    taken: int
    total: int


def _do(stack: Stack, choice: Choice, *, action: _Action) -> _Done:
    with _open_channel(stack) as (broker, channel):
        channel.confirm_delivery()
        reader = _LetterReader(channel)
        owners = _find_owners(stack)
        queues = _find_queues(stack, broker, owners, name=choice.function)
        try:
            if choice.through:
                queues = _find_seen(reader, queues, through=choice.through)
            total = sum(reader.count(queue) for queue in queues)
            return _Done(_visit(reader, queues, owners, choice=choice, action=action), total)
        finally:
            reader.give_back()


@contextmanager
def _open_channel(stack: Stack) -> Iterator[tuple[Broker, Any]]:
    """Yield a channel; what it has not acknowledged goes back to its place when it closes.

    Raises:
        BrokerError: RabbitMQ does not answer, the connection broke, or it takes no messages.
    """
    broker = find_broker(stack)
    try:
        with lock(stack.workspace, "dead-letters"), connected(broker, "tidegate-dead-letters", _KEPT) as connection:
            yield broker, connection.channel()
    except (AMQPError, OSError) as error:
        reason = str(error) or "the connection broke"
        raise BrokerError(f"RabbitMQ was lost: {reason}. {_KEPT} Type `invoke up`, then this again.") from error


def _find_owners(stack: Stack) -> dict[str, str]:
    """Return the queues that functions consume, each with the name of its function."""
    return {queue: service.plan.name for service in stack.inputs.services for queue in own_queues(service.plan)}


def _find_target(letter: Letter, owners: Mapping[str, str]) -> str:
    own = [queue for queue, function in owners.items() if function == letter.function]
    return own[0] if letter.target not in owners and len(own) == 1 else letter.target


def _find_queues(stack: Stack, broker: Broker, owners: Mapping[str, str], *, name: str) -> list[str]:
    """Return the queues of dead letters that there are; of a function its own, and those that no one's are any more.

    Raises:
        FunctionError: there is no such function.
    """
    found = sorted(queue for queue in broker.queues() if queue.endswith(DEAD))
    if not name:
        return found
    names = {service.plan.name for service in stack.inputs.services}
    if name not in names:
        raise FunctionError(f"There is no function {name}. Functions: {', '.join(sorted(names)) or 'none'}.")
    others = {queue + DEAD for queue, owner in owners.items() if owner != name}
    return [queue for queue in found if queue not in others]


class _LetterReader:
    """The letters that a channel has in progress."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self._held: dict[str, int] = {}
        self._readers: dict[str, Any] = {}

    def count(self, queue: str) -> int:
        """Return how many letters a queue holds, but those in progress."""
        return int(self.channel.queue_declare(queue, passive=True).method.message_count)

    def take(self, queue: str, numbers: Iterator[int], through: frozenset[str] = frozenset()) -> Iterator[_Held]:
        """Yield the letters of a queue in their order.

        Only what is there at the beginning is visited: a letter that is sent again may soon be dead again.
        """
        waiting = self.count(queue)
        self._held[queue] = waiting
        reader = self._readers[queue] = self.channel.connection.channel()
        for method, properties, body in read_unacknowledged(reader, queue, waiting):
            letter = Letter(next(numbers), queue, properties.headers or {}, body, _identify(properties))
            yield _Held(letter, properties, method.delivery_tag)
            if letter.key in through:
                return

    def take_off(self, held: _Held) -> None:
        """Take a letter off its queue for good."""
        self._readers[held.letter.queue].basic_ack(held.tag)
        self._held[held.letter.queue] -= 1

    def give_back(self) -> None:
        """Put what is in progress back, and wait until it is there, or who looks next would miss it.

        Where the channel is closed, that is done already.
        """
        if not self.channel.is_open:
            return
        wanted = {queue: number for queue, number in self._held.items() if number}
        self._held.clear()
        for reader in self._readers.values():
            if reader.is_open:
                reader.close()
        self._readers.clear()
        deadline = monotonic() + _PATIENCE
        while any(self.count(queue) < number for queue, number in wanted.items()) and monotonic() < deadline:
            sleep(_PAUSE)


def _visit(
    reader: _LetterReader,
    queues: Sequence[str],
    owners: Mapping[str, str],
    *,
    choice: Choice,
    action: _Action,
) -> int:
    """Do something with each chosen letter; return how many were taken off their queues."""
    numbers = count(1)
    held = (one for queue in queues for one in reader.take(queue, numbers, choice.through))
    chosen = (one for one in held if choice.has(one.letter, owners))
    visited = taken = 0
    for one in islice(chosen, 1 if choice.key else choice.count or None):
        visited += 1
        if action(reader.channel, one.letter, one.properties):
            reader.take_off(one)
            taken += 1
    if choice.key and not visited:
        raise FunctionError(_GONE)
    return taken


def _identify(properties: Any) -> str:
    return " ".join(str(one) for one in (properties.message_id, properties.correlation_id, properties.timestamp))


def _find_seen(reader: _LetterReader, queues: Sequence[str], *, through: frozenset[str]) -> list[str]:
    """Return the queues that hold a letter that somebody has seen as the last.

    Raises:
        FunctionError: one of these letters is not there any more.
    """
    seen = [queue for queue in queues if any(one.letter.key in through for one in reader.take(queue, count(1)))]
    reader.give_back()
    if len(seen) != len(through):
        raise FunctionError(_CHANGED)
    return seen
