"""The part `data` of stack.yaml: what may be kept, and every mistake with its path."""

from typing import Any

import pytest

from stack.config.document import parse_model
from stack.config.settings import Settings
from stack.errors import ConfigError


def read(**data: Any) -> Settings:
    return parse_model(Settings, {"data": data}, name="stack.yaml")


def test_nothing_is_kept_unless_asked() -> None:
    assert not Settings().data.is_kept
    assert read(keep=[{"topic": "#"}]).data.is_kept


def test_settings_with_rules_can_be_told_apart() -> None:
    one, same, other = (read(keep=[{"topic": topic, "labels": {"a": "b"}}]) for topic in ("a", "a", "b"))
    assert hash(one) == hash(same) != hash(other)


@pytest.mark.parametrize(
    ("rule", "name", "takes_all"),
    [
        ({"topic": "plant/+/temperature"}, "temperature", False),
        ({"topic": "plant/oven/3-phase load"}, "_3_phase_load", False),
        ({"topic": "#"}, "reading", True),
        ({"topic": "plant/+"}, "reading", True),
        ({"topic": "#", "metric": "any"}, "any", False),
        ({"topic": "#", "value": {"json": "/t"}}, "reading", False),
        ({"topic": "#", "values": {"t": "/t"}}, "reading", False),
        ({"exchange": "e", "metric": "t"}, "t", False),
    ],
)
def test_name_of_readings(rule: dict[str, Any], name: str, takes_all: bool) -> None:
    (found,) = read(keep=[rule]).data.keep
    assert (found.name, found.takes_all) == (name, takes_all)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"keep": [{}]}, "data.keep.0: should have either a topic, such as plant/+/temperature, or an exchange"),
        ({"keep": [{"topic": "a", "exchange": "b"}]}, "data.keep.0: should have either a topic"),
        ({"keep": [{"topic": "a/#/b"}]}, "data.keep.0.topic: # should stand alone at the end"),
        ({"keep": [{"exchange": "e"}]}, "data.keep.0: an exchange needs a metric, or values"),
        ({"keep": [{"exchange": "amq.topic", "metric": "t"}]}, "should be one of your own; what MQTT clients publish"),
        ({"keep": [{"topic": "a", "metric": "1t"}]}, "data.keep.0.metric: should be a name of letters"),
        ({"keep": [{"topic": "a", "value": "payload"}]}, "value should be body, or such as {json: /t}"),
        ({"keep": [{"topic": "a", "value": {"json": "t"}}]}, "keep.0.value.json: should be a JSON pointer such as /t"),
        ({"keep": [{"topic": "a", "value": 5}]}, "value: should be a text or a mapping of keys to values, not 5"),
        ({"keep": [{"topic": "a", "labels": {"x": {"jso": "/t"}}}]}, "labels.x.jso: is not a known key; did you mean"),
        ({"keep": [{"topic": "a", "values": {"b c": "/t"}}]}, "should be a name of letters"),
        ({"keep": [{"topic": "a", "metric": "m", "values": {"b": "/t"}}]}, "have no place beside it"),
        ({"keep": [{"topic": "a", "labels": {"__x": "y"}}]}, "'__x' is no label"),
        ({"keep": [{"topic": "a", "labels": {f"x{n}": "y" for n in range(31)}}]}, "labels: "),
        ({"keep": [{"topic": "a", "labels": {"x": "{0}"}}]}, "{0} should be the number of a level"),
        ({"keep": [{"topic": "a", "labels": {"x": "{level}"}}]}, "{level} should be the number of a level"),
        ({"keep": [{"topic": "a", "time": "ts"}]}, "should be a JSON pointer such as /ts, or such as header.time"),
        ({"keep": [{"topic": "a", "lables": {}}]}, "'labels'"),
        ({"retention": "1h"}, "data.retention: should be between 1d and 100 years, not '1h'"),
        ({"scrape": "soon"}, "data.scrape: should be such as 15s, not 'soon'"),
        ({"scrape": "2h"}, "data.scrape: should be between 1s and 1h, or 0s for never, not '2h'"),
        ({"retention": "long"}, "data.retention: should be such as 400d or 48h, not 'long'"),
        ({"memory": "1Mi"}, "data.memory: should be at least 64Mi, not '1Mi'"),
    ],
)
def test_mistakes(data: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(**data)
    assert any(problem in one for one in caught.value.problems), caught.value.problems
