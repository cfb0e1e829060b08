"""Dead letters on the stack's broker: shown, sent again, or discarded.

A letter is taken off its queue only when it is discarded on purpose, or when the broker has confirmed that it keeps it
elsewhere; whatever interrupts this, what was not taken off stays.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pika import BlockingConnection, DeliveryMode, URLParameters
from pika.exceptions import AMQPError, NackError, UnroutableError

from stack import console
from stack.errors import BrokerError, FunctionError
from stack.plan.dead_letter import DEAD, Letter
from stack.plan.function import own_queues
from stack.run.broker import Broker, find_broker
from stack.run.stack import Stack, open_stack

# How many letters are listed unless told otherwise, and how much of a body or an error a table shows.
_LISTED, _SHOWN = 50, 60


@dataclass(frozen=True)
class Order:
    """What is to be done, and with which: the first so many, those that hold a text."""

    show: int = 0
    replay: bool = False
    purge: bool = False
    count: int = 0
    match: str = ""


# Does something with a letter, the channel and the properties that it came with; tells whether it may go.
_Deed = Callable[[Any, Letter, Any], bool]


def see_to_dead_letters(name: str, order: Order, *, yes: bool, as_json: bool) -> None:
    """List, show, send again or discard the dead letters of a function, or of all.

    Raises:
        FunctionError: the order contradicts itself, or there is no such function or letter.
        BrokerError: RabbitMQ does not answer, or letters could not be sent.
    """
    if sum((bool(order.show), order.replay, order.purge)) > 1:
        raise FunctionError("Give one of --show, --replay and --purge.")
    if order.replay:
        _replay(name, order, as_json=as_json)
    elif not order.purge:
        _tell(name, order, as_json=as_json)
    elif console.confirm(f"Discard {_name(order)} of {name or 'all functions'}?", yes=yes):
        _report("discarded", _do(name, order, lambda _channel, _letter, _properties: True), as_json=as_json)


def _tell(name: str, order: Order, *, as_json: bool) -> None:
    letters: list[Letter] = []

    def note(_channel: Any, letter: Letter, _properties: Any) -> bool:
        letters.append(letter)
        return False

    _do(name, order, note)
    if order.show:
        letters = [letter for letter in letters if letter.number == order.show]
        if not letters:
            raise FunctionError(f"There is no dead letter {order.show}. `invoke dead-letters` lists them.")
    if as_json:
        console.show_json([letter.describe() for letter in letters])
    elif order.show:
        _show(letters[0])
    else:
        _list(letters)


def _replay(name: str, order: Order, *, as_json: bool) -> None:
    """Send dead letters to the queues that they came from, as if they had never been tried.

    They do not pass through the exchange again, whose other queues have had them.

    Raises:
        BrokerError: a queue is gone; what could be sent is sent, and the rest stays.
    """
    lost: set[str] = set()

    def send(channel: Any, letter: Letter, properties: Any) -> bool:
        properties.headers = letter.fresh_headers
        properties.delivery_mode = DeliveryMode.Persistent.value
        try:
            channel.basic_publish("", letter.target, letter.body, properties, mandatory=True)
        except (UnroutableError, NackError):
            lost.add(letter.target)
            return False
        return True

    _report("sent_again", _do(name, order, send), as_json=as_json)
    if lost:
        missing = ", ".join(sorted(lost))
        raise BrokerError(f"There is no queue {missing}; its letters stay. Deploy the function, then type this again.")


def _do(name: str, order: Order, deed: _Deed) -> int:
    with _open_channel() as (stack, broker, channel):
        channel.confirm_delivery()
        return _visit(channel, _find_queues(stack, broker, name), order, deed)


def _report(deed: str, count: int, *, as_json: bool) -> None:
    if as_json:
        console.show_json({deed: count})
    else:
        console.success(f"{count} dead letter{'' if count == 1 else 's'} {deed.replace('_', ' ')}.")


@contextmanager
def _open_channel() -> Iterator[tuple[Stack, Broker, Any]]:
    """Yield a channel; what it has not acknowledged goes back to its place when it closes.

    Raises:
        BrokerError: RabbitMQ does not answer, or the connection broke.
    """
    stack = open_stack()
    broker = find_broker(stack)
    parameters = URLParameters(broker.amqp_url)
    parameters.client_properties = {"connection_name": "tidegate-dead-letters"}
    try:
        with BlockingConnection(parameters) as connection:
            yield stack, broker, connection.channel()
    except AMQPError as error:
        address = f"{broker.host}:{broker.amqp_port}"
        reason = str(error) or type(error).__name__
        raise BrokerError(f"RabbitMQ at {address}: {reason}. Type `invoke up`, then this again.") from error


def _find_queues(stack: Stack, broker: Broker, name: str) -> list[str]:
    """Return the queues of dead letters that there are.

    Raises:
        FunctionError: there is no such function.
    """
    found = sorted(queue for queue in broker.queues() if queue.endswith(DEAD))
    if not name:
        return found
    plans = {service.plan.name: service.plan for service in stack.inputs.services}
    if name not in plans:
        raise FunctionError(f"There is no function {name}. Functions: {', '.join(sorted(plans)) or 'none'}.")
    own = {queue + DEAD for queue in own_queues(plans[name])}
    return [queue for queue in found if queue in own]


def _visit(channel: Any, queues: Sequence[str], order: Order, deed: _Deed) -> int:
    """Do something with each chosen letter; return how many were taken off their queues.

    Only what is there at the beginning is visited: a letter that is sent again may soon be dead again.
    """
    number = chosen = taken = 0
    for queue in queues:
        for _ in range(channel.queue_declare(queue, passive=True).method.message_count):
            method, properties, body = channel.basic_get(queue)
            if method is None or (order.count and chosen >= order.count):
                break
            number += 1
            letter = Letter(number, queue, properties.headers or {}, body)
            if not letter.matches(order.match):
                continue
            chosen += 1
            if deed(channel, letter, properties):
                channel.basic_ack(method.delivery_tag)
                taken += 1
    return taken


def _list(letters: Sequence[Letter]) -> None:
    if not letters:
        console.say("There are no dead letters.")
        return
    console.show_table(
        ("number", "function", "failed", "attempts", "error", "body"),
        [
            {
                "number": str(letter.number),
                "function": about["function"] or letter.target,
                "failed": about["last_failed"],
                "attempts": str(about["attempts"]),
                "error": about["error"][:_SHOWN],
                "body": about["body"][:_SHOWN],
            }
            for letter in letters[:_LISTED]
            for about in [letter.describe()]
        ],
    )
    if len(letters) > _LISTED:
        console.note(f"{len(letters) - _LISTED} more; --json prints all.")
    console.say("Next: --show N shows one; --replay sends them again, --purge discards them.")


def _show(letter: Letter) -> None:
    about = letter.describe()
    body, headers = about.pop("body"), about.pop("headers")
    for name, value in (about | {f"header {name}": value for name, value in headers.items()}).items():
        console.show(f"{name.replace('_', ' ')}: {value}")
    console.show(f"\n{body}")


def _name(order: Order) -> str:
    which = f"the first {order.count}" if order.count else "all"
    return f"{which} dead letters" + (f" with {order.match!r}" if order.match else "")
