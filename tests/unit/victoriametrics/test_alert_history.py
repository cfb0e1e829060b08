"""What has fired, from what vmalert has written."""

import time

from stack.victoriametrics.alert_history import fetch_episodes
from stack.victoriametrics.client import Series, Store

LABELS = {"__name__": "ALERTS", "alertname": "hot", "alertgroup": "hot", "alertstate": "firing", "sensor": "oven"}


class FakeStore(Store):
    def __init__(self, spans: list[tuple[float, float]]) -> None:
        self._spans = spans
        self.queries: list[tuple[str, float]] = []

    def query_range(self, text: str, start: float, end: float, step: float) -> list[Series]:
        self.queries.append((text, step))
        place = 1 if text.startswith("tlast") else 0
        return [Series(LABELS, [end] * len(self._spans), [span[place] for span in self._spans])]


def test_what_follows_closely_is_one() -> None:
    now = time.time()
    # It was calculated again and again, was gone for a moment, and, later, began anew.
    store = FakeStore([(now - 9000, now - 8700), (now - 8600, now - 8000), (now - 500, now - 1)])
    latest, first = fetch_episodes(store, 7 * 86400)
    assert (first.start, first.end, first.is_over) == (now - 9000, now - 8000, True)
    assert (latest.start, latest.is_over) == (now - 500, False)
    assert (latest.name, latest.own_labels) == ("hot", {"sensor": "oven"})
    assert all('escalation=""' in text and f"[{step}s]" in text and step == 360 for text, step in store.queries)


def test_nothing_has_fired() -> None:
    store = FakeStore([])
    assert fetch_episodes(store, 60) == []
    assert store.queries[0][1] == 60
