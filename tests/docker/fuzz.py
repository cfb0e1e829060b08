"""Fuzzing: odd messages among ordinary ones, and a ledger of what became of each.

A test marked `fuzz` takes the fixture `fuzz`, sends until `fuzz.is_over`, notes in a Ledger what was confirmed and
what was found again, and asserts that the ledger is even. `invoke test --fuzz --minutes M` runs all such tests, each
for its share of the time; without it each sends a small, fixed number of messages.
"""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random, randrange

import pytest

# Messages that each fuzzer sends in an ordinary run of the tests.
_COUNT = 2000
_MARK_LENGTH = 16


@dataclass
class Fuzz:
    """How long to go on, and the source of all chance; the same seed sends the same messages."""

    seed: int
    count: int = _COUNT
    """How many messages; unless `seconds` says how long."""
    seconds: float = 0.0
    sent: int = 0
    random: Random = field(init=False)
    _began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    @property
    def is_over(self) -> bool:
        """Return whether enough was sent; who sends adds to `sent`."""
        if self.seconds:
            return time.monotonic() - self._began >= self.seconds
        return self.sent >= self.count


@dataclass
class Ledger:
    """What was sent, by number, and what became of it; a mark is a digest of the body."""

    confirmed: dict[int, str] = field(default_factory=dict)
    """What its receiver has confirmed, and so must be found again."""
    handled: dict[int, str] = field(default_factory=dict)
    dead: dict[int, str] = field(default_factory=dict)

    @property
    def lost(self) -> set[int]:
        """Return the numbers that were confirmed and are nowhere."""
        return set(self.confirmed) - set(self.handled) - set(self.dead)

    @property
    def changed(self) -> set[int]:
        """Return the numbers whose body is found other than it was sent."""
        found = [*self.handled.items(), *self.dead.items()]
        return {number for number, mark in found if mark != self.confirmed.get(number, mark)}

    def tell(self) -> str:
        return (
            f"{len(self.confirmed)} confirmed, {len(self.handled)} handled, {len(self.dead)} dead letters, "
            f"{len(self.lost)} lost, {len(self.changed)} changed"
        )


def mark_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:_MARK_LENGTH]


@pytest.fixture
def fuzz(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Iterator[Fuzz]:
    """How long this test is to go on, told with the seed that repeats it."""
    seed = request.config.getoption("--fuzz-seed")
    minutes = request.config.getoption("--fuzz-minutes")
    share = len([item for item in request.session.items if item.get_closest_marker("fuzz")])
    fuzz = Fuzz(randrange(1 << 32) if seed is None else seed, seconds=minutes * 60 / max(share, 1))
    yield fuzz
    with capsys.disabled():
        print(f"\n{request.node.name}: {fuzz.sent} sent, seed {fuzz.seed}")
