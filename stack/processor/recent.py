"""How the last events went, whatever time they took to come: a function that runs once an hour has a past, too."""

from collections import deque
from typing import NamedTuple

# How many of the last events count; more where many come between two looks.
_COUNTED = 50


class Outcomes(NamedTuple):
    """A number of events, and how many of them failed."""

    events: int
    failures: int


class RecentOutcomes:
    """The counts of a few looks, the oldest of them fifty events ago."""

    def __init__(self) -> None:
        self._looks: deque[Outcomes] = deque([Outcomes(0, 0)])

    def note(self, events: int, failures: int) -> Outcomes:
        """Keep what was counted by now since the start; return what the last events came to."""
        looks = self._looks
        if events != looks[-1].events:
            looks.append(Outcomes(events, failures))
        while len(looks) > 1 and looks[1].events <= events - _COUNTED:
            looks.popleft()
        return Outcomes(events - looks[0].events, failures - looks[0].failures)
