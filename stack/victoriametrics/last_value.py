"""The last value of each series, which are read again only as far as they may have changed."""

import threading
import time
from collections.abc import Sequence

from stack.victoriametrics.client import Series, Store

# Seconds from one look at all that is kept to the next, and how often as long as it took.
_PAUSE, _SHARE = 15.0, 50
# Seconds that a reading may take from its time to the store, and not wait for the next look at all.
_DELAY = 120.0


class LastValues:
    """Series of one point each, by what they are called."""

    def __init__(self, selector: str) -> None:
        self._selector = selector
        self._lock = threading.Lock()
        self._known: dict[str, Series] = {}
        self._looked, self._next = 0.0, 0.0

    def fetch(self, store: Store, seconds: float) -> Sequence[Series]:
        """Return the last values within so many seconds.

        Raises:
            DataError: the store does not answer.
        """
        with self._lock:
            now = time.time()
            if now >= self._next:
                self._known = self._fetch(store, seconds)
                took = time.time() - now
                self._next = now + max(_PAUSE, took * _SHARE)
            else:
                self._known |= self._fetch(store, now - self._looked + _DELAY)
            self._looked = now
            return [self._known[title] for title in sorted(self._known)]

    def _fetch(self, store: Store, seconds: float) -> dict[str, Series]:
        window = f"{self._selector}[{seconds:.0f}s]"
        times = {one.title: one.values for one in store.query(f"tlast_over_time({window}) keep_metric_names")}
        values = {one.title: one for one in store.query(f"last_over_time({window})")}
        return {title: Series(one.labels, times[title], one.values) for title, one in values.items() if title in times}
