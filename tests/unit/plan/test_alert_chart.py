"""What people see of what an alert looks at."""

from typing import Any

import pytest

from stack.config.alert import Alert, AlertConfig
from stack.config.data import Data
from stack.config.document import parse_model
from stack.plan.alert_chart import find_own_labels, write_value_query

DATA = parse_model(Data, {"keep": [{"topic": "plant/+/temperature", "labels": {"sensor": "{2}"}}]}, name="stack.yaml")


def make(**config: Any) -> Alert:
    return Alert("hot", parse_model(AlertConfig, config, name="alerts/hot.yaml"))


@pytest.mark.parametrize(
    ("config", "query"),
    [
        ({"when": "temperature > 30"}, "last_over_time(temperature[300s])"),
        ({"when": "temperature mean 10m > 30", "clear": "< 29"}, "avg_over_time(temperature[600s])"),
        ({"silent": "plant/oven/temperature", "after": "15m"}, 'temperature{sensor="oven"}'),
        ({"expr": "a / b > 2"}, "a / b > 2"),
    ],
)
def test_query_is_what_is_compared(config: dict[str, Any], query: str) -> None:
    assert write_value_query(make(**config), DATA) == query


def test_query_has_the_labels_of_what_fires() -> None:
    query = write_value_query(make(when="t > 3"), DATA, labels={"sensor": 'a.b "c"'})
    assert query == 'label_match(last_over_time(t[300s]), "sensor", "a\\\\.b \\"c\\"")'


def test_labels_that_a_rule_adds_are_none_of_its_series() -> None:
    alert = make(when="t > 3", labels={"team": "plant"})
    labels = {"alertname": "hot", "alertgroup": "hot", "severity": "info", "team": "plant", "sensor": "oven"}
    assert find_own_labels(alert, labels) == {"sensor": "oven"}
