"""How often an alert would have fired in the past, from the readings that are kept: asked before it is saved."""

import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stack.config.alert import Alert, AlertConfig
from stack.config.data import Data
from stack.plan.alert import find_silent, strip_field, write_seconds, write_value
from stack.victoriametrics.client import Series, Store
from stack.victoriametrics.past import query_past

_PEAKS = {">": "max_over_time", ">=": "max_over_time", "<": "min_over_time", "<=": "min_over_time"}
_COMPARISONS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


@dataclass(frozen=True)
class PastFiring:
    """When an alert would have fired, in seconds since 1970, and of which series."""

    labels: Mapping[str, str]
    start: float
    end: float


@dataclass(frozen=True)
class Preview:
    """When an alert would have fired, the latest first, as far as is seen at looks that are so many seconds apart."""

    firings: Sequence[PastFiring]
    step: int
    is_unknown: bool = False
    """Whether nothing of what it looks at was stored in that time."""


def look_back(store: Store, alert: Alert, data: Data, seconds: float) -> Preview:
    """Return when an alert would have fired within so many seconds.

    Raises:
        ConfigError: no rule of data.keep keeps what is to be silent.
        DataError: the store does not answer, or cannot read the query.
    """
    past = query_past(store, lambda step: [_write_query(alert, data, step=step)], seconds=seconds)
    firings = [one for series in past.results[0] for one in _find_firings(alert, series, step=past.step)]
    is_unknown = not firings and not _is_stored(store, alert, data=data, seconds=seconds)
    return Preview(sorted(firings, key=lambda one: one.start, reverse=True), past.step, is_unknown)


def _is_stored(store: Store, alert: Alert, *, data: Data, seconds: float) -> bool:
    """Return whether something was stored that an alert looks at; of a query it is not known which series that are."""
    config = alert.config
    if config.expr:
        return True
    selector = find_silent(alert, data) if config.silent else config.condition.selector
    return bool(store.query(f"count(last_over_time({selector}[{seconds:.0f}s]))"))


def _write_query(alert: Alert, data: Data, *, step: int) -> str:
    """Write the query of the values while an alert fires, or may; each step has the highest, or the lowest, of it."""
    config = alert.config
    if config.silent:
        window = write_seconds(config.forget_seconds)
        seen = strip_field(alert, f"tlast_over_time({find_silent(alert, data)}[{window}])")
        return f"time() - ({seen}) > {config.after_seconds:.0f}"
    if config.expr:
        return config.expr
    condition = config.condition
    comparison, bound = config.holds_until or (condition.operator, condition.bound)
    return f"({_write_value(config, step)}) {comparison} {bound}"


def _write_value(config: AlertConfig, step: int) -> str:
    condition, value = config.condition, write_value(config)
    peak = _PEAKS.get(condition.operator)
    if condition.function != "last" or not peak:
        return value
    # A value counts as soon as it is there, and not only if it is the last one of a step.
    return f"{peak}({condition.selector}[{step}s]) default {value}"


def _find_firings(alert: Alert, series: Series, *, step: int) -> Iterator[PastFiring]:
    """Yield the times without a gap in which it would have fired for a series."""
    start: float | None = None
    since: float | None = None
    last = -math.inf
    for moment, value in zip(series.times, series.values, strict=True):
        if moment - last > 1.5 * step:
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
