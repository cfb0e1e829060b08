"""How many messages a worker asks for ahead of time, and how their acknowledgements are merged.

A fast handler must not wait for the broker between two messages. A slow one must not sit on messages that another
worker could handle now.
"""

from collections.abc import Sequence
from time import monotonic

# Seconds of work, and bytes, that may wait in a worker; the most messages, beyond which little gets faster; and the
# most where what their handler sends is waited for.
_WORK, _BYTES, _MOST, _MOST_SETTLING = 0.05, 64 * 1024 * 1024, 1000, 2000
# How much of the mean time of settling the latest one is.
_WEIGHT = 1 / 64
# A mean is taken of this many events or seconds, whichever is first. The first one is taken of fewer events: a quorum
# queue writes each acknowledgement to the disk before it delivers to a worker that asked for one message only.
_EVENTS, _FIRST_EVENTS, _SECONDS = 64, 4, 0.05
# A new consumer costs a moment, since a quorum queue writes it to the disk too. A count must be so many times more, or
# less, than another to be worth one, and after the first few of them so many seconds are between two: a handler that
# has just been started is slow, and one of Node.js until it is compiled.
_MORE, _LESS, _FREE, _REST = 1.5, 4, 3, 1.0


class Prefetch:
    """The count, one at first; fixed where the user has set it, and never less than a batch has.

    `begin` and `end` are for the handler's thread, the rest for the I/O thread.
    """

    most_bytes = _BYTES

    def __init__(self, fixed: int, least: int = 1) -> None:
        self.count = max(fixed, least)
        self._least = least
        self._fixed = self.count if fixed else 0
        self._began = 0.0
        self._total = (0, 0.0, 0)
        self._seen = self._total
        self._changes, self._changed = 0, 0.0
        self._settling = 0.0

    def begin(self) -> None:
        """Note that an event begins."""
        self._began = monotonic()

    def end(self, size: int) -> None:
        """Note that the event, whose body has that many bytes, has ended."""
        events, seconds, bytes_ = self._total
        self._total = (events + 1, seconds + monotonic() - self._began, bytes_ + size)

    def note_settling(self, seconds: float) -> None:
        """Note for how long an event that had ended waited until what its handler sent had arrived."""
        self._settling += (seconds - self._settling) * (_WEIGHT if self._settling else 1.0)

    def lower(self, size: int) -> None:
        """Ask for fewer messages at once, for now, since they are larger than those before: of that many bytes."""
        self.count = max(self._least, min(self.count, self.most_bytes // size))

    def revise(self) -> bool:
        """Adapt the count to the events since the last time; return whether it is another."""
        events, seconds, bytes_ = (now - then for now, then in zip(self._total, self._seen, strict=True))
        enough = _EVENTS if self._seen[0] else _FIRST_EVENTS
        if self.count == self._fixed or (events < enough and seconds < _SECONDS) or not events or self._is_resting:
            return False
        self._seen = self._total
        each = max(seconds / events, 1e-9)
        # What only waits to be settled keeps no one from work.
        by_time = min(_MOST, int(_WORK / each)) + min(_MOST_SETTLING, int(self._settling / each))
        by_size = _BYTES / max(bytes_ / events, 1)
        count = max(self._least, min(self._fixed or by_time, int(by_size)))
        if self._is_near(count):
            return False
        self.count = count
        self._changes, self._changed = self._changes + 1, monotonic()
        return True

    @property
    def _is_resting(self) -> bool:
        return self._changes >= _FREE and monotonic() < self._changed + _REST

    def _is_near(self, count: int) -> bool:
        """Return whether a count is not worth a new consumer; one message, and what the user set, are meant exactly."""
        if count == self.count or count == self._fixed or min(count, self.count) == 1:
            return count == self.count
        return self.count / _LESS < count < self.count * _MORE


class Acknowledgements:
    """Knows which deliveries are held back, and so what one frame may acknowledge.

    A frame with the flag `multiple` acknowledges all deliveries up to its tag. So it may be used only where each of
    those is settled: a worker settles in the order of delivery, but a failed one is held until the broker has
    confirmed that it keeps the copy which will be tried again. Several workers settle in any order, where they share
    what is delivered; that is not ordered.
    """

    def __init__(self, *, is_ordered: bool = True) -> None:
        self._held: set[int] = set()
        self._is_ordered = is_ordered

    @property
    def count(self) -> int:
        """Return how many deliveries are held back."""
        return len(self._held)

    @property
    def is_free(self) -> bool:
        """Return whether nothing is held back."""
        return not self._held

    def hold(self, tag: int) -> None:
        """Keep a delivery from being acknowledged with later ones."""
        self._held.add(tag)

    def release(self, tag: int) -> None:
        """Let go of a delivery that was held."""
        self._held.discard(tag)

    def merge(self, tags: Sequence[int]) -> list[tuple[int, bool]]:
        """Return (tag, multiple) of the frames that acknowledge some deliveries, in the order of their outcomes."""
        if not tags:
            return []
        if not self._is_ordered:
            return [(tag, False) for tag in tags]
        if not self._held:
            return [(tags[-1], len(tags) > 1)]
        first_held = min(self._held)
        before = [tag for tag in tags if tag < first_held]
        frames = [(before[-1], len(before) > 1)] if before else []
        return frames + [(tag, False) for tag in tags if tag > first_held]
