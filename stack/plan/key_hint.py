"""Hints at routing keys that nothing publishes, while a similar one is published to the same exchange.

What publishes is known only as far as functions go: by their outputs, and by the texts in quotes of sources that name
the exchange. Devices may publish anything, so a key is never called wrong.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest

from stack.config.output.registry import Output
from stack.contract import MQTT_EXCHANGE, to_key
from stack.plan.device import EXCHANGE, ROUTING_KEY, TOPIC
from stack.plan.function import Triggered, find_queues
from stack.plan.output.registry import find_kind as find_output_kind
from stack.plan.trigger.registry import find_kind

_QUOTED = re.compile(r"(?P<quote>['\"`])(?P<text>[^\s'\"`]{1,255})(?P=quote)")
# The keys that Tidegate's own device publishes, and a word of a key that is filled in for each message.
_CLIENT = {EXCHANGE: ROUTING_KEY, MQTT_EXCHANGE: to_key(TOPIC)}
_FILLED = re.compile(r"[^.]*\{[^.]*")
_ANY, _REST = "*", "#"
_PARTS = re.compile(r"[-_/\d]+")
# Letters that two parts of a key must have, and how much of them they must share, to be one that is misspelt.
_SHORTEST, _SHARE = 4, 0.8


@dataclass(frozen=True)
class Publisher:
    """A function as far as its messages go: its outputs, and the texts of its sources."""

    name: str
    outputs: Mapping[str, Output]
    texts: Sequence[str]


def find_key_hints(function: Triggered, publishers: Sequence[Publisher]) -> Iterator[str]:
    """Yield a sentence for each routing key or topic of a function that is probably misspelt."""
    for name, bound in find_queues(function).items():
        if not bound.exchange or function.triggers[name].disabled:
            continue
        kind, published = find_kind(function.triggers[name]), dict(_list_published(bound.exchange, publishers))
        for key in bound.topics:
            near = next((one for one in published if _is_near(key.split("."), one.split("."))), "")
            if near and not any(_covers(key.split("."), one.split(".")) for one in published):
                yield (
                    f"spec.triggers.{name}: nothing here publishes the {kind.address_name.lower()} "
                    f"{kind.to_address(key)}; {bound.exchange} gets {kind.to_address(near)} from {published[near]}. "
                    "Unless a device publishes it, correct the one that is misspelt and deploy again"
                )


def find_unrouted(function: Triggered, unrouted: Mapping[str, int]) -> Iterator[str]:
    """Yield a sentence for each trigger whose exchange got messages of which none came to any queue."""
    for name, bound in find_queues(function).items():
        count = 0 if function.triggers[name].disabled else unrouted.get(bound.exchange, 0)
        # What MQTT clients publish for others is no concern of a function's.
        if count and bound.exchange != MQTT_EXCHANGE:
            came = "1 message came" if count == 1 else f"{count} messages came"
            yield (
                f"spec.triggers.{name}: {came} to {bound.exchange} so far, and none had a routing key that a queue is "
                f"bound to; this one is bound to {', '.join(bound.topics) or 'none'}"
            )


def _list_published(exchange: str, publishers: Sequence[Publisher]) -> Iterator[tuple[str, str]]:
    """Yield the keys that an exchange gets, and from what; a part that is filled in later is a wildcard."""
    if exchange in _CLIENT:
        yield _CLIENT[exchange], "`invoke client`"
    for publisher in publishers:
        for text in publisher.texts:
            yield from ((key, publisher.name) for key in _list_named(exchange, text))
        for output in publisher.outputs.values():
            target, key = find_output_kind(output).find_address(output)
            if target == exchange:
                yield _FILLED.sub(_ANY, key), publisher.name


def _list_named(exchange: str, text: str) -> Iterator[str]:
    """Yield the texts in quotes that may be keys: of a source that names the exchange, or speaks MQTT."""
    quoted = dict.fromkeys(match["text"] for match in _QUOTED.finditer(text))
    if exchange == MQTT_EXCHANGE and "mqtt" in text.lower():
        yield from (to_key(one) for one in quoted if "/" in one and "://" not in one)
    elif exchange in quoted:
        yield from (one for one in quoted if one != exchange)


def _covers(key: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether a binding takes messages of a key; both are in words."""
    if not key:
        return not other
    if key[0] == _REST:
        return any(_covers(key[1:], other[count:]) for count in range(len(other) + 1))
    return bool(other) and (key[0] == other[0] or _ANY in (key[0], other[0])) and _covers(key[1:], other[1:])


def _is_near(key: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether a binding would take messages of a key, were some of its words written otherwise."""
    if key[-1] == _REST:
        key, other = key[:-1], other[: len(key) - 1]
    pairs = [pair for pair in zip_longest(key, other, fillvalue="") if pair[0] != pair[1] and _ANY not in pair]
    return bool(pairs) and all(_is_misspelt(*pair) for pair in pairs)


def _is_misspelt(word: str, other: str) -> bool:
    """Return whether two words are one that is misspelt: numbers, and short parts such as a or b, tell words apart."""
    if re.findall(r"\d+", word) != re.findall(r"\d+", other):
        return False
    parts, others = _PARTS.split(word.lower()), _PARTS.split(other.lower())
    pairs = [pair for pair in zip_longest(parts, others, fillvalue="") if pair[0] != pair[1]]
    return all(_is_slip(*pair) for pair in pairs)


def _is_slip(part: str, other: str) -> bool:
    """Return whether one is the other with a slip: no word with another beginning or end, as created and create are."""
    shorter, longer = sorted((part, other), key=len)
    is_longer_form = len(longer) > len(shorter) and (longer.startswith(shorter) or longer.endswith(shorter))
    is_like = len(shorter) >= _SHORTEST and SequenceMatcher(None, part, other).ratio() >= _SHARE
    return is_like and (not is_longer_form or longer in (f"{shorter}s", f"{shorter}{shorter[-1]}"))
