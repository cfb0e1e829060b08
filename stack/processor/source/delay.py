"""Growing delays between attempts to connect."""

from random import uniform

_FIRST, _FACTOR = 0.2, 2.0
# A part of each delay is random, so that many workers do not come back to a broker at the same moment.
_JITTER = 0.25


class Delays:
    """Seconds to wait before each attempt, growing up to a longest one."""

    def __init__(self, longest: float) -> None:
        self._longest = max(_FIRST, longest)
        self._delay = _FIRST

    def next(self) -> float:
        """Return the seconds to wait now."""
        delay, self._delay = self._delay, min(self._longest, self._delay * _FACTOR)
        return delay * uniform(1 - _JITTER, 1 + _JITTER)

    def reset(self) -> None:
        """Begin again: the attempt went well."""
        self._delay = _FIRST
