"""The recorder as a function: its triggers, and the rules that it is told."""

import json
from typing import Any

import pytest

from stack.config.document import parse_model
from stack.config.environment import SecretContent, SecretRef
from stack.config.settings import Settings
from stack.plan.recorder import name_series, plan_recorder, write_rules
from stack.plan.secret import Vault, find_mounts
from stack.plan.store import login_files, store_arguments, store_url

KEY = SecretContent(b"k" * 32)


def read(*rules: dict[str, Any], **data: Any) -> Settings:
    return parse_model(Settings, {"data": {"keep": list(rules), **data}}, name="stack.yaml")


@pytest.mark.parametrize(
    ("exchange", "key", "series"),
    [
        ("amq.topic", "plant.oven.state", [("t", {"sensor": "oven"}), ("h", {"sensor": "oven"})]),
        ("amq.topic", "any.thing", [("reading", {"topic": "any/thing"})]),
        ("amq.topic", "plant.oven", []),
        ("iot/sensors", "temperature", [("celsius", {})]),
        ("iot/other", "temperature", []),
    ],
)
def test_series_of_a_topic_are_known_as_far_as_its_name_says(
    exchange: str, key: str, series: list[tuple[str, dict[str, str]]]
) -> None:
    settings = read(
        {
            "topic": "plant/+/state",
            "values": {"t": "/t", "h": "/h"},
            "labels": {"sensor": "{2}", "id": {"json": "/id"}},
        },
        {"topic": "any/#"},
        {"exchange": "iot/sensors", "key": "*", "metric": "celsius", "labels": {"sensor": "header.sensor"}},
    )
    assert list(name_series(settings.data, exchange, key=key)) == series


def test_a_header_tells_a_label() -> None:
    rule = {"exchange": "iot/sensors", "metric": "celsius", "labels": {"sensor": "header.sensor", "to": "header.to"}}
    data = read(rule).data
    assert list(name_series(data, "iot/sensors", key="t", headers={"sensor": "s1"})) == [("celsius", {"sensor": "s1"})]
    assert list(name_series(data, "iot/sensors", key="t", headers={"sensor": ""})) == [("celsius", {"sensor": ""})]


def test_each_exchange_has_a_trigger_with_all_its_keys() -> None:
    labels = {"a": "{2}", "b": {"json": "/id"}}
    settings = read(
        {"topic": "plant/+/state", "value": {"json": "/t"}, "labels": labels, "time": "/ts"},
        {"topic": "#"},
        {"topic": "plain"},
        retention="30d",
    )
    document = json.loads(write_rules(settings.data))
    assert document["retention"] == 30 * 86400
    first, second, third = document["rules"]
    assert first == {
        "trigger": "topics",
        "exchange": "amq.topic",
        "filter": "plant/+/state",
        "values": {"state": "/t"},
        "labels": {"a": {"text": "{2}"}, "b": {"json": "/id"}},
        "time": "/ts",
        "takes_all": False,
    }
    # Else the readings of all topics would be one series.
    assert (second["labels"], second["takes_all"]) == ({"topic": {"text": "{0}"}}, True)
    assert third["labels"] == {}


def test_recorder_and_who_asks_have_the_url_of_the_store() -> None:
    plan = plan_recorder(read({"topic": "#"}), "tidegate/processor:1")
    vault = Vault({}, SecretContent(b"salt"), KEY, has_store=True)
    (mount,) = [one for one in find_mounts(plan, vault) if one.secret == SecretRef("data", "url")]
    content = vault.read(mount)
    assert mount.target == "/run/secrets/data.url"
    assert content and content.get_secret_value().decode() == store_url(KEY)
    password = login_files(KEY)["password"].decode()
    assert f":{password}@victoria-metrics:8428" in store_url(KEY)
    own = Vault({SecretRef("data", "url"): SecretContent(b"mine")}, SecretContent(b"salt"), KEY, has_store=True)
    mine = own.read(mount)
    assert mine and mine.get_secret_value() == b"mine"


def test_store_is_told_its_limits() -> None:
    arguments = store_arguments(read({"topic": "#"}, retention="30d", memory="1Gi", disk_free="2G").data)
    assert {"-retentionPeriod=720h", f"-memory.allowedBytes={2**30 * 6 // 10}"} <= set(arguments)
    assert "-storage.minFreeDiskSpaceBytes=2000000000" in arguments
    assert not any("delete" in one and "file://" not in one for one in arguments)
