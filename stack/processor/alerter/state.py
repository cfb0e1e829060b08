"""Which alerts of messages fire, on the disk: what was acknowledged is known after a restart."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stack.contract import ESCALATION
from stack.processor.alerter.message import Message, NoAlertError

# Seconds after the last message of an alert when it counts as over, if none has said so; docs name it.
FORGET = 86400.0
# Seconds for which Alertmanager is told again that an alert is over: it may not be there.
_TOLD_FOR = 600.0
_MOST = 5000
_FILE = "alerts.json"


@dataclass(frozen=True)
class MessageAlert:
    """An alert as Alertmanager is told of it; times are in seconds since 1970."""

    labels: dict[str, str]
    text: str
    start: float
    end: float

    def describe(self) -> dict[str, Any]:
        """Return it as Alertmanager reads it."""
        times = {"startsAt": _write_time(self.start), "endsAt": _write_time(self.end)}
        return {"labels": self.labels, "annotations": {"text": self.text}, **times}


@dataclass(frozen=True)
class Escalation:
    """After how many seconds others are told, too, of alerts of these severities that go on."""

    after: float = 0.0
    severity: Sequence[str] = ()

    def apply(self, alert: MessageAlert, now: float) -> list[MessageAlert]:
        """Return an alert, and, if it is due, what others are told of."""
        is_due = alert.labels["severity"] in self.severity and alert.start + self.after <= now
        more = [replace(alert, labels={**alert.labels, ESCALATION: "yes"})] if is_due else []
        return [alert, *more]


@dataclass
class AlertState:
    """The alerts that fire, by what tells each from others, and those that are over since a moment."""

    folder: Path
    firing: dict[str, MessageAlert] = field(default_factory=dict)
    over: list[MessageAlert] = field(default_factory=list)

    def apply(self, message: Message) -> None:
        """Take a message.

        Raises:
            NoAlertError: there are too many alerts.
        """
        known = self.firing.get(message.key)
        labels = {**message.labels, "severity": message.severity}
        if known and (message.is_over or known.labels != labels):
            self._end(message)
            known = None
        if message.is_over:
            return
        if not known and len(self.firing) >= _MOST:
            raise NoAlertError(f"{_MOST} alerts of messages fire already; one of them has to be over first")
        start = known.start if known else message.at
        # What fires again is over no more.
        self.over = [one for one in self.over if one.labels != labels]
        self.firing[message.key] = MessageAlert(labels, message.text, start, message.at + FORGET)

    def _end(self, message: Message) -> None:
        known = self.firing.pop(message.key)
        self.over.append(replace(known, end=max(known.start, message.at)))

    def forget(self, now: float) -> None:
        """Leave out what counts as over, and what Alertmanager has been told long enough."""
        self.firing = {key: one for key, one in self.firing.items() if one.end > now}
        self.over = [one for one in self.over if one.end > now - _TOLD_FOR]

    @property
    def alerts(self) -> Sequence[MessageAlert]:
        """Return what Alertmanager is to be told."""
        return [*self.over, *self.firing.values()]

    def save(self) -> None:
        """Write all; when this returns it is on the disk.

        Raises:
            OSError: there is no room for it.
        """
        found = {
            "firing": {key: asdict(one) for key, one in self.firing.items()},
            "over": [asdict(one) for one in self.over],
        }
        new = self.folder / f"{_FILE}.new"
        with new.open("w") as file:
            json.dump(found, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.folder / _FILE)


def load_state(folder: Path) -> AlertState:
    """Return what was saved; nothing where nothing was."""
    path = folder / _FILE
    found = json.loads(path.read_text()) if path.is_file() else {"firing": {}, "over": []}
    firing = {key: MessageAlert(**one) for key, one in found["firing"].items()}
    return AlertState(folder, firing, [MessageAlert(**one) for one in found["over"]])


def _write_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
