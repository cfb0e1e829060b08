"""Answers with odd things; the path /odd/SEED says which, and /ordinary/NUMBER is answered with the number."""

import datetime
import decimal
from random import Random

import nuclio_sdk
from nuclio_sdk import Response

TEXTS = (
    "",
    "plain",
    "grüße ☃",
    "\ud800",
    "\udfff x",
    "a\r\nX-B: 1",
    "a\n",
    "nul\0",
    "\x1b[0m",
    "\x7f",
    "t\tab",
    " ",
    ":",
    ": ",
    "x" * 300,
    "y" * 9_000,
    "z" * 70_000,
    "HTTP/1.1 200 OK\r\n\r\n",
    "200",
    "%s",
    "{}",
    "\u2028",
    "\ufeff",
    "💥" * 100,
)
NAMES = (
    "X-A",
    "x-b",
    "Content-Type",
    "content-length",
    "Transfer-Encoding",
    "Connection",
    "Set-Cookie",
    "Location",
    "Date",
    "X-Nuclio-Filestream-Path",
    "x-nuclio-logs",
    "Content-Encoding",
    "Upgrade",
    "Trailer",
    "Keep-Alive",
    "Status",
)
STATUSES = (
    0,
    1,
    99,
    100,
    101,
    103,
    150,
    199,
    200,
    201,
    204,
    205,
    206,
    226,
    300,
    304,
    400,
    404,
    408,
    418,
    499,
    502,
    503,
    504,
    511,
    599,
    600,
    999,
    1000,
    -1,
    2**31,
    2**64,
    10**400,
    "200",
    "",
    None,
    True,
    200.0,
    float("nan"),
    b"200",
    [200],
)


class Odd:
    """An object that nothing can be made of."""

    def __init__(self, error):
        self.error = error

    def __str__(self):
        raise self.error

    __repr__ = __len__ = __iter__ = __bool__ = __log__ = __str__


class OddText(str):
    def encode(self, *arguments):
        return self


class OddBytes(bytes):
    def __len__(self):
        return 7


def handler(context, event):
    _, kind, number = event.path.split("/")
    return number if kind == "ordinary" else make_result(Random(number))


async def async_handler(context, event):
    return handler(context, event)


def make_result(random):
    kind = random.randrange(12)
    if kind == 0:
        raise random.choice(ERRORS)(random)
    if kind == 1:
        return pieces(random)
    if kind == 2:
        return random.choice(STATUSES), make_body(random)
    if kind < 9:
        return Response(make_headers(random), make_body(random), make_type(random), random.choice(STATUSES[8:29]))
    if kind < 11:
        return Response(make_headers(random), make_body(random), make_type(random), random.choice(STATUSES))
    return make_body(random)


ERRORS = (
    lambda random: ValueError(random.choice(TEXTS)),
    lambda random: ValueError(Odd(SystemExit())),
    lambda random: KeyboardInterrupt(random.choice(TEXTS)),
    lambda random: SystemExit(random.choice(TEXTS)),
    lambda random: GeneratorExit(),
    lambda random: StopIteration(1),
    lambda random: RecursionError("deep"),
    lambda random: MemoryError(),
    lambda random: ExceptionGroup(random.choice(TEXTS), [ValueError(random.choice(TEXTS))]),
    lambda random: UnicodeDecodeError("utf-8", b"\xff", 0, 1, random.choice(TEXTS)),
    lambda random: nuclio_sdk.ExceptionWithResponse(
        random.choice(STATUSES), make_body(random), random.choice((None, *TEXTS))
    ),
)


def pieces(random):
    for _ in range(random.randrange(4)):
        yield make_body(random)
    if random.random() < 0.3:
        raise ValueError(random.choice(TEXTS))


def make_body(random, depth=0):
    kind = random.randrange(16)
    if kind < 3:
        return random.choice(TEXTS)
    if kind == 3:
        return random.randbytes(random.choice((0, 1, 100, 300_000)))
    if kind == 4 and depth < 3:
        return {random.choice(TEXTS): make_body(random, depth + 1) for _ in range(random.randrange(3))}
    if kind == 5 and depth < 3:
        return [make_body(random, depth + 1) for _ in range(random.randrange(3))]
    if kind == 6 and depth < 2:
        return Response(make_headers(random), make_body(random, depth + 1))
    if kind == 7 and not depth:
        return pieces(random)
    return random.choice(
        (
            None,
            1,
            -0.0,
            float("nan"),
            10**5000,
            True,
            bytearray(b"b"),
            memoryview(b"abc")[::2],
            range(3),
            object(),
            decimal.Decimal(1),
            datetime.datetime.now(datetime.UTC),
            {1, 2},
            Odd(ValueError("no text")),
            Odd(SystemExit()),
            OddText("own"),
            OddBytes(b"own"),
            nest(5000),
            loop(),
            print,
            handler,
            b"",
            "",
        )
    )


def nest(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def loop():
    value = {}
    value["own"] = value
    return value


def make_headers(random):
    kind = random.randrange(12)
    if kind == 0:
        return random.choice((None, "text", b"text", [("X-A", "1")], 5, Odd(ValueError("no text")), {}))
    if kind == 1:
        return {f"X-{number}": "v" * random.randrange(200) for number in range(random.randrange(150))}
    names = [random.choice(NAMES if random.random() < 0.9 else TEXTS) for _ in range(random.randrange(4))]
    return {name: random.choice(TEXTS) if random.random() < 0.4 else make_value(random) for name in names}


def make_value(random):
    return random.choice(
        ("1", "ü", 7, True, None, b"bytes", 1.5, ["a"], {"a": 1}, OddText("own"), "text/html; charset=utf-8")
    )


def make_type(random):
    return random.choice(
        (None, "text/plain", "application/json", "text/html", *TEXTS, 7, b"text", Odd(ValueError("no")))
    )
