"""The demo's accounts: which readings went out, what came back of them, and the verdict."""

import json
import math
import re
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from stack.plan.device import AMQP, MQTT, Reading

ALERT = "temperaturealert"
# The function that answers the readings of each protocol, and the one that sends such readings itself.
CONSUMERS = {AMQP: "amqpconsume", MQTT: "mqttconsume"}
EVENTS = {AMQP: "amqpevent", MQTT: "mqttevent"}

_FEEDBACK = re.compile(r"Invoked Function (?P<function>\S+) on (?P<value>.*)", re.DOTALL)


@dataclass(frozen=True)
class Answer:
    """A reading that a function answered, for the first time; the latency is in seconds."""

    reading: Reading
    function: str
    latency: float


@dataclass(frozen=True)
class Alert:
    """What temperaturealert said of a sensor."""

    sensor: str
    state: str
    average: float


@dataclass(frozen=True)
class Seconds:
    """How long each part of the demo took."""

    images: float
    up: float
    deploy: float
    messages: float


@dataclass(frozen=True)
class Verdict:
    """What became of the readings; `logged` counts feedback, which a repeated delivery makes more of."""

    sent: int
    handled: int
    logged: int
    lost: int
    alerts: int
    latency_ms: Mapping[str, float | None]
    seconds: Seconds

    def document(self) -> dict[str, Any]:
        """Return it as the document that `--json` prints."""
        document = asdict(self)
        document["seconds"] = {name: round(value, 2) for name, value in document["seconds"].items()}
        return document


class Scoreboard:
    """Matches feedback to readings: by its correlation, and where it has none by its text, in the order of sending."""

    def __init__(self, readings: Mapping[str, Sequence[Reading]]) -> None:
        self._readings = {reading.identity: reading for sequence in readings.values() for reading in sequence}
        self._functions = {
            reading.identity: CONSUMERS[protocol] for protocol, sequence in readings.items() for reading in sequence
        }
        self._older = 0
        self._sent: dict[str, float] = {}
        self._latencies: dict[str, float] = {}
        self._by_text: defaultdict[tuple[str, str], deque[str]] = defaultdict(deque)
        self.logged = 0
        self.alerts = 0

    @property
    def total(self) -> int:
        """Return how many readings there are to send."""
        return len(self._readings)

    @property
    def handled(self) -> int:
        """Return how many readings have feedback."""
        return len(self._latencies)

    @property
    def sent(self) -> int:
        """Return how many readings went out."""
        return len(self._sent)

    @property
    def owed(self) -> int:
        """Return how many readings that went out have no feedback."""
        return self.sent - self.handled

    def skip(self, older: int) -> None:
        """Take so many messages, the next ones, for feedback to others."""
        self._older = older

    def missing(self) -> dict[str, int]:
        """Return how many readings have no feedback, by the function that owes it."""
        counts: defaultdict[str, int] = defaultdict(int)
        for identity in self._sent.keys() - self._latencies.keys():
            counts[self._functions[identity]] += 1
        return dict(counts)

    def note_sent(self, reading: Reading, time: float) -> None:
        """Note that a reading goes out; the first time counts."""
        if reading.identity not in self._sent:
            self._by_text[self._functions[reading.identity], reading.value].append(reading.identity)
            self._sent[reading.identity] = time

    def note_feedback(self, text: str, correlation: str, *, time: float) -> tuple[bool, Answer | None]:
        """Note a message of iot/logs; say whether it is of these readings, and what it answers for the first time."""
        is_older, self._older = self._older > 0, max(0, self._older - 1)
        match = _FEEDBACK.fullmatch(text)
        identity = correlation if correlation in self._sent else ""
        if match and not correlation and not is_older:
            identity = self._find_by_text(match["function"], match["value"])
        if not identity:
            return False, None
        self.logged += 1
        if identity in self._latencies:
            return True, None
        latency = self._latencies[identity] = max(0.0, time - self._sent[identity])
        return True, Answer(self._readings[identity], match["function"] if match else "", latency)

    def verdict(self, seconds: Seconds) -> Verdict:
        """Return what became of the readings."""
        latencies = sorted(self._latencies.values())
        return Verdict(
            sent=self.sent,
            handled=self.handled,
            logged=self.logged,
            lost=self.owed,
            alerts=self.alerts,
            latency_ms={"p50": _percentile(latencies, 0.50), "p99": _percentile(latencies, 0.99)},
            seconds=seconds,
        )

    def _find_by_text(self, function: str, value: str) -> str:
        candidates = self._by_text[function, value]
        while candidates:
            identity = candidates.popleft()
            if identity not in self._latencies:
                return identity
        return ""


def read_alert(text: str, since: datetime) -> Alert | None:
    """Read an alert; nothing for what is no alert, or older than `since`."""
    try:
        document = json.loads(text)
        alert = Alert(str(document["sensor"]), str(document["state"]), float(document["average"]))
        is_new = datetime.fromisoformat(document["time"]) >= since
    except (ValueError, KeyError, TypeError):
        return None
    return alert if is_new else None


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the smallest value that is not below that share of all, in milliseconds; nothing of nothing."""
    if not ordered:
        return None
    return round(ordered[math.ceil(share * len(ordered)) - 1] * 1000, 1)
