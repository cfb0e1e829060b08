"""How often an alert would have fired in the past, from the readings that are kept: asked before it is saved."""

import math
import operator
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stack.config.alert import FUNCTIONS, Alert, Condition
from stack.config.data import Data
from stack.plan.alert import find_silent, strip_field, write_seconds
from stack.victoriametrics.client import Series, Store

# Seconds between two looks into the past.
_STEP = 60
_PEAKS = {">": "max_over_time", ">=": "max_over_time", "<": "min_over_time", "<=": "min_over_time"}
_COMPARISONS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


@dataclass(frozen=True)
class PastFiring:
    """When an alert would have fired, in seconds since 1970, and of which series."""

    labels: Mapping[str, str]
    start: float
    end: float


def find_past_firings(store: Store, alert: Alert, data: Data, seconds: float) -> list[PastFiring]:
    """Return when an alert would have fired within so many seconds, looked at minute by minute, the latest first.

    Raises:
        ConfigError: no rule of data.keep keeps what is to be silent.
        DataError: the store does not answer, or cannot read the query.
    """
    end = math.floor(time.time() / _STEP) * _STEP
    found = store.query_range(_write_query(alert, data), end - seconds, end, _STEP)
    firings = [one for series in found for one in _find_firings(alert, series)]
    return sorted(firings, key=lambda one: one.start, reverse=True)


def _write_query(alert: Alert, data: Data) -> str:
    """Write the query of the values while an alert fires, or may."""
    config = alert.config
    if config.silent:
        window = write_seconds(config.forget_seconds)
        seen = strip_field(alert, f"tlast_over_time({find_silent(alert, data)}[{window}])")
        return f"time() - ({seen}) > {config.after_seconds:.0f}"
    if config.expr:
        return config.expr
    condition = config.condition
    comparison, bound = config.holds_until or (condition.operator, condition.bound)
    return f"({_write_value(condition)}) {comparison} {bound}"


def _write_value(condition: Condition) -> str:
    value = f"{FUNCTIONS[condition.function]}({condition.selector}[{write_seconds(condition.window)}])"
    peak = _PEAKS.get(condition.operator)
    if condition.function != "last" or not peak:
        return value
    # A value counts as soon as it is there, and not only if it is the last one of a minute.
    return f"{peak}({condition.selector}[{_STEP}s]) default {value}"


def _find_firings(alert: Alert, series: Series) -> Iterator[PastFiring]:
    """Yield the times without a gap in which it would have fired for a series."""
    start: float | None = None
    since: float | None = None
    last = -math.inf
    for moment, value in zip(series.times, series.values, strict=True):
        if moment - last > 1.5 * _STEP:
            if start is not None:
                yield PastFiring(series.own_labels, start, last)
            start = since = None
        last = moment
        if start is not None:
            continue
        since = (moment if since is None else since) if _begins(alert, value) else None
        if since is not None and moment - since >= alert.config.for_seconds:
            start = moment
    if start is not None:
        yield PastFiring(series.own_labels, start, last)


def _begins(alert: Alert, value: float) -> bool:
    """Return whether an alert begins to fire at a value at which it may go on to."""
    if not alert.config.clear:
        return True
    condition = alert.config.condition
    return bool(_COMPARISONS[condition.operator](value, float(condition.bound)))
