"""Odd messages of AMQP 0-9-1, as bytes: any property, any header that a publisher can write, and some that none can."""

import struct
from collections.abc import Callable
from random import Random

from tests.docker.amqp_wire import entry, long, short, table

# What the function `fuzzed` does of a message, and how often.
MOODS = {
    "fine": 60, "surrogate": 3, "long": 0.3, "odd": 3, "base": 3, "group": 2, "interrupt": 2, "leave": 2, "exit": 0.1,
    "object": 3, "bytes": 3, "text": 3, "number": 3, "tuple": 3,
}  # fmt: skip
# Names that mean something to us, to the broker or to the processor.
_NAMES = (
    b"x-nuclio-attempts", b"x-nuclio-exchange", b"x-nuclio-routing-key", b"x-nuclio-signature", b"x-nuclio-error",
    b"x-nuclio-first-failed", b"x-nuclio-log-level", b"x-nuclio-undecoded", b"x-mqtt-topic", b"x-death",
    b"x-delivery-count", b"x-first-death-queue", b"x-opt-deaths", b"Ce-Specversion", b"cloudEvents:specversion", b"",
)  # fmt: skip
_FIXED = {
    b"t": 1, b"b": 1, b"B": 1, b"s": 2, b"u": 2, b"I": 4, b"i": 4, b"l": 8, b"L": 8, b"T": 8, b"D": 5, b"V": 0,
}  # fmt: skip
_INTERESTING = (0, 1, -1, -1000, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), 1_700_000_000_000)
_TEXTS = (b"", b"text", "\u00e4\u4e2d".encode(), b"\xff\xfe", b"\xed\xa0\x80", b"\0", b"application/json", b"x" * 255)
_LARGE = 400_000


class OddMessages:
    """Makes messages out of chance."""

    def __init__(self, random: Random, user: str) -> None:
        self._random = random
        self._user = user.encode()

    def make_body(self, number: int) -> bytes:
        """Return a body that begins with its number and the mood of its handler."""
        (mood,) = self._random.choices(list(MOODS), list(MOODS.values()))
        size = self._random.randrange(_LARGE) if self._chance(0.005) else self._random.randrange(200)
        return b"%d %s " % (number, mood.encode()) + self._random.randbytes(size)

    def make_key(self) -> bytes:
        """Return a routing key."""
        return self._text(255)

    def make_properties(self) -> bytes:
        """Return properties as they are on the wire."""
        flags, pieces = 0, b""
        for bit, make in self._properties():
            if self._chance(0.3):
                flags |= 1 << bit
                pieces += make()
        return struct.pack(">H", flags) + pieces

    def _properties(self) -> list[tuple[int, Callable[[], bytes]]]:
        """Return what writes each property, in the order of AMQP; a user or an expiration that is wrong is refused."""
        texts: Callable[[], bytes] = lambda: short(self._text(255))  # noqa: E731
        byte: Callable[[], bytes] = lambda: self._random.randbytes(1)  # noqa: E731
        return [
            (15, texts),
            (14, texts),
            (13, lambda: self._table(0)),
            (12, byte),
            (11, byte),
            (10, texts),
            (9, texts),
            (8, lambda: short(b"%d" % self._random.choice((100_000_000, 4_000_000_000)))),
            (7, texts),
            (6, lambda: self._number()),
            (5, texts),
            (4, lambda: short(self._user)),
            (3, texts),
            (2, texts),
        ]

    def _table(self, depth: int) -> bytes:
        count = self._random.choice((0, 1, 2, 5, 300 if not depth and self._chance(0.02) else 3))
        return table(*(entry(self._name(), self._value(depth)) for _ in range(count)))

    def _name(self) -> bytes:
        return self._random.choice(_NAMES) if self._chance(0.3) else self._text(128)

    def _value(self, depth: int) -> bytes:
        chance = self._random.random()
        if chance < 0.002:
            # Of no type that there is, or not as long as it says: the broker refuses the message.
            return self._random.randbytes(5)
        if chance < 0.01 and not depth:
            return self._nest()
        if chance < 0.3:
            return self._random.choice((b"S", b"x")) + long(self._text(2000))
        if chance < 0.4:
            return b"d" + struct.pack(">d", self._random.choice((21.7, -0.0, 1e308, 5e-324, self._random.random())))
        if chance < 0.45:
            return b"f" + struct.pack(">f", self._random.uniform(-1e9, 1e9))
        if chance < 0.6 and depth < 4:
            return b"F" + self._table(depth + 1)
        if chance < 0.7 and depth < 4:
            return b"A" + table(*(self._value(depth + 1) for _ in range(self._random.randrange(4))))
        kind = self._random.choice(list(_FIXED))
        return kind + (self._number() if _FIXED[kind] == 8 else self._random.randbytes(_FIXED[kind]))

    def _nest(self) -> bytes:
        """Return tables or lists in each other, many deep."""
        inner = b""
        for _ in range(self._random.choice((65, 1000, 3000))):
            inner = b"\1aF" + long(inner) if self._chance(0.5) else b"\1aA" + long(b"F" + long(inner))
        return b"F" + long(inner)

    def _number(self) -> bytes:
        if self._chance(0.5):
            return struct.pack(">q", self._random.choice(_INTERESTING))
        return self._random.randbytes(8)

    def _text(self, most: int) -> bytes:
        if self._chance(0.5):
            return self._random.choice(_TEXTS)[:most]
        return self._random.randbytes(self._random.randrange(min(most, 60)))

    def _chance(self, part: float) -> bool:
        return self._random.random() < part
