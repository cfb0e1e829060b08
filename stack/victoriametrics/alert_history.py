"""What fired in the past, and for how long: vmalert writes ALERTS into the store when it calculates a rule."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from stack.contract import ESCALATION
from stack.victoriametrics.client import Series, Store
from stack.victoriametrics.past import query_past

# Seconds without a word that are no end: rules are calculated each minute at least, and what does it may start again.
_GAP = 150.0
_FIRING, _BEGUN = f'ALERTS{{alertstate="firing", {ESCALATION}=""}}', f'ALERTS_FOR_STATE{{{ESCALATION}=""}}'
# Labels that say nothing of which alert it is.
_STATE = ("__name__", "alertstate", "alertgroup")


@dataclass(frozen=True)
class _Span:
    start: float
    end: float
    begun: float | None


@dataclass(frozen=True)
class Episode:
    """An alert that has fired, from when to when, in seconds since 1970; one that fires still ends now."""

    labels: Mapping[str, str]
    start: float
    end: float
    is_over: bool

    @property
    def name(self) -> str:
        """Return what it is called."""
        return self.labels.get("alertname", "")

    @property
    def own_labels(self) -> dict[str, str]:
        """Return the labels without its name and its severity."""
        return {name: value for name, value in sorted(self.labels.items()) if name not in ("alertname", "severity")}


def fetch_episodes(store: Store, seconds: float, firing: Collection[Mapping[str, str]] | None = None) -> list[Episode]:
    """Return what has fired within so many seconds, the latest first; `firing` are the labels of what does now.

    Raises:
        DataError: the store does not answer.
    """
    now = time.time()
    past = query_past(store, _write_queries, seconds=seconds)
    first, last, begun = ({_identify(one.labels): one for one in found} for found in past.results)
    known = None if firing is None else {_identify(labels) for labels in firing}
    found = []
    for key, one in first.items():
        spans = _list_spans(one, last.get(key, one), begun=begun.get(key))
        found += [_describe(dict(key), span, known, now=now) for span in _join(spans)]
    return sorted(found, key=lambda one: (one.start, one.name), reverse=True)


def _write_queries(step: int) -> list[str]:
    firing = [f"{function}({_FIRING}[{step}s])" for function in ("tfirst_over_time", "tlast_over_time")]
    return [*firing, f"last_over_time({_BEGUN}[{step}s])"]


def _identify(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in labels.items() if name not in _STATE))


def _describe(labels: dict[str, str], span: _Span, firing: Collection[object] | None, *, now: float) -> Episode:
    is_recent = now - span.end <= _GAP
    return Episode(labels, span.start, span.end, not (is_recent and (firing is None or _identify(labels) in firing)))


def _list_spans(first: Series, last: Series, *, begun: Series | None) -> list[_Span]:
    """Return when it fired in each step, and when it had begun as far as vmalert has said so."""
    begins = dict(zip(begun.times, begun.values, strict=True)) if begun else {}
    ends = dict(zip(last.times, last.values, strict=True))
    return [
        _Span(start, ends.get(at, start), begins.get(at)) for at, start in zip(first.times, first.values, strict=True)
    ]


def _join(spans: Sequence[_Span]) -> list[_Span]:
    """Return spans in the order of time, of which those that are of one firing are one."""
    joined: list[_Span] = []
    for span in spans:
        if joined and span.start - joined[-1].end <= _GAP and joined[-1].begun == span.begun:
            joined[-1] = replace(joined[-1], end=span.end)
        else:
            joined.append(span)
    return joined
