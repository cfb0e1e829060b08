"""The alerter as a function: which messages it gets, and whom it reaches."""

import json
from typing import Any

import pytest

from stack.config.document import parse_model
from stack.config.settings import Settings
from stack.contract import ALERTER, ESCALATION_VARIABLE, MQTT_EXCHANGE
from stack.plan.alerter import plan_alerter
from stack.plan.function import service_name
from stack.plan.gateway import CONTROL, FUNCTIONS, find_networks


def read(**settings: Any) -> Settings:
    return parse_model(Settings, settings, name="stack.yaml")


def test_it_gets_copies_and_the_topic_by_one_queue() -> None:
    plan = plan_alerter(read(), "tidegate/processor:1")
    (trigger,) = plan.spec.triggers.values()
    attributes = trigger.attributes.model_dump()
    assert (attributes["exchange_name"], attributes["topics"]) == (MQTT_EXCHANGE, ["iot.alerts"])
    assert attributes["queue_name"] == ALERTER and trigger.num_workers == 1
    assert plan.claims == (f"claim-{ALERTER}",)


def test_it_alone_is_on_both_networks() -> None:
    assert find_networks(service_name(ALERTER)) == (FUNCTIONS, CONTROL)
    assert find_networks(service_name("temperaturealert")) == (FUNCTIONS,)


def test_it_knows_when_others_are_told() -> None:
    channels = {"hook": {"webhook": {"url": "http://plant.example/"}}}
    plan = plan_alerter(read(notify={"channels": channels, "escalate": {"after": "30m", "to": ["hook"]}}), "x")
    values = {one.name: one.value for one in plan.spec.env}
    assert json.loads(values[ESCALATION_VARIABLE]) == {"after": 1800, "severity": ["critical"]}


@pytest.mark.parametrize("has_store", [True, False])
def test_it_writes_the_history_where_there_is_a_store(has_store: bool) -> None:
    keep = {"data": {"keep": [{"topic": "#"}]}} if has_store else {}
    assert (len(plan_alerter(read(**keep), "x").spec.volumes) == 2) is has_store
