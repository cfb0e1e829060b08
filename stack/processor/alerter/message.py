"""What a message to iot/alerts says: which alert it is about, and whether that fires or is over."""

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stack.contract import FUNCTION, OWN_LABELS

# Fields that say something of an alert; other texts are its labels, and other numbers go into its text alone.
_NAMES, _TEXTS, _STATES, _TIMES = ("alert", "name"), ("text", "message"), ("state", "status"), ("time", "timestamp")
_SEVERITY, _LABELS = "severity", "labels"
_OWN = frozenset((*_NAMES, *_TEXTS, *_STATES, *_TIMES, _SEVERITY, _LABELS))
_SEVERITIES = ("info", "warning", "critical")
_USUAL = "warning"
# States that say that it is over.
_OVER = frozenset(("normal", "ok", "over", "resolved", "cleared", "clear", "recovered", "inactive", "off"))
# What Alertmanager has labels of its own for, or vmalert.
_TAKEN = frozenset(("alertname", "alertgroup", "alertstate"))
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_LONGEST_LABEL, _LONGEST_TEXT, _MOST_LABELS = 200, 1000, 20
# A message that names no alert, and comes from no function's output.
_NAMELESS = "message"
# Seconds that a message may be old, or its clock before ours, and its time still be the one at which the alert began.
_OLDEST, _AHEAD = 86400.0, 60.0


class NoAlertError(ValueError):
    """A message that is no alert; the text says why."""


@dataclass(frozen=True)
class Message:
    """An alert that fires or is over; `labels` tell it from others, its name among them."""

    labels: Mapping[str, str]
    severity: str
    text: str
    at: float
    is_over: bool

    @property
    def key(self) -> str:
        """Return what tells it from others, as a text."""
        return json.dumps(sorted(self.labels.items()))


def read_message(body: Any, headers: Mapping[Any, Any]) -> Message:
    """Read a message.

    Raises:
        NoAlertError: it is none.
    """
    fields = _read_fields(body)
    severity = str(_find(fields, (_SEVERITY,)) or _USUAL).lower()
    if severity not in _SEVERITIES:
        raise NoAlertError(f"severity should be {', '.join(_SEVERITIES)}, not {severity!r:.40}")
    name = str(_find(fields, _NAMES) or headers.get(FUNCTION) or _NAMELESS)[:_LONGEST_LABEL]
    labels = {name: _clean(value) for name, value in {"alertname": name, **_read_labels(fields)}.items()}
    return Message(labels, severity, _clean(_write_text(fields)), _read_time(fields), _is_over(fields))


def _clean(text: str) -> str:
    """Return a text without lone surrogates, which are JSON, and which no one else reads."""
    return text.encode(errors="replace").decode()


def _read_fields(body: Any) -> dict[str, Any]:
    try:
        found = json.loads(body) if isinstance(body, bytes | str) else body
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not found:
        raise NoAlertError('it should be a JSON object, such as {"alert": "hot", "sensor": "oven", "state": "high"}')
    return {str(name): value for name, value in found.items()}


def _find(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((fields[name] for name in names if fields.get(name) not in (None, "")), None)


def _read_labels(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels that a message names, or else its texts."""
    given = fields.get(_LABELS)
    if given is not None and not isinstance(given, dict):
        raise NoAlertError(f"labels should be an object, not {given!r:.40}")
    texts = given or {name: value for name, value in fields.items() if isinstance(value, str) and name not in _OWN}
    found = {str(name): str(value)[:_LONGEST_LABEL] for name, value in texts.items() if str(value)}
    usable = {name: value for name, value in found.items() if _LABEL.fullmatch(name) and not _is_taken(name)}
    return dict(sorted(usable.items())[:_MOST_LABELS])


def _is_taken(name: str) -> bool:
    return name in _TAKEN or name.startswith(OWN_LABELS)


def _is_over(fields: Mapping[str, Any]) -> bool:
    state = _find(fields, _STATES)
    return state is False or (isinstance(state, str) and state.strip().lower() in _OVER)


def _read_time(fields: Mapping[str, Any]) -> float:
    """Return the message's own time, or that of now where it has none, or none that can be true."""
    value, now = _find(fields, _TIMES), time.time()
    try:
        at = _parse_time(value) if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        return now
    at = at / 1000 if at > now * 100 else at
    return at if math.isfinite(at) and now - _OLDEST < at < now + _AHEAD else now


def _parse_time(text: str) -> float:
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _write_text(fields: Mapping[str, Any]) -> str:
    """Return the message's own text, or all that it says."""
    given = _find(fields, _TEXTS)
    hidden = {*_NAMES, *_TIMES, _SEVERITY, _LABELS}
    said = [f"{name}: {value}" for name, value in fields.items() if name not in hidden and _is_plain(value)]
    return (str(given) if given is not None else ", ".join(said))[:_LONGEST_TEXT]


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float)
