"""Alerts as vmalert's rules; tests/render has whole files."""

from typing import Any

import pytest
import yaml

from stack.config.alert import Alert, AlertConfig
from stack.config.data import Data, KeepRule
from stack.config.document import parse_model
from stack.config.notify import Notify
from stack.config.settings import Dashboard, Implementation, Settings
from stack.errors import ConfigError
from stack.plan.alert import RULES, covers, describe_groups, find_silent, list_unknown, render_rules
from stack.plan.alert_test import render_test

DATA = parse_model(
    Data,
    {
        "keep": [
            {"topic": "plant/+/temperature", "labels": {"sensor": "{2}"}},
            {"topic": "plant/+/+/state", "values": {"t": "/t"}, "labels": {"room": "{2}", "id": {"json": "/i"}}},
            {"topic": "site/#"},
        ]
    },
    name="data",
)


def make(**document: Any) -> Alert:
    return Alert("hot", parse_model(AlertConfig, document, name="alerts/hot.yaml"))


def find_rule(alert: Alert) -> dict[str, Any]:
    return dict(describe_groups(alert, DATA, notify=Notify())[-1]["rules"][0])


def test_a_condition_is_a_query() -> None:
    rule = find_rule(make(when='t{a="b"} mean 5m > 30'))
    assert rule["expr"] == 'avg_over_time(t{a="b"}[300s]) > 30'
    assert "for" not in rule and "keep_firing_for" not in rule
    assert find_rule(make(when="t < 1"))["expr"] == "last_over_time(t[300s]) < 1"


def test_what_fires_holds_until_it_is_clear() -> None:
    rule = find_rule(make(when="t > 30", clear="< 29", labels={"team": "a"}))
    held = rule["expr"].partition(" or ")[2]
    assert held.startswith("(last_over_time(t[300s]) >= 29 and ignoring(")
    assert 'ALERTS{alertname="hot", alertstate="firing"' in held and "team" in held
    # Until the store knows that it fires.
    assert rule["keep_firing_for"] == "10s"


@pytest.mark.parametrize(
    ("silent", "selector"),
    [
        ("plant/+/temperature", "temperature"),
        ("plant/oven/temperature", 'temperature{sensor="oven"}'),
        ("plant/hall/+/state", 't{room="hall"}'),
        ("site/a.b/+", r'reading{topic=~"site/a\\.b/[^/]+"}'),
        ("site/a/#", 'reading{topic=~"site/a/.*"}'),
        ("site/🌡/t", 'reading{topic=~"site/🌡/t"}'),
        ("plant/🌡/temperature", 'temperature{sensor="🌡"}'),
        ('temperature{sensor="a"}', 'temperature{sensor="a"}'),
    ],
)
def test_silence_is_of_the_series_of_a_topic(silent: str, selector: str) -> None:
    seen, quiet = describe_groups(make(silent=silent, after="15m"), DATA, notify=Notify())
    assert f"tlast_over_time({selector}[600s])" in seen["rules"][0]["expr"]
    assert f"tlast_over_time({selector}[1020s])" in quiet["rules"][0]["expr"]
    fires, goes_on = quiet["rules"][0]["expr"].split(") or ((")
    # Neither where the recorder or the store began a moment ago, nor over when they begin again.
    assert 'vm_app_start_timestamp",function=~"tidegate-recorder|"}[45s])) > 900)' in fires
    assert goes_on.endswith('ALERTS{alertname="hot", alertstate="firing", tidegate_escalation=""})')
    plain = DATA.model_copy(update={"scrape": "0s"})
    *_, quiet = describe_groups(make(silent=silent, after="15m"), plain, notify=Notify())
    assert quiet["rules"][0]["expr"].endswith("> 900) < 604800")


def test_readings_that_no_rule_makes_are_told() -> None:
    alerts = [
        make(when='humidty{sensor="a"} > 1'),
        make(when="temperature > 1"),
        make(when="rabbitmq_queues > 9"),
        make(silent="site/x", after="1m"),
        make(silent='wind{a="b"}', after="1m"),
        make(expr="any > 1"),
    ]
    assert [text.partition(" makes ")[2] for text in list_unknown(alerts, DATA)] == [
        f"{name}; there are reading, t, temperature." for name in ("humidty", "wind")
    ]


def test_a_topic_of_one_level_is_no_metric() -> None:
    kept = parse_model(Data, {"keep": [{"topic": "#"}, {"topic": "a/+", "metric": "level"}]}, name="data")
    alert = make(silent="doorbell", after="15m")
    assert find_silent(alert, kept) == 'reading{topic=~"doorbell"}'
    assert find_silent(make(silent="level", after="15m"), kept) == "level"
    assert find_silent(make(silent="🌡/x", after="15m"), kept) == 'reading{topic=~"🌡/x"}'


def test_a_metric_of_two_rules_is_told_apart_by_its_topic() -> None:
    rules: list[dict[str, Any]] = [
        {"topic": f"{site}/+/temperature", "metric": "temperature"} for site in ("plant", "home")
    ]
    silent = "plant/+/temperature"
    kept = parse_model(Data, {"keep": rules}, name="data")
    assert find_silent(make(silent=silent, after="15m"), kept) == 'temperature{topic=~"plant/[^/]+/temperature"}'
    rules = [{**rule, "labels": {"sensor": "{2}"}} for rule in rules]
    kept = parse_model(Data, {"keep": rules}, name="data")
    with pytest.raises(ConfigError, match=r"do not tell plant/\+/temperature from others"):
        find_silent(make(silent=silent, after="15m"), kept)


@pytest.mark.parametrize(
    ("silent", "problem"),
    [
        ("other/topic", "no rule of data.keep in stack.yaml keeps other/topic"),
        ("plant/hall/oven/state", "do not tell plant/hall/oven/state from others; name the series, such as silent:"),
    ],
)
def test_silence_that_no_one_can_tell_is_refused(silent: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        describe_groups(make(silent=silent, after="15m"), DATA, notify=Notify())


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("#", "a/b", True),
        ("a/#", "a/+/#", True),
        ("a/+", "a/b", True),
        ("a/+", "a/+", True),
        ("a/+", "a/#", False),
        ("a/b", "a/+", False),
        ("a/+", "a/b/c", False),
        ("a/b/c", "a/b", False),
    ],
)
def test_filters_cover_others(pattern: str, topic: str, expected: bool) -> None:
    assert covers(pattern, topic) is expected


@pytest.mark.parametrize(
    ("document", "interval"),
    [
        ({"when": "t > 1"}, "1s"),
        ({"when": "t mean 1h > 1"}, "6s"),
        ({"when": "t mean 30d > 1"}, "60s"),
        ({"silent": "site/#", "after": "15m"}, "2s"),
        ({"expr": "t", "every": "30s"}, "30s"),
        ({"expr": "avg_over_time(t[1h30m]) > 1 or t[5m:1s]"}, "9s"),
        ({"expr": "t > 1"}, "1s"),
    ],
)
def test_what_looks_far_back_is_calculated_less_often(document: dict[str, Any], interval: str) -> None:
    assert describe_groups(make(**document), DATA, notify=Notify())[-1]["interval"] == interval


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (
            {"when": "t > 1", "text": "{sensor}: {value}"},
            '{{ $labels.sensor }}: {{ printf "%.6g" $value }}',
        ),
        ({"when": "t > 1", "text": "{{ $value }} {x}"}, "{{ $value }} {x}"),
        ({"when": 't{a="b"} mean 5m > 1'}, 't is {{ printf "%.6g" $value }}, which is > 1.'),
        ({"expr": "t"}, 'The value is {{ printf "%.6g" $value }}.'),
        ({"silent": "site/#", "after": "1m"}, "Nothing came of site/# for {{ $value | humanizeDuration }}."),
    ],
)
def test_texts_have_labels_and_values(document: dict[str, Any], text: str) -> None:
    found = find_rule(make(**document))["annotations"]["text"]
    assert found.endswith(text)


def test_what_no_one_acknowledges_fires_again_for_others() -> None:
    document = {"channels": {"phone": {"telegram": {"chat": 1, "secret": "a.b"}}}, "escalate": {"to": ["phone"]}}
    notify = parse_model(Notify, document, name="notify")
    alert = make(**{"when": "t > 1", "for": "1m", "severity": "critical"})
    first, second = describe_groups(alert, DATA, notify=notify)[0]["rules"]
    assert (first["for"], second["for"]) == ("60s", "1860s")
    assert (first["alert"], second["labels"]["tidegate_escalation"]) == (second["alert"], "yes")
    assert len(describe_groups(make(when="t > 1"), DATA, notify=notify)[0]["rules"]) == 1


def test_alerts_need_readings() -> None:
    assert render_rules((), Settings()) == {}
    with pytest.raises(ConfigError, match=r"alerts/hot.yaml: there are no readings to look at; in stack.yaml, data"):
        render_rules((make(when="t > 1"),), Settings())
    assert render_rules((make(when="t > 1"),), Settings(data=Data(keep=(KeepRule(topic="#"),))))


def test_a_message_leads_to_the_chart_of_its_series() -> None:
    def chart(settings: Settings) -> str:
        files = render_rules((make(when="t max 5m > 1", labels={"team": "x"}),), settings)
        (group,) = yaml.safe_load(files[RULES])["groups"]
        return str(group["rules"][0]["annotations"].get("chart", ""))

    settings = Settings(data=DATA)
    assert chart(settings).startswith('{{ $query := "max_over_time(t[300s])" }}{{ range $name, $text := $labels }}')
    assert "|severity|tidegate_escalation|team)$" in chart(settings)
    assert chart(settings).endswith("http://127.0.0.1:8070/data?q={{ $query | queryEscape }}&since=21600")
    outside = settings.model_copy(update={"notify": Notify(url="https://plant.example/")})
    assert "}}https://plant.example/data?q=" in chart(outside)
    nuclio = settings.model_copy(update={"dashboard": Dashboard(implementation=Implementation.NUCLIO)})
    assert not chart(nuclio)


def test_tests_may_be_of_what_was_recorded() -> None:
    alert = make(when="t > 1", tests=[{"recorded": "night.csv", "fires": {"1m": []}}])
    files = render_test(alert, DATA, recorded={"night.csv": {"t{}": "1 2"}})
    (test,) = yaml.safe_load(files["test.yaml"])["tests"]
    assert test["input_series"] == [{"series": "t{}", "values": "1 2"}]


def test_tests_expect_the_labels_of_the_alert_too() -> None:
    tests = [{"readings": {'t{a="b"}': "1 2"}, "every": "30s", "fires": {"1m": [{"a": "b"}], "5m": []}}]
    files = render_test(make(when="t > 1", labels={"team": "x"}, tests=tests), DATA)
    document = yaml.safe_load(files["test.yaml"])
    (test,) = document["tests"]
    assert (test["interval"], document["evaluation_interval"]) == ("30s", "30s")
    first, second = test["alert_rule_test"]
    assert first["exp_alerts"] == [{"exp_labels": {"a": "b", "team": "x", "severity": "warning"}}]
    assert (first["eval_time"], second["exp_alerts"]) == ("60s", [])
    assert b"annotations" not in files["rules.yaml"]
