"""`invoke dead-letters`: what it is told to do with dead letters, and what it prints."""

from collections.abc import Sequence
from dataclasses import dataclass

from stack import console
from stack.docker.stack import open_stack
from stack.errors import BrokerError, FunctionError
from stack.plan.dead_letter import Letter
from stack.rabbitmq.dead_letter import Choice, discard_letters, list_letters, replay_letters

# How many letters are listed unless told otherwise, and how much of a body or an error a table shows.
_LISTED, _SHOWN = 50, 60


@dataclass(frozen=True)
class DeadLetterRequest:
    """What is to be done, and with which: the first so many, those that hold a text."""

    show: int = 0
    replay: bool = False
    purge: bool = False
    count: int = 0
    match: str = ""


def handle_dead_letters(name: str, order: DeadLetterRequest, *, yes: bool, as_json: bool) -> None:
    """List, show, send again or discard the dead letters of a function, or of all.

    Raises:
        FunctionError: the order contradicts itself, or there is no such function or letter.
        BrokerError: RabbitMQ does not answer, or letters could not be sent.
        DeclinedError: they are not to be discarded after all.
    """
    choice = Choice(name, match=order.match, count=order.count)
    if sum((bool(order.show), order.replay, order.purge)) > 1:
        raise FunctionError("Give one of --show, --replay and --purge.")
    if order.count < 0:
        raise FunctionError(f"--count {order.count}: should be 1 or more, or 0 for all.")
    if order.replay:
        _replay(choice, as_json=as_json)
    elif not order.purge:
        _tell(choice, order.show, as_json=as_json)
    else:
        console.confirm(f"Discard {_name(order)} of {name or 'all functions'}?", yes=yes)
        _report("discarded", discard_letters(open_stack(), choice), as_json=as_json)


def _tell(choice: Choice, number: int, *, as_json: bool) -> None:
    letters = list_letters(open_stack(), choice).letters
    if number:
        letters = tuple(letter for letter in letters if letter.number == number)
        if not letters:
            raise FunctionError(f"There is no dead letter {number}. `invoke dead-letters` lists them.")
    if as_json:
        console.show_json([letter.describe() for letter in letters])
    elif number:
        _show(letters[0])
    else:
        _list(letters)


def _replay(choice: Choice, *, as_json: bool) -> None:
    replay = replay_letters(open_stack(), choice)
    _report("sent_again", replay.sent, as_json=as_json)
    if replay.problem:
        raise BrokerError(replay.problem)


def _report(deed: str, count: int, *, as_json: bool) -> None:
    if as_json:
        console.show_json({deed: count})
    else:
        console.success(f"{count} dead letter{'' if count == 1 else 's'} {deed.replace('_', ' ')}.")


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


def _name(order: DeadLetterRequest) -> str:
    which = f"the first {order.count}" if order.count else "all"
    return f"{which} dead letters" + (f" with {order.match!r}" if order.match else "")
