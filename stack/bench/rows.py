"""The benchmark as data: its rows, what each is measured against, its bound, and what several rounds come to.

A row is a ratio of two figures taken in the same run, so that it says the same on a fast machine and on a slow one.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from stack.errors import StackError

# What one round of one subject gave, by the name of the figure.
Figures = Mapping[str, float]
# The rounds of each subject of a comparison.
Rounds = Mapping[str, Sequence[Figures]]

# How the function itself is called among the subjects.
OWN = "tidegate"
_NOTHING = "-"
COLUMNS = ("row", "value", "reference", "ratio", "bound", "holds", "wavered")


@dataclass(frozen=True)
class Row:
    """One line of the table: the figure of `subject` divided by that of `reference`, and how large that may be."""

    name: str
    unit: str
    comparison: str
    figure: str
    reference: str
    bound: float
    is_limit: bool = False
    """The ratio should be at most the bound, not at least."""
    subject: str = OWN


@dataclass(frozen=True)
class Scale:
    """How much is measured: messages that wait, seconds of load, rounds."""

    messages: int
    seconds: float
    rounds: int


FULL = Scale(messages=50_000, seconds=5.0, rounds=5)
QUICK = Scale(messages=20_000, seconds=1.0, rounds=2)

_LIMIT = True
_AMQP = "rabbit-mq events/s, one worker, empty handler, against"
_HTTP = "HTTP requests/s, one worker, echo, 16 connections, against"
_NODE_AMQP = "Node.js: rabbit-mq events/s, one worker, empty handler, against"
_TRIP = "publish → handler → reply queue at 500/s, {}, against pika's SelectConnection"
_MQTT = "MQTT QoS 1 events/s, one worker, {}, against paho"
_READINGS = "readings/s from a queue into the store, against"
ROWS = (
    Row(f"{_AMQP} pika's SelectConnection", "events/s", "amqp", "rate", "pika", 1.0),
    Row(f"{_AMQP} FastStream", "events/s", "amqp", "rate", "faststream", 4.0),
    Row(f"{_HTTP} uvicorn", "requests/s", "http", "rate", "uvicorn", 1.0),
    Row(
        "HTTP requests/s through the gateway, against a plain HAProxy before the same worker",
        "requests/s",
        "gateway",
        "rate",
        "plain",
        0.95,
    ),
    Row(f"{_HTTP} functions-framework", "requests/s", "http", "rate", "functions-framework", 10.0),
    Row(_TRIP.format("p50"), "ms", "round-trip", "p50", "pika", 1.4, _LIMIT),
    Row(_TRIP.format("p99"), "ms", "round-trip", "p99", "pika", 1.6, _LIMIT),
    Row(
        "one event in, one to an output, events/s at one worker, against pika's SelectConnection with confirms",
        "events/s",
        "forward",
        "rate",
        "pika",
        0.8,
    ),
    Row(_TRIP.format("p50 to an output"), "ms", "round-trip", "p50", "pika", 1.3, _LIMIT, subject="output"),
    Row(_MQTT.format("the stack's broker"), "events/s", "mqtt", "rate", "paho", 0.9),
    Row(_MQTT.format("any other broker"), "events/s", "mqtt", "rate", "paho", 0.9, subject="session"),
    Row(f"{_READINGS} 20,000", "readings/s", "readings", "rate", "limit", 1.0),
    Row(f"{_READINGS} pika that only acknowledges", "readings/s", "readings", "rate", "pika", 0.9),
    Row(
        "readings/s from a queue into the store, 50 in each message, against the store's own import of the same",
        "readings/s",
        "readings",
        "rate",
        "import",
        0.1,
        subject="many",
    ),
    Row("memory of an idle function (PSS), against bare Python with pika", "MiB", "memory", "pss", "pika", 2.5, _LIMIT),
    Row("docker run to ready, against a bare container that imports pika", "s", "start", "time", "bare", 1.6, _LIMIT),
    Row(f"{_NODE_AMQP} amqplib that acknowledges each", "events/s", "nodejs-amqp", "rate", "amqplib", 0.6),
    Row(f"{_NODE_AMQP} one event per round trip", "events/s", "nodejs-amqp", "rate", "one-by-one", 1.5),
    Row(
        "Node.js: HTTP requests/s, one worker, echo, 16 connections, against node:http",
        "requests/s",
        "nodejs-http",
        "rate",
        "node",
        0.5,
    ),
    Row(
        "Node.js: memory of an idle function (PSS), against one in Python and a bare node",
        "MiB",
        "nodejs-idle",
        "pss",
        "both",
        1.3,
        _LIMIT,
    ),
    Row(
        "Node.js: start to ready, against one in Python and node -e 0", "s", "nodejs-idle", "time", "both", 2.0, _LIMIT
    ),
    Row("events/s of 1 ms of Python, 2 workers, against 1", "events/s", "workers", "rate", "one", 1.7, subject="two"),
    Row(
        "deploy-function after a change of a line, against docker by hand", "s", "deploy", "time", "docker", 2.5, _LIMIT
    ),
    Row("GET /api/functions of 100, against a static file of the dashboard", "ms", "list", "time", "file", 5.0, _LIMIT),
    Row("cores for 100 live pages when nothing happens, against a tenth", "", "pages", "cores", "limit", 1.0, _LIMIT),
    Row("memory of the dashboard after use (PSS), against 120 MB", "MiB", "pages", "pss", "limit", 1.0, _LIMIT),
)


@dataclass(frozen=True)
class Result:
    """A row as it was measured; one without a value could not be."""

    row: Row
    value: float | None = None
    reference: float | None = None
    spread: float | None = None
    """How far the rounds of the reference are apart, of their middle: 0.1 is a tenth. It says how much the machine, and
    whatever else ran on it, wavered meanwhile; a ratio that misses its bound by less may do so by chance."""
    reason: str = "it failed; see the warnings above"
    """Why there is no ratio."""

    @property
    def is_measured(self) -> bool:
        """Return whether there is a ratio."""
        return self.ratio is not None

    @property
    def ratio(self) -> float | None:
        """Return how many times the reference the value is."""
        return self.value / self.reference if self.value is not None and self.reference else None

    @property
    def holds(self) -> bool:
        """Return whether the ratio keeps its bound, as it is shown."""
        if self.ratio is None:
            return False
        ratio = round(self.ratio, 2)
        return ratio <= self.row.bound if self.row.is_limit else ratio >= self.row.bound

    def as_document(self) -> dict[str, Any]:
        """Return the row as `--json` prints it."""
        return {
            "row": self.row.name,
            "value": _round(self.value),
            "unit": self.row.unit,
            "reference": _round(self.reference),
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "bound": self.row.bound,
            "holds": self.holds,
            "spread": None if self.spread is None else round(self.spread, 3),
            "reason": "" if self.is_measured else self.reason,
        }

    def as_line(self) -> dict[str, str]:
        """Return the row as a table shows it."""
        unit = self.row.unit
        return {
            "row": self.row.name,
            "value": _show(self.value, unit),
            "reference": _show(self.reference, unit),
            "ratio": _NOTHING if self.ratio is None else f"{self.ratio:.2f}",
            "bound": f"{'≤' if self.row.is_limit else '≥'} {self.row.bound:g}",
            "holds": "yes" if self.holds else "no" if self.is_measured else "not measured",
            "wavered": _NOTHING if self.spread is None else f"{self.spread:.0%}",
        }


def choose_rows(text: str) -> tuple[Row, ...]:
    """Return the rows whose name has the text, in capitals or not.

    Raises:
        StackError: there is none.
    """
    rows = tuple(row for row in ROWS if text.lower() in row.name.lower())
    if not rows:
        raise StackError(f"--row {text}: no row has this in its name; the rows are:\n" + _list(ROWS))
    return rows


def find_subjects(rows: Collection[Row], comparison: str) -> tuple[str, ...]:
    """Return the subjects and references of a comparison, each once."""
    own = [row for row in rows if row.comparison == comparison]
    return tuple(dict.fromkeys([row.subject for row in own] + [row.reference for row in own]))


def order_rounds(subjects: Sequence[str], rounds: int) -> Iterator[str]:
    """Yield who is measured next: all in each round, and every other round backwards, so that a drift harms none."""
    for number in range(rounds):
        yield from subjects if number % 2 == 0 else reversed(subjects)


def judge(row: Row, rounds: Rounds, reason: str = "") -> Result:
    """Return what the rounds come to: the round whose ratio is the middle one, and of two the worse.

    The figures of one round are taken one after the other; a machine that is twice as fast a minute later does not
    count for one of the two only. `reason` says why there are no rounds.
    """
    own, others = ([one[row.figure] for one in rounds.get(name, ())] for name in (row.subject, row.reference))
    pairs = sorted((pair for pair in zip(own, others, strict=False) if pair[1]), key=lambda pair: pair[0] / pair[1])
    spread = _measure_spread(others)
    if not pairs:
        result = Result(row, _middle(own), _middle(others), spread)
        return replace(result, reason=reason) if reason else result
    return Result(row, *pairs[len(pairs) // 2 if row.is_limit else (len(pairs) - 1) // 2], spread)


def explain_broken(results: Sequence[Result]) -> str:
    """Return which bounds do not hold, and which rows were not measured and why; nothing if all hold."""
    broken = [result.row for result in results if result.is_measured and not result.holds]
    missing = [result for result in results if not result.is_measured]
    parts = []
    if broken:
        parts.append(f"{len(broken)} of {len(results)} bounds do not hold:\n{_list(broken)}")
    if missing:
        lines = "\n".join(f"  {result.row.name}: {result.reason.partition(chr(10))[0]}" for result in missing)
        parts.append(f"{len(missing)} of {len(results)} rows were not measured:\n{lines}")
    return "\n".join(parts)


def describe_spread(results: Sequence[Result]) -> str:
    """Return how much the references differed between their rounds, in a sentence; nothing if none was repeated."""
    spreads = sorted(result.spread for result in results if result.spread is not None)
    if not spreads:
        return ""
    range_ = f"{spreads[0]:.0%}" if len(spreads) == 1 else f"{spreads[0]:.0%} to {spreads[-1]:.0%}"
    return (
        f"The references wavered by {range_} between rounds, {median(spreads):.0%} in the middle: "
        "so much does this machine, and what else runs on it, move a figure."
    )


def _measure_spread(values: Sequence[float]) -> float | None:
    """Return how far values are apart, of their middle; nothing of what was measured once, or is no measurement."""
    middle = _middle(values)
    apart = max(values) - min(values) if len(values) > 1 else 0.0
    return apart / middle if apart and middle else None


def _middle(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _list(rows: Sequence[Row]) -> str:
    return "\n".join(f"  {row.name}" for row in rows)


def _round(value: float | None) -> float | None:
    """Round to four digits that count."""
    return None if value is None else float(f"{value:.4g}")


def _show(value: float | None, unit: str) -> str:
    if value is None:
        return _NOTHING
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
