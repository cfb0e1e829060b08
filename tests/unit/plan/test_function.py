"""What the processor is told, and what is filled in."""

from typing import Any

import pytest
import yaml

from stack.config.settings import Settings
from stack.config.trigger.http import HttpTrigger
from stack.errors import ConfigError
from stack.plan.broker import Bound
from stack.plan.function import (
    bound_queues,
    count_dead_letters,
    image_repository,
    own_queues,
    plan_function,
    processor_document,
    service_name,
    taken_queues,
)
from tests.unit.plan.samples import make_function, make_plan

BROKER_URL = {"name": "URL", "valueFrom": {"secretKeyRef": {"name": "broker", "key": "url"}}}


def trigger_document(**trigger: Any) -> dict[str, Any]:
    document = yaml.safe_load(processor_document(make_plan(triggers={"t": trigger})))
    found = document["spec"]["triggers"]["t"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("files", "handler", "expected"),
    [
        (("main.py",), "", "main:handler"),
        (("thermo.py", "other.py"), "", "thermo:handler"),
        (("main.py", "thermo.py"), "", "main:handler"),
        (("only.py",), "", "only:handler"),
        (("only.py", "sub/more.py"), "", "only:handler"),
        (("a.py",), "a:show", "a:show"),
        (("sub/a.py",), "sub.a:show", "sub.a:show"),
        (("sub/__init__.py",), "sub:show", "sub:show"),
    ],
)
def test_handler_is_found(files: tuple[str, ...], handler: str, expected: str) -> None:
    assert make_plan(files=files, handler=handler).handler == expected


@pytest.mark.parametrize(
    ("files", "handler", "problem"),
    [
        (("a.py", "b.py"), "", "spec.handler: is required, such as main:handler for main.py"),
        ((), "", "spec.handler: is required"),
        (("a.py",), "b:handler", "spec.handler: 'b:handler' needs b.py, but the folder holds a.py"),
        ((), "b:handler", "spec.handler: 'b:handler' needs b.py, but the folder holds no Python file"),
    ],
)
def test_handler_is_missing(files: tuple[str, ...], handler: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_plan(files=files, handler=handler)
    (found,) = caught.value.problems
    assert found.startswith(f"functions/thermo/function.yaml: {problem}")


@pytest.mark.parametrize(
    "build",
    [
        {"commands": ["npm install -g typescript", " @nuclio.postCopy", "cd /opt/nuclio && tsc"]},
        {"directives": {"postCopy": [{"kind": "RUN", "value": "cd /opt/nuclio && tsc"}]}},
    ],
)
def test_handler_may_be_made_by_what_runs_in_the_build(build: dict[str, Any]) -> None:
    made = make_plan(files=("main.ts",), runtime="nodejs", handler="dist/main:handler", build=build)
    assert made.handler == "dist/main:handler"
    with pytest.raises(ConfigError, match=r"needs dist/main\.js"):
        make_plan(files=("main.ts",), runtime="nodejs", handler="dist/main:handler", build={"commands": ["tsc"]})


def test_inline_source_needs_no_file() -> None:
    assert make_plan(files=(), build={"functionSourceCode": "YQ=="}).handler == "main:handler"


@pytest.mark.parametrize(
    ("spec", "kinds"),
    [
        ({}, {"default-http": "http"}),
        ({"disableDefaultHTTPTrigger": True}, {}),
        ({"triggers": {"web": {"kind": "http"}}}, {"web": "http"}),
        ({"triggers": {"in": {"kind": "rabbit-mq"}}}, {"in": "rabbit-mq", "default-http": "http"}),
    ],
)
def test_default_http_trigger(spec: dict[str, Any], kinds: dict[str, str]) -> None:
    assert {name: trigger.kind for name, trigger in make_plan(**spec).triggers.items()} == kinds


def test_names() -> None:
    assert service_name("Thermo") == "function-Thermo"
    assert image_repository("Thermo") == "nuclio/processor-thermo"


def test_http_trigger_is_found() -> None:
    assert isinstance(make_plan().http, HttpTrigger)
    assert make_plan(disableDefaultHTTPTrigger=True).http is None


def test_trigger_on_the_stacks_broker_logs_in_with_its_account() -> None:
    document = trigger_document(kind="rabbit-mq", url="amqp://guest:guest@rabbitmq-mqtt:5672")
    assert (document["url"], document["secret"]) == ("amqp://rabbitmq-mqtt:5672", "broker.url")
    document = trigger_document(kind="mqtt", attributes={"subscriptions": [{"topic": "a"}]})
    assert (document["url"], document["secret"]) == ("mqtt://rabbitmq-mqtt:1883", "broker.url")


@pytest.mark.parametrize("url", ["amqp://ann:word@rabbitmq-mqtt", "amqp://guest:guest@broker.example"])
def test_other_accounts_are_kept(url: str) -> None:
    document = trigger_document(kind="rabbit-mq", url=url)
    assert document["url"] == url
    assert "secret" not in document


def test_triggers_own_account_wins() -> None:
    document = trigger_document(kind="rabbit-mq", username="ann", password="word")
    assert (document["url"], document["username"], document["password"]) == ("amqp://rabbitmq-mqtt:5672", "ann", "word")
    assert "secret" not in document


@pytest.mark.parametrize(
    "trigger", [{"kind": "http"}, {"kind": "cron", "attributes": {"interval": "10s"}}], ids=["http", "cron"]
)
def test_a_broker_of_a_trigger_that_has_none_is_not_told(trigger: dict[str, Any]) -> None:
    """The processor would ask for a secret that is not mounted."""
    assert trigger_document(**trigger, url="amqp://b:5672", secret="a.b") == trigger_document(**trigger)


def test_cron_trigger_keeps_all_that_it_says() -> None:
    attributes = {"schedule": "@hourly", "timezone": "Europe/Rome", "event": {"body": "b", "headers": {"n": 3}}}
    document = trigger_document(kind="cron", attributes=attributes)
    assert (document["kind"], document["numWorkers"]) == ("cron", 1)
    found = document["attributes"]
    assert (found["schedule"], found["timezone"], found["event"]["headers"]) == ("@hourly", "Europe/Rome", {"n": 3})


def test_what_the_processor_cannot_know_is_filled_in() -> None:
    document = trigger_document(kind="rabbitMq", maxWorkers=3, attributes={"exchangeName": "e", "topics": ["t"]})
    assert (document["kind"], document["name"], document["numWorkers"]) == ("rabbit-mq", "t", 3)
    attributes = document["attributes"]
    assert attributes["queueName"] == "nuclio-nuclio-thermo"
    assert attributes["reconnectInterval"] == "2s"
    # Absent, it means to try again and to keep what fails in the end; a default written out would mean to drop it.
    assert "onError" not in attributes
    mqtt = trigger_document(kind="mqtt", attributes={"subscriptions": [{"topic": "a"}]})
    assert mqtt["attributes"]["queueName"] == "nuclio-nuclio-thermo-t"
    assert mqtt["attributes"]["subscriptions"] == [{"topic": "a"}]


def test_metadata_of_the_processor() -> None:
    document = yaml.safe_load(processor_document(make_plan(description="Grüße")))
    assert document["metadata"] == {
        "name": "thermo",
        "namespace": "nuclio",
        "labels": {"nuclio.io/project-name": "default"},
        "annotations": {},
    }
    assert document["spec"]["description"] == "Grüße"
    assert "build" not in document["spec"]


def test_own_queues() -> None:
    triggers = {
        "named": {"kind": "rabbit-mq", "attributes": {"queueName": "q"}},
        "far": {"kind": "rabbit-mq", "url": "amqp://elsewhere", "attributes": {"queueName": "r"}},
        "mqtt": {"kind": "mqtt", "attributes": {"subscriptions": [{"topic": "a"}]}},
    }
    assert own_queues(make_plan(triggers=triggers)) == ("q", "nuclio-nuclio-thermo-mqtt")


def test_namespace_is_the_stacks() -> None:
    assert plan_function(make_function(), Settings(namespace="plant")).namespace == "plant"


def test_a_disabled_trigger_is_left_out() -> None:
    web = {"kind": "http", "disabled": True}
    night = {"kind": "cron", "disabled": False, "attributes": {"interval": "1h"}}
    assert list(make_plan(triggers={"web": web, "night": night}).triggers) == ["night"]


def test_dead_letters_are_counted_by_queue() -> None:
    plan = make_plan(
        triggers={
            "sensors": {"kind": "mqtt", "attributes": {"subscriptions": [{"topic": "a"}], "queueName": "q"}},
            "taken": {"kind": "rabbit-mq", "attributes": {"queueName": "iot/logs"}},
            "again": {"kind": "rabbit-mq", "attributes": {"queueName": "q"}},
        }
    )
    assert count_dead_letters(plan, {"q": 7, "q.dead": 2, "iot/logs.dead": 1, "other.dead": 9}) == 3
    assert count_dead_letters(plan, {}) == 0


def test_queues_are_bound_or_taken_as_they_are() -> None:
    plan = make_plan(
        triggers={
            "sensors": {"kind": "mqtt", "attributes": {"subscriptions": [{"topic": "plant/+/heat"}, {"topic": "#"}]}},
            "orders": {"kind": "rabbit-mq", "attributes": {"exchangeName": "e", "queueName": "q", "topics": ["a.*"]}},
            "taken": {"kind": "rabbit-mq", "attributes": {"queueName": "iot/logs"}},
            "far": {"kind": "rabbit-mq", "url": "amqp://far.example", "attributes": {"queueName": "theirs"}},
        }
    )
    assert bound_queues(plan) == (
        Bound("amq.topic", True, "nuclio-nuclio-thermo-sensors", True, ("plant.*.heat", "#"), "quorum"),
        Bound("e", False, "q", True, ("a.*",), "quorum"),
    )
    assert taken_queues(plan) == ("iot/logs",)


@pytest.mark.parametrize(
    ("trigger", "found"),
    [
        ({"kind": "rabbit-mq"}, "quorum"),
        ({"kind": "rabbit-mq", "attributes": {"durableQueue": False}}, ""),
        ({"kind": "rabbit-mq", "attributes": {"queueType": "classic"}}, "classic"),
        ({"kind": "rabbit-mq", "url": "amqp://far.example"}, ""),
        ({"kind": "rabbit-mq", "url": "amqp://far.example", "attributes": {"queueType": "quorum"}}, "quorum"),
        ({"kind": "mqtt", "attributes": {"subscriptions": [{"topic": "a"}]}}, "quorum"),
    ],
)
def test_type_of_a_queue(trigger: dict[str, Any], found: str) -> None:
    assert trigger_document(**trigger)["attributes"]["queueType"] == found
