"""What is left at the broker by older versions, and what is not."""

from typing import Any

import pytest

from stack.contract import to_key
from stack.plan.drift import Binding, find_bindings, stale_bindings, stale_queues
from stack.plan.function import FunctionPlan
from tests.unit.plan.samples import make_plan


def mqtt(*topics: str, name: str = "thermo", **more: Any) -> FunctionPlan:
    attributes = {"subscriptions": [{"topic": topic} for topic in topics], **more.pop("attributes", {})}
    return make_plan(name, triggers={"t": {"kind": "mqtt", "attributes": attributes, **more}})


def rabbit(*topics: str, queue: str = "q", name: str = "thermo", **more: Any) -> FunctionPlan:
    attributes = {"exchangeName": "e", "queueName": queue, "topics": list(topics)}
    return make_plan(name, triggers={"t": {"kind": "rabbit-mq", "attributes": attributes, **more}})


@pytest.mark.parametrize("topic", ["a/+/b", "#", "a/b.c", "$SYS/+"])
def test_a_key_is_spelt_as_by_the_processor(topic: str) -> None:
    assert find_bindings(mqtt(topic)) == {Binding("nuclio-nuclio-thermo-t", "amq.topic", to_key(topic))}


@pytest.mark.parametrize(
    "plan", [mqtt("a", url="mqtt://far.example"), rabbit("a", url="amqp://far.example"), rabbit("a", disabled=True)]
)
def test_nothing_is_bound_elsewhere(plan: FunctionPlan) -> None:
    assert not find_bindings(plan)


def test_only_what_no_one_binds_any_more_is_stale() -> None:
    older = [rabbit("a", "b", "c"), rabbit("d")]
    deployed = [rabbit("b"), rabbit("c", name="other")]
    assert stale_bindings(older, deployed) == {Binding("q", "e", "a"), Binding("q", "e", "d")}
    assert not stale_queues(older, deployed)


def test_a_queue_is_stale_when_no_one_consumes_it() -> None:
    older = [rabbit("a", queue="old"), rabbit("a", queue="shared")]
    deployed = [rabbit("a", queue="new"), rabbit("a", queue="shared", name="other")]
    assert stale_queues(older, deployed) == {"old"}
    assert stale_bindings(older, deployed) == {Binding("old", "e", "a")}
