"""Writes down the number and a digest of each message, unless its second word says what else to do."""

import hashlib
import os
from pathlib import Path

OUTPUT = Path(os.environ["OUTPUT"])


class OddError(Exception):
    """Has no text."""

    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class Base(BaseException):
    """Is no Exception."""


def handler(context, event):
    body = event.body
    number, mood = body.split(b" ", 2)[:2]
    # Whatever an event has can be looked at.
    context.logger.debug_with("seen", event={name: repr(value) for name, value in vars(event).items()})
    if mood == b"exit":
        os._exit(3)
    if mood.decode() in ERRORS:
        raise ERRORS[mood.decode()]()
    with OUTPUT.open("a") as file:
        file.write(f"{int(number)} {hashlib.sha256(body).hexdigest()[:16]}\n")
    return RESULTS.get(mood.decode())


ERRORS = {
    "surrogate": lambda: ValueError("\ud800"),
    "long": lambda: ValueError("x" * 10_000_000),
    "odd": OddError,
    "base": lambda: Base("\0\udfff"),
    "group": lambda: ExceptionGroup("\ud800", [ValueError("\ud800"), OddError()]),
    "interrupt": KeyboardInterrupt,
    "leave": lambda: SystemExit("\ud800"),
}
# What is returned where no one waits for it.
RESULTS = {"object": object(), "bytes": b"\xff", "text": "\ud800", "number": 2**70, "tuple": (99999, "\ud800")}
