"""Queues that two functions, or two triggers of one, would use against each other's will."""

from dataclasses import replace
from typing import Any

import pytest

from stack.config.function import FunctionConfig
from stack.errors import AccessError, ConfigError
from stack.plan.function_check import Claimant, check_queues
from tests.unit.plan.samples import make_plan


def rabbit(queue: str = "", exchange: str = "", **given: Any) -> dict[str, Any]:
    return {"kind": "rabbit-mq", "attributes": {"queueName": queue, "exchangeName": exchange}, **given}


def mqtt(queue: str = "") -> dict[str, Any]:
    return {"kind": "mqtt", "attributes": {"queueName": queue, "subscriptions": [{"topic": "a"}]}}


def claim(
    name: str, triggers: dict[str, Any], *, own: dict[str, Any] | None = None, is_fetched: bool = False
) -> Claimant:
    plan = make_plan(name, triggers=triggers)
    function = replace(plan.function, origin="https://code.example/" if is_fetched else "")
    config = FunctionConfig.model_validate({"spec": {"triggers": own or {}}})
    return Claimant(replace(plan, function=function), config)


OTHER = claim("other", {"t": rabbit("a")})


@pytest.mark.parametrize("queue", ["a.dead", "a.retry.1000ms", "a.retry."])
def test_triggers_of_one_function_that_collide_are_refused(queue: str) -> None:
    with pytest.raises(ConfigError) as raised:
        make_plan(triggers={"one": rabbit("a"), "two": mqtt(queue)})
    assert str(raised.value) == (
        f"functions/thermo/function.yaml: spec.triggers.two.attributes.queueName: '{queue}' holds the failed messages "
        "of 'a', the queue of the trigger 'one'; choose another"
    )


def test_names_that_triggers_give_by_themselves_collide_too() -> None:
    with pytest.raises(ConfigError, match=r"spec\.triggers\.a\.dead\.attributes\.queueName: 'nuclio-nuclio-thermo-a"):
        make_plan(triggers={"a": mqtt(), "a.dead": mqtt()})


def test_queues_of_other_brokers_collide_with_none() -> None:
    make_plan(triggers={"one": rabbit("a"), "two": rabbit("a.dead", url="amqp://far.example")})
    make_plan(triggers={"one": rabbit("a"), "two": rabbit("a"), "three": rabbit("a.deadly")})


@pytest.mark.parametrize(("mine", "theirs"), [("a.dead", "a"), ("a", "a.retry.5000ms")])
def test_functions_whose_queues_collide_are_refused(mine: str, theirs: str) -> None:
    with pytest.raises(ConfigError, match=r"attributes\.queueName: 'a\.\S+' holds the failed messages of 'a', a queue"):
        check_queues(claim("mine", {"t": rabbit(mine)}), [claim("theirs", {"t": rabbit(theirs)})])


def test_functions_may_share_a_queue() -> None:
    check_queues(claim("mine", {"t": rabbit("a")}), [OTHER])


@pytest.mark.parametrize("trigger", [rabbit("a"), rabbit("b", "a"), rabbit("b", "a.dead"), mqtt("a")])
def test_fetched_code_takes_no_messages_of_another_function(trigger: dict[str, Any]) -> None:
    fetched = claim("fetched", {"t": trigger}, is_fetched=True)
    for claimant, others in ((fetched, OTHER), (OTHER, fetched)):
        with pytest.raises(AccessError) as raised:
            check_queues(claimant, [others])
        assert "spec.triggers.t.attributes." in str(raised.value)
        assert "is a queue of the function other, whose messages fetched code may not take" in str(raised.value)
        assert "write the same into functions/fetched/function.yaml" in str(raised.value)


def test_fetched_code_has_what_its_own_function_yaml_names_and_what_is_no_ones() -> None:
    check_queues(claim("f", {"t": rabbit("a")}, own={"t": rabbit("a")}, is_fetched=True), [OTHER])
    check_queues(claim("f", {"t": rabbit("b", "iot/sensors"), "u": rabbit()}, is_fetched=True), [OTHER])
    with pytest.raises(AccessError):
        check_queues(claim("f", {"t": rabbit("a")}, own={"u": rabbit("a")}, is_fetched=True), [OTHER])
