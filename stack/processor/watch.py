"""The watch over eventTimeout: finds who has taken too long, waking as seldom as can be."""

from collections.abc import Iterable

from stack.processor.place import Place

# Seconds for a source to answer those who wait for a handler that is late: it looks twice a second.
_ANSWERING = 1.0


class Watch:
    """Looks at the clocks of workers; a limit of zero means that an event may take any time.

    An event that begins after a look cannot be late before a whole limit has passed. So, where nobody is busy, the
    next look is due only then; otherwise when the first of those who are busy would be late. No event is missed, and
    each is found late to within the time that the supervisor takes to wake.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self.due = float("inf") if not limit else 0.0
        """When the next look is due, in seconds of the monotonic clock."""

    @property
    def verdict(self) -> str:
        """Why an event that was late failed."""
        return f"the handler timed out: it took longer than {self._limit:g} s"

    def find_late(self, places: Iterable[Place], now: float) -> list[Place]:
        """Return the places whose worker is late, and set when to look again."""
        if now < self.due:
            return []
        late: list[Place] = []
        self.due = now + self._limit
        for place in places:
            began = place.post.clock.read()
            if not began or not place.process or place.verdict:
                continue
            ends = began + self._limit + (_ANSWERING if place.post.answers_late else 0.0)
            if now >= ends:
                late.append(place)
            else:
                self.due = min(self.due, ends)
        return late
