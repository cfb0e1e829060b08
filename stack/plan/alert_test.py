"""The tests of alerts, as vmalert-tool has them."""

from collections.abc import Mapping
from typing import Any

from stack.config.alert import Alert, AlertTest
from stack.config.data import Data
from stack.config.notify import Notify
from stack.contract import parse_duration
from stack.plan.alert import describe_groups
from stack.plan.template import write_yaml

RULES, TESTS = "rules.yaml", "test.yaml"


def render_test(
    alert: Alert, data: Data, *, recorded: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, bytes]:
    """Render an alert's rules without what people are told, which tests do not compare, and its tests.

    `recorded` has series with their values, by the name of the file.

    Raises:
        ConfigError: no rule of data.keep keeps what is to be silent.
    """
    # When the stack ran is no part of them.
    groups = describe_groups(alert, data.model_copy(update={"scrape": "0s"}), notify=Notify())
    # As often as there are values: each second of a day would take minutes.
    interval = f"{max(1.0, min(parse_duration(test.every) for test in alert.config.tests)):g}s"
    plain = [{**group, "interval": interval, "rules": [_strip(rule) for rule in group["rules"]]} for group in groups]
    tests = {
        "rule_files": [RULES],
        "evaluation_interval": interval,
        "tests": [
            _describe_test(alert, number, test=test, recorded=recorded or {})
            for number, test in enumerate(alert.config.tests)
        ],
    }
    return {RULES: write_yaml({"groups": plain}), TESTS: write_yaml(tests)}


def _strip(rule: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in rule.items() if key != "annotations"}


def _describe_test(
    alert: Alert, number: int, *, test: AlertTest, recorded: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    found = recorded[test.recorded] if test.recorded else test.readings
    return {
        "name": f"tests.{number}",
        "interval": f"{parse_duration(test.every):g}s",
        "input_series": [{"series": series, "values": values} for series, values in found.items()],
        "alert_rule_test": [_describe_moment(alert, moment, fires=fires) for moment, fires in test.fires.items()],
    }


def _describe_moment(alert: Alert, moment: str, *, fires: tuple[dict[str, str], ...]) -> dict[str, Any]:
    own = {"severity": str(alert.config.severity), **alert.config.labels}
    return {
        "eval_time": f"{parse_duration(moment):g}s",
        "groupname": alert.name,
        "alertname": alert.name,
        "exp_alerts": [{"exp_labels": {**labels, **own}} for labels in fires],
    }
