"""How fast a counter goes that is only seen now and then, and that its owner brings up to date in steps.

RabbitMQ tells rates itself, but those of a slow stream as 0 for most of the time: it compares the last two of its
steps, which come every five seconds.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field

# How many steps are compared; seconds after which a counter that does not go on counts as standing, and after which a
# step says nothing any more.
_STEPS = 5
_STANDING, _OLD = 11.0, 40.0
# Counters of what is gone are forgotten at the next look after so many seconds.
_GONE = 60.0


@dataclass
class _Counter:
    looked: float
    steps: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_STEPS))

    def note(self, now: float, count: int) -> None:
        self.looked = now
        if self.steps and self.steps[-1][1] > count:
            self.steps.clear()
        if not self.steps or self.steps[-1][1] != count:
            self.steps.append((now, count))
        while self.steps[0][0] < now - _OLD and len(self.steps) > 1:
            self.steps.popleft()

    def measure(self, now: float) -> float | None:
        (first, before), (last, count) = self.steps[0], self.steps[-1]
        if now - last > _STANDING:
            return 0.0
        return (count - before) / (last - first) if last > first else None


class Speedometer:
    """Remembers counters by any key."""

    def __init__(self) -> None:
        self._counters: dict[Hashable, _Counter] = {}

    def measure(self, key: Hashable, count: int, now: float, *, otherwise: float) -> float:
        """Return how much a counter goes up a second; at first, what its owner says of it."""
        counter = self._counters.setdefault(key, _Counter(now))
        counter.note(now, count)
        speed = counter.measure(now)
        return round(otherwise if speed is None else speed, 2)

    def forget(self, now: float) -> None:
        """Forget what was not looked at of late."""
        self._counters = {key: one for key, one in self._counters.items() if now - one.looked < _GONE}
