"""Rules for readings: which lines of the store's text format a message makes.

The format is Prometheus' exposition format: a metric with its labels, a value, and a time in milliseconds.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from nuclio_sdk import Event

from stack.contract import MQTT_EXCHANGE, RESPONSES, to_topic
from stack.processor.recorder.message import SHOWN, Clock, Message, NoReadingError
from stack.processor.recorder.pattern import HEADER, compile_filter, fill_label

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
# Bytes that a label may have for VictoriaMetrics; a character has four at most.
_LONGEST_LABEL = 4096
# Topics of which the rules for them are remembered.
_REMEMBERED = 100_000


@dataclass(frozen=True)
class Rule:
    """One rule, as stack.yaml has it and the plan completes it."""

    trigger: str
    """The trigger that brings its messages: each is of one exchange."""
    exchange: str
    filter: str
    """A topic filter, or a pattern of routing keys."""
    values: Mapping[str, str | None]
    """Each metric, and where its number is: a JSON pointer, or None for the whole body."""
    labels: Mapping[str, Mapping[str, str]]
    """Each label, as `text` or `json`."""
    time: str = ""
    takes_all: bool = False
    """Whether every number in the body is kept, and a message without one passed over."""

    def write(self, message: Message, labels: str | None) -> list[str]:
        """Return the lines of a message; a reading without a time of its own has that at which it arrived.

        `labels` are those of its topic, where they need nothing else of the message.

        Raises:
            NoReadingError: it has not what is asked for.
        """
        found = self._find_numbers(message)
        if not found:
            return []
        moment = message.find_time(self.time)
        if labels is None:
            labels = ",".join(_write_label(name, message.read_label(source)) for name, source in self.labels.items())
        lines = []
        for metric, more, number in found:
            series = f"{metric}{{{labels}{',' if labels and more else ''}{more}}}"
            lines.append(f"{series} {number} {message.clock.next(series) if moment is None else moment}\n")
        return lines

    def write_labels(self, levels: Sequence[str]) -> str | None:
        """Return the labels that all messages of a topic have; None where they need more of the message."""
        texts = [source.get("text", HEADER) for source in self.labels.values()]
        if any(text.startswith(HEADER) for text in texts):
            return None
        pairs = zip(self.labels, texts, strict=True)
        return ",".join(_write_label(name, fill_label(text, levels)) for name, text in pairs)

    def _find_numbers(self, message: Message) -> list[tuple[str, str, str]]:
        """Return each metric with the label of its own, if it has one, and the number."""
        if self.takes_all:
            if message.levels[0].startswith(RESPONSES):
                # The topics of requests are others after each start.
                return []
            (metric,) = self.values
            return [(metric, _name_field(path), number) for path, number in message.list_numbers()]
        numbers = [(metric, "", message.read_number(pointer)) for metric, pointer in self.values.items()]
        found = [(metric, more, number) for metric, more, number in numbers if number is not None]
        if not found:
            raise NoReadingError(f"there is no number, but null: {message.show(message.body)}")
        return found


@lru_cache(_REMEMBERED)
def _name_field(path: str) -> str:
    return _write_label("field", path) if path else ""


def _write_label(name: str, value: str) -> str:
    """Write a label.

    Raises:
        NoReadingError: it is longer than the store takes, which passes over such a series without a word.
    """
    if len(value) > _LONGEST_LABEL // 4 and len(value.encode(errors="replace")) > _LONGEST_LABEL:
        raise NoReadingError(f"the label {name} has more than {_LONGEST_LABEL:,} bytes: {value[:SHOWN]}…")
    return f'{name}="{value.translate(_ESCAPES)}"'


# The rules for messages of a topic, each with the labels that it gives them, where these need no message.
_Chosen = tuple[tuple[Rule, str | None], ...]


class RuleSet:
    """All rules, and which of them are about a message."""

    def __init__(self, rules: Sequence[Rule], retention: float = math.inf) -> None:
        self._retention = retention
        self._clock = Clock()
        self._rules = [(rule, compile_filter(rule.filter, _separator(rule.exchange))) for rule in rules]
        self._exchanges = {rule.trigger: rule.exchange for rule in rules}
        self._known: dict[tuple[str, str], tuple[Sequence[str], _Chosen]] = {}

    def write(self, event: Event, arrived: float) -> list[str]:
        """Return the lines of a message; the same of several rules once.

        Raises:
            NoReadingError: it has not what a rule asks for.
        """
        levels, rules = self._find(event.trigger.name, event.path)
        self._clock.start(arrived)
        message = Message(event, levels, arrived, self._clock, self._retention)
        if len(rules) == 1:
            ((rule, labels),) = rules
            return rule.write(message, labels)
        return list(dict.fromkeys(line for rule, labels in rules for line in rule.write(message, labels)))

    def _find(self, trigger: str, path: str) -> tuple[Sequence[str], "_Chosen"]:
        """Return the levels of a message, and the rules for it; its path, exchange/key, comes again and again."""
        if (found := self._known.get((trigger, path))) is None:
            exchange = self._exchanges[trigger]
            separator, key = _separator(exchange), path.removeprefix(f"{exchange}/")
            text = to_topic(key) if exchange == MQTT_EXCHANGE else key
            levels = (text, *text.split(separator))
            rules = tuple(
                (rule, rule.write_labels(levels))
                for rule, pattern in self._rules
                if rule.trigger == trigger and pattern.fullmatch(text + separator)
            )
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[trigger, path] = levels, rules
        return found


def _separator(exchange: str) -> str:
    return "/" if exchange == MQTT_EXCHANGE else "."


def read_rules(text: str) -> RuleSet:
    """Read the rules that the plan has written as JSON."""
    document = json.loads(text)
    return RuleSet([Rule(**one) for one in document["rules"]], document["retention"])


def is_urgent(text: str) -> bool:
    """Return whether rules say that the store is to find at once what it takes."""
    return bool(json.loads(text).get("urgent"))
