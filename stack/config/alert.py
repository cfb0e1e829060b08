"""alerts/NAME.yaml: a condition on readings, and what people are told while it holds."""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from math import isinf
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from stack.config.data import LABEL
from stack.config.document import Document, attempt_all, parse_model
from stack.config.value import Duration
from stack.config.yaml_loader import read_mapping
from stack.contract import OWN_LABELS, parse_days, parse_duration
from stack.errors import ConfigError

FOLDER, SUFFIX = "alerts", ".yaml"
# How far back a value may be that counts as the present one, in seconds, unless an alert says it.
PRESENT = 300.0
NAME = re.compile(r"[A-Za-z0-9]([-_A-Za-z0-9]{0,61}[A-Za-z0-9])?")
# What Tidegate's own rules tell apart by, and vmalert's.
_TAKEN = ("alertname", "alertgroup", "alertstate", "severity")
_SELECTOR = r'(?:[a-zA-Z_:][\w:]*)?(?:\{(?:[^{}"]|"(?:[^"\\]|\\.)*")*\})?'
# Words for what is calculated of the readings of a while, and the functions of PromQL.
FUNCTIONS = {
    "mean": "avg_over_time",
    "min": "min_over_time",
    "max": "max_over_time",
    "sum": "sum_over_time",
    "count": "count_over_time",
    "last": "last_over_time",
    "change": "delta",
    "rate": "rate",
}
# A label, or the value, in a text.
PLACE = re.compile(r"\{([a-zA-Z_]\w*)\}", re.ASCII)
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_COMPARISON = rf"(?P<operator>>=|<=|==|!=|>|<)\s*(?P<bound>{_NUMBER})"
_CONDITION = re.compile(
    rf"(?P<selector>{_SELECTOR})(?:\s+(?P<function>{'|'.join(FUNCTIONS)})\s+(?P<window>[\w.]+))?\s*{_COMPARISON}"
)
_CLEAR = re.compile(_COMPARISON)
# The comparison that holds while another does not.
_OPPOSITE = {">": "<=", ">=": "<", "<": ">=", "<=": ">"}


class Severity(StrEnum):
    """How bad it is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True)
class Condition:
    """What `when` says: a function of the readings of a while, in seconds, compared with a bound."""

    selector: str
    function: str
    window: float
    operator: str
    bound: str

    @property
    def subject(self) -> str:
        """Return what is compared, in the words of `when` without its time."""
        return self.selector if self.function == "last" else f"{self.function} of {self.selector}"


def read_condition(text: str) -> Condition:
    """Read `temperature mean 5m > 30`.

    Raises:
        ValueError: it is something else.
    """
    found = _CONDITION.fullmatch(text.strip())
    if not found or not found["selector"] or found["selector"].startswith("{"):
        words = ", ".join(FUNCTIONS)
        raise ValueError(
            f"should be such as 'temperature > 30' or 'temperature{{sensor=\"oven\"}} mean 5m > 30', with one of "
            f"{words} before the while; what is more than that is an `expr`, not {text!r}"
        )
    window = _read_seconds(found["window"]) if found["window"] else PRESENT
    if isinf(float(found["bound"])):
        raise ValueError(f"{found['bound']} is more than any reading can be, in {text!r}")
    return Condition(found["selector"], found["function"] or "last", window, found["operator"], found["bound"])


def read_clear(text: str, condition: Condition) -> tuple[str, str]:
    """Read `< 29.5`, where an alert ends; return the comparison that holds until then.

    Raises:
        ValueError: it is something else, or does not fit to the condition.
    """
    found = _CLEAR.fullmatch(text.strip())
    if not found or found["operator"] not in _OPPOSITE:
        raise ValueError(f"clear should be such as '< 29.5', not {text!r}")
    is_above = condition.operator in (">", ">=")
    if condition.operator not in _OPPOSITE or is_above == (found["operator"] in (">", ">=")):
        raise ValueError(f"clear should look the other way than when, {condition.operator} {condition.bound}: {text!r}")
    bound, clear = float(condition.bound), float(found["bound"])
    if clear > bound if is_above else clear < bound:
        side = "more" if is_above else "less"
        raise ValueError(f"clear should be no {side} than {condition.bound}, the bound of when, not {text!r}")
    return _OPPOSITE[found["operator"]], found["bound"]


def is_selector(text: str) -> bool:
    """Return whether a text is a selector of series, and no topic."""
    return bool(text) and bool(re.fullmatch(_SELECTOR, text))


def _read_seconds(text: str) -> float:
    seconds = parse_days(text)
    if seconds < 1:
        raise ValueError(f"should be at least 1s, not {text!r}")
    return seconds


def _check_labels(labels: dict[str, str]) -> dict[str, str]:
    for name in labels:
        if not LABEL.fullmatch(name):
            raise ValueError(f"{name!r} is no label: letters, digits and _, at the beginning no digit and no __")
        if name in _TAKEN or name.startswith(OWN_LABELS):
            raise ValueError(f"{name} is a label that Tidegate sets; choose another name")
    return labels


AlertLabels = Annotated[dict[str, str], AfterValidator(_check_labels)]


class AlertTest(Document):
    """Readings, written down or recorded, and for which series the alert fires at which time."""

    readings: dict[str, str] = {}
    """Series, such as temperature{sensor="oven"}, each with its values: 20x5 is a 20 and five more, _ is none."""
    recorded: str = Field("", pattern=r"^([\w-][\w.-]*\.csv)?$", examples=["night.csv"])
    """A file beside this one that `invoke readings --format csv` has written, instead of `readings`."""
    every: Duration = "1m"
    """The time between two values."""
    fires: dict[Duration, tuple[AlertLabels, ...]] = Field(min_length=1)
    """At which times since the first value it fires for which series, each by its labels; [] is for none."""

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if bool(self.readings) == bool(self.recorded):
            raise ValueError("should have either readings, or the name of a file in recorded")
        return self


class AlertConfig(Document):
    """A file of alerts/: one of when, silent and expr, and what is told."""

    when: str = Field("", examples=["temperature mean 5m > 30"])
    """What is compared: a series, what is calculated of it for which while (mean, min, max, sum, count, last, change,
    or rate, which is per second), and a bound. Without a while it is the last value, of the last five minutes."""
    clear: str = Field("", examples=["< 29.5"])
    """Where it ends, if that is not where it began: a value at the bound does not tell people again and again."""
    silent: str = Field("", examples=["plant/+/temperature"])
    """A topic of data.keep, or a series, of which nothing comes for the time in `after`."""
    after: str = ""
    """How long nothing comes before `silent` fires."""
    forget: str = "7d"
    """How long after its last reading a silent series is expected no more."""
    expr: str = ""
    """Any query of PromQL: it fires for each series that it returns."""
    for_: Duration = Field("0s", alias="for")
    """How long it has to hold before anyone is told."""
    every: Duration = ""
    """How often it is calculated; where left out, each second, or less often where it looks at more than 10m."""
    severity: Severity = Severity.WARNING
    """info, warning or critical; routes of `notify` go by it."""
    text: str = Field("", max_length=1000)
    """What people are told; {sensor} is the label of that name, and {value} the value."""
    labels: AlertLabels = {}
    """More labels, by which routes of `notify` can go."""
    tests: tuple[AlertTest, ...] = ()
    """What `invoke test-alerts` tries."""

    @property
    def condition(self) -> Condition:
        """Return what `when` says, which is there."""
        return read_condition(self.when)

    @property
    def holds_until(self) -> tuple[str, str] | None:
        """Return the comparison that holds until `clear` does, if that is there."""
        return read_clear(self.clear, self.condition) if self.clear else None

    @property
    def after_seconds(self) -> float:
        """Return how long nothing comes before it fires."""
        return _read_seconds(self.after)

    @property
    def forget_seconds(self) -> float:
        """Return how long a silent series is expected."""
        return _read_seconds(self.forget)

    @property
    def for_seconds(self) -> float:
        """Return how long it has to hold."""
        return parse_duration(self.for_)

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if sum(map(bool, (self.when, self.silent, self.expr))) != 1:
            raise ValueError("should have one of when, silent and expr, such as when: temperature > 30")
        if bool(self.silent) != bool(self.after):
            raise ValueError("silent and after belong together, such as silent: plant/+/temperature, after: 15m")
        if self.clear and not self.when:
            raise ValueError("clear belongs to when; an expr says itself when it ends")
        if self.after and self.forget_seconds <= self.after_seconds:
            raise ValueError(f"forget should be longer than after, {self.after}, not {self.forget!r}")
        if self.silent.startswith("{"):
            raise ValueError(f"silent should begin with what the readings are called, not {self.silent!r}")
        if self.when:
            _ = self.condition, self.holds_until
        return self

    @field_validator("forget", "after", "every")
    @classmethod
    def _is_time(cls, value: str) -> str:
        if value:
            _read_seconds(value)
        return value

    @field_validator("text")
    @classmethod
    def _is_text(cls, value: str) -> str:
        if "{{" not in value and re.search("[{}]", PLACE.sub("", value)):
            raise ValueError(f"should have labels such as {{sensor}}, each a name in braces, not {value!r}")
        return value


@dataclass(frozen=True)
class Alert:
    """An alert of the workspace, by the name of its file."""

    name: str
    config: AlertConfig
    chart: str = ""
    """The query of what is to be seen of it, if that is not what it looks at."""

    @property
    def document(self) -> str:
        """Return the name of its file."""
        return f"{FOLDER}/{self.name}{SUFFIX}"


def load_alerts(root: Path, *, is_lenient: bool = False) -> tuple[Alert, ...]:
    """Read the alerts of a workspace; lenient, those that are wrong are left out.

    Raises:
        ConfigError: one or more are wrong; every mistake is named.
    """
    return attempt_all(partial(load_placed_alert, root / FOLDER), list_alert_paths(root), is_lenient=is_lenient)


def list_alert_paths(root: Path) -> list[Path]:
    """Return where files are that look like alerts, also where they are not read."""
    return sorted(one for one in (root / FOLDER).rglob("*") if one.suffix in (SUFFIX, ".yml"))


def load_placed_alert(folder: Path, path: Path) -> Alert:
    """Read an alert; one that is elsewhere, or called otherwise, would be passed over while someone relies on it.

    Raises:
        ConfigError: it is, or it is wrong.
    """
    if path.parent != folder or path.suffix != SUFFIX:
        place = path.relative_to(folder).as_posix()
        raise ConfigError([f"{FOLDER}/{place}: is not read there; it should be {FOLDER}/{path.stem}{SUFFIX}"])
    return load_alert(path)


def load_alert(path: Path) -> Alert:
    """Read one alert.

    Raises:
        ConfigError: it is wrong; every mistake is named.
    """
    document = f"{FOLDER}/{path.name}"
    if not NAME.fullmatch(path.stem):
        raise ConfigError([f"{document}: should be called such as oven-hot{SUFFIX}: letters, digits, - and _"])
    return Alert(path.stem, parse_model(AlertConfig, read_mapping(path, document), name=document))
