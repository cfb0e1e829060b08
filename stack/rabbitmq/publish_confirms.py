"""Readings on their way to the broker: which wait, which are not confirmed yet, which no one took."""

from collections import deque
from collections.abc import Iterable, Iterator

from stack.plan.device import Reading


class PublishConfirms:
    """The bookkeeping of publisher confirms over one channel after another.

    RabbitMQ numbers what is published on a channel from 1, and sends a message that no queue takes back before it
    confirms it.
    """

    def __init__(self, readings: Iterable[Reading]) -> None:
        self.unheard: list[Reading] = []
        self._waiting = deque(readings)
        self._unconfirmed: dict[int, Reading] = {}
        self._returned: set[str] = set()
        self._again: list[Reading] = []
        self._last_tag = 0

    @property
    def is_empty(self) -> bool:
        """Return whether every reading is confirmed, or given up."""
        return not (self._waiting or self._unconfirmed or self._again)

    @property
    def has_waiting(self) -> bool:
        """Return whether there is one to publish."""
        return bool(self._waiting)

    @property
    def unconfirmed(self) -> int:
        """Return how many the broker has still to confirm."""
        return len(self._unconfirmed)

    def take(self) -> Reading:
        """Return the next one, which is published now."""
        self._last_tag += 1
        reading = self._unconfirmed[self._last_tag] = self._waiting.popleft()
        return reading

    def note_return(self, identity: str) -> None:
        """Note that no queue took a reading; its confirm follows."""
        self._returned.add(identity)

    def confirm(self, tag: int, *, multiple: bool, keep: bool) -> int:
        """Note a confirm, and return how many readings it says a queue took.

        Those that no queue took are kept to be tried again, if `keep`, or are unheard.
        """
        heard = 0
        for reading in self._settle(tag, multiple):
            if reading.identity not in self._returned:
                heard += 1
                continue
            self._returned.discard(reading.identity)
            (self._again if keep else self.unheard).append(reading)
        return heard

    def refuse(self, tag: int, *, multiple: bool) -> None:
        """Note that the broker could not keep some, which are tried again."""
        self._again.extend(self._settle(tag, multiple))

    def try_again(self) -> None:
        """Put those that were kept back among the waiting."""
        self._waiting.extend(self._again)
        self._again.clear()

    def restart(self) -> None:
        """Begin a new channel: what was not confirmed goes first, in its old order."""
        self._waiting.extendleft(reversed(self._unconfirmed.values()))
        self._unconfirmed.clear()
        self._returned.clear()
        self._last_tag = 0

    def _settle(self, tag: int, multiple: bool) -> Iterator[Reading]:
        if not multiple:
            yield self._unconfirmed.pop(tag)
            return
        # A dict keeps the order of insertion, and tags grow.
        while self._unconfirmed and (first := next(iter(self._unconfirmed))) <= tag:
            yield self._unconfirmed.pop(first)
