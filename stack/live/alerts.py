"""The topic `alerts`: what fires, who has silenced it, and how what it looks at went of late."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from stack.alertmanager.client import Alertmanager, FiringAlert, Silence, find_alertmanager
from stack.alertmanager.rule import fetch_rule_problems
from stack.config.alert import Alert
from stack.contract import ESCALATION
from stack.docker.stack import Stack
from stack.errors import AlertError, ConfigError, DataError, EngineError, StackError
from stack.plan.alert_chart import find_own_labels, write_value_query
from stack.plan.image import digest
from stack.plan.notify import CHANNEL_LABEL
from stack.plan.stack_alert import PREFIX, list_stack_alerts
from stack.run.notify import find_failing_channels
from stack.victoriametrics.chart import Span, place_values
from stack.victoriametrics.client import find_store

TOPIC = "alerts"
_PAUSE = 3.0
# Alerts that are shown, and those with a chart: seconds that it shows, into how many pieces, and how long it is kept.
_SHOWN, _CHARTS = 50, 20
_SECONDS, _PIECES, _KEPT = 3600, 60, 15.0
# Seconds that all charts together may take.
_PATIENCE = 2.0


class AlertsSource:
    """What Alertmanager has, and charts of the store's."""

    pause = _PAUSE

    def __init__(self, stack: Callable[[], Stack]) -> None:
        self._stack = stack
        self._points: dict[str, tuple[float, Sequence[float | None]]] = {}
        self._failures: tuple[float, Mapping[str, Mapping[str, str]]] = (0.0, {})

    async def look(self) -> dict[str, Any]:
        """Return alerts and silences, or why there are none to see."""
        return await asyncio.to_thread(self._look)

    async def rest(self) -> None:
        """Forget what is kept: no one looks at it."""
        self._points, self._failures = {}, (0.0, {})

    def _look(self) -> dict[str, Any]:
        try:
            stack = self._stack()
            if not stack.bare_inputs.has_alertmanager:
                return {"is_there": False}
            return {"is_there": True, "problem": "", **self._describe(stack, find_alertmanager(stack))}
        except StackError as error:
            return {"is_there": True, "problem": str(error)}

    def _describe(self, stack: Stack, alertmanager: Alertmanager) -> dict[str, Any]:
        silences = {one.id: one for one in alertmanager.list_silences()}
        found = [one for one in alertmanager.list_alerts() if CHANNEL_LABEL not in one.labels]
        escalated = {_identify(one) for one in found if ESCALATION in one.labels}
        alerts = [one for one in found if ESCALATION not in one.labels]
        names = [one.name for one in alerts]
        shown = [self._describe_alert(one, silences, escalated=escalated) for one in alerts[:_SHOWN]]
        self._add_charts(stack, alerts[:_CHARTS], shown=shown)
        return {
            "alerts": shown,
            "count": len(alerts),
            "names": {name: names.count(name) for name in dict.fromkeys(names)},
            "silences": [_describe_silence(one) for one in silences.values()],
            **self._find_failures(stack),
        }

    def _describe_alert(
        self, alert: FiringAlert, silences: Mapping[str, Silence], *, escalated: set[str]
    ) -> dict[str, Any]:
        silence = next((silences[id_] for id_ in alert.silences if id_ in silences), None)
        return {
            **asdict(alert),
            "id": _identify(alert),
            "name": alert.name,
            "severity": alert.severity,
            "own_labels": alert.own_labels,
            "silence": _describe_silence(silence) if silence else None,
            "is_escalated": _identify(alert) in escalated,
            "query": "",
            "points": (),
        }

    def _find_failures(self, stack: Stack) -> Mapping[str, Mapping[str, str]]:
        """Return why channels fail, and rules, by name; they are not asked at each look."""
        if time.time() - self._failures[0] > _KEPT:
            self._failures = (
                time.time(),
                {
                    "failing": _find_failing(stack),
                    "rules": _find_rule_problems(stack),
                },
            )
        return self._failures[1]

    def _add_charts(self, stack: Stack, alerts: Sequence[FiringAlert], *, shown: Sequence[dict[str, Any]]) -> None:
        """Add charts as far as the store gives them in time: people want to know what fires, whatever it does."""
        known, now = _list_known(stack, alerts), time.time()
        deadline = time.monotonic() + _PATIENCE
        self._points = {query: one for query, one in self._points.items() if now - one[0] < _KEPT}
        for alert, row in zip(alerts, shown, strict=False):
            if not (own := known.get(alert.name)):
                continue
            with suppress(ConfigError):
                row["query"] = write_value_query(own, stack.settings.data, labels=find_own_labels(own, alert.labels))
            if row["query"] and (left := deadline - time.monotonic()) > 0:
                try:
                    row["points"] = self._fetch_points(stack, row["query"], seconds=left)
                except DataError:
                    deadline = 0.0

    def _fetch_points(self, stack: Stack, query: str, *, seconds: float) -> Sequence[float | None]:
        if query not in self._points:
            now = time.time()
            span = Span(now - _SECONDS, now, _PIECES)
            store = find_store(stack, timeout=seconds)
            found = store.query_range(query, span.ends[0], span.ends[-1], span.step)
            self._points[query] = now, place_values(found[0], span.ends) if found else ()
        return self._points[query][1]


def _list_known(stack: Stack, alerts: Sequence[FiringAlert]) -> dict[str, Alert]:
    """Return the alerts of which the store has what they look at, by name."""
    known = list(stack.alerts) if stack.settings.data.is_kept else []
    if any(one.name.startswith(PREFIX) for one in alerts):
        known += list_stack_alerts(stack.settings, stack.inputs.services)
    return {one.name: one for one in known}


def _find_failing(stack: Stack) -> Mapping[str, str]:
    try:
        return {name: one.reason for name, one in find_failing_channels(stack).items()}
    except EngineError:
        # Docker, which has the log that tells, may be away while people want to know what fires.
        return {}


def _find_rule_problems(stack: Stack) -> Mapping[str, str]:
    try:
        return fetch_rule_problems(stack) if stack.bare_inputs.has_vmalert else {}
    except AlertError as error:
        return {"": str(error)}


def _identify(alert: FiringAlert) -> str:
    """Return what tells an alert from others, in short; that it is escalated makes no other of it."""
    labels = sorted((name, value) for name, value in alert.labels.items() if name != ESCALATION)
    return digest([repr(labels).encode()])


def _describe_silence(silence: Silence) -> dict[str, Any]:
    names = [value if name == "alertname" else f"{name}={value}" for name, value in silence.labels.items()]
    return {"id": silence.id, "names": names, "until": silence.until, "by": silence.by, "comment": silence.comment}
