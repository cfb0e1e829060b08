"""What the processor of a function on this machine is told."""

from typing import Any

import pytest
import yaml

from stack.config.settings import Settings
from stack.plan.function import plan_function
from stack.plan.local import LocalPlan, plan_local
from tests.unit.plan.samples import make_function, make_vault

URL = "amqp://user:word@127.0.0.1:25672/"
RABBIT = {"kind": "rabbit-mq", "attributes": {"exchangeName": "e", "topics": ["a"]}}


def plan(broker_url: str = URL, **spec: Any) -> LocalPlan:
    wanted = plan_function(make_function(**spec), Settings())
    return plan_local(wanted, make_vault(db_user=b"ann"), port=8080, broker_url=broker_url, mqtt_port=21883)


def reveal(local: LocalPlan) -> dict[str, bytes]:
    return {name: content.get_secret_value() for name, content in local.secrets.items()}


def read(local: LocalPlan) -> dict[str, Any]:
    return dict(yaml.safe_load(local.document)["spec"])


def test_http_listens_on_this_machine_only() -> None:
    local = plan()
    assert local.has_http
    assert read(local)["triggers"]["default-http"]["url"] == "127.0.0.1:8080"


def test_account_of_the_stacks_broker_is_a_secret() -> None:
    local = plan(triggers={"sensors": RABBIT})
    assert read(local)["triggers"]["sensors"]["secret"] == "broker.url"
    assert reveal(local)["broker.url"] == URL.encode()
    assert len(reveal(local)["broker.signature-key"]) == 64
    assert "word" not in local.document


def test_account_of_the_triggers_own_is_used_at_the_brokers_address_here() -> None:
    local = plan(triggers={"sensors": {**RABBIT, "url": "amqp://me:mine@rabbitmq-mqtt:5672"}})
    assert read(local)["triggers"]["sensors"]["url"] == "amqp://me:mine@127.0.0.1:25672/"


def test_other_brokers_stay_and_the_stacks_is_left_out_where_it_is_not_up() -> None:
    far = {"kind": "mqtt", "url": "mqtt://far.example:1883", "attributes": {"subscriptions": [{"topic": "t"}]}}
    local = plan("", triggers={"sensors": RABBIT, "far": far})
    assert local.dropped == ("sensors",)
    assert sorted(local.triggers) == ["default-http", "far"]
    assert reveal(local)["broker.url"] == b""
    assert read(local)["triggers"]["far"]["url"] == "mqtt://far.example:1883"


@pytest.mark.parametrize(
    ("broker_url", "mqtt_url"),
    [
        (URL, b"mqtt://user:word@127.0.0.1:21883/"),
        ("amqp://far.example", b"mqtt://far.example:21883/"),
        ("amqp://u@[::1]", b"mqtt://u@[::1]:21883/"),
        ("amqps://u@[::1]:5671/v", b"mqtt://u@[::1]:21883/"),
        ("", b""),
    ],
)
def test_broker_is_told_over_mqtt_where_it_is_here(broker_url: str, mqtt_url: bytes) -> None:
    env = [{"name": "MQTT_URL", "valueFrom": {"secretKeyRef": {"name": "broker", "key": "mqtt"}}}]
    assert reveal(plan(broker_url, env=env, disableDefaultHTTPTrigger=True)) == {"broker.mqtt": mqtt_url}


def test_secrets_of_variables_are_files_and_those_of_volumes_are_left_out() -> None:
    reference = {"secretKeyRef": {"name": "broker", "key": "url"}}
    env = [{"name": "BROKER", "valueFrom": reference}, {"name": "PLAIN", "value": "x"}]
    volume = {"volume": {"name": "v", "secret": {"secretName": "db"}}, "volumeMount": {"name": "v", "mountPath": "/db"}}
    local = plan(env=env, volumes=[volume], disableDefaultHTTPTrigger=True)
    assert reveal(local) == {"broker.url": URL.encode()}
    assert read(local)["env"] == env
    only = plan(envFrom=[{"secretRef": {"name": "db"}}], disableDefaultHTTPTrigger=True)
    assert reveal(only) == {"db.user": b"ann"}
