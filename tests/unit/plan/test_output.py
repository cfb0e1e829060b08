"""Outputs as they are planned: what the processor is told, what is declared, and what a function's account may do."""

import json
import re
from dataclasses import replace
from itertools import product

import pytest

from stack.config.settings import Settings
from stack.errors import AccessError
from stack.plan.account import describe_accounts
from stack.plan.broker import BROKER_SECRET, topology
from stack.plan.function import FunctionPlan, declared_on_broker, processor_document
from stack.plan.function_check import Claimant, check_queues, find_disagreements, find_unknown_functions
from stack.plan.function_export import plan_export
from stack.plan.secret import find_wants
from tests.unit.plan.samples import GUEST_ACCOUNTS, make_plan

ALERTS = {"kind": "rabbit-mq", "exchange": "iot/alerts", "routingKey": "high"}
LOGS = {"kind": "rabbitmq", "queue": "iot/logs"}


def consume(queue: str, **attributes: object) -> FunctionPlan:
    given = {"queueName": queue, "exchangeName": "iot/alerts", "topics": ["#"], **attributes}
    return make_plan("consumer", triggers={"in": {"kind": "rabbit-mq", "attributes": given}})


def test_the_processor_is_told_how_a_trigger_would_declare_it() -> None:
    plan = make_plan(outputs={"alerts": ALERTS, "logs": LOGS}, onSuccess="alerts")
    spec = json.loads(processor_document(plan))["spec"]
    assert spec["outputs"] == {
        "alerts": {**ALERTS, "durable": False, "queueType": ""},
        "logs": {"kind": "rabbit-mq", "queue": "iot/logs", "durable": True, "queueType": "quorum"},
    }
    assert spec["onSuccess"] == "alerts"


def test_exchanges_and_queues_are_declared() -> None:
    declared = json.loads(topology(declared_on_broker(make_plan(outputs={"alerts": ALERTS, "logs": LOGS}))))
    assert [(one["name"], one["durable"]) for one in declared["exchanges"]] == [("iot/alerts", False)]
    assert [(one["name"], one["arguments"]) for one in declared["queues"]] == [("iot/logs", {"x-queue-type": "quorum"})]
    assert declared["bindings"] == []


def test_only_outputs_at_the_broker_bring_its_account() -> None:
    wants = {str(want) for want in find_wants(make_plan(outputs={"alerts": ALERTS}))}
    assert str(BROKER_SECRET) in wants
    hook = {"kind": "http", "url": "https://hooks.example", "secret": "hook.token"}
    plan = make_plan(outputs={"hook": hook, "other": {"kind": "function", "name": "scorer"}})
    assert not plan.uses_broker_account
    assert "hook.token" in {str(want) for want in find_wants(plan)}


def test_an_output_to_anothers_queue_brings_no_right_to_that_queue() -> None:
    plans = [
        consume("in"),
        make_plan("sender", outputs={"out": {"kind": "rabbit-mq", "queue": "in"}}),
        make_plan("third"),
    ]
    permissions = json.loads(describe_accounts(GUEST_ACCOUNTS, plans, settings=Settings()))["permissions"]
    found = {one["user"]: one for one in permissions}

    for user, action in product(("function-sender", "function-third"), ("configure", "write", "read")):
        assert not re.search(found[user][action], "in")
    assert re.search(found["function-sender"]["write"], "amq.default"), "by which it sends"


def test_fetched_code_puts_nothing_into_anothers_queue_by_itself() -> None:
    sender = make_plan("sender", outputs={"out": {"kind": "rabbit-mq", "queue": "in"}})
    own = sender.function.config
    fetched = replace(sender, function=replace(sender.function, origin="https://example.com/f.zip"))
    other = Claimant(consume("in"), consume("in").function.config)
    check_queues(Claimant(fetched, own), [other])
    with pytest.raises(AccessError, match=r"spec\.outputs\.out\.queue: 'in' is a queue of the function consumer"):
        check_queues(Claimant(fetched, make_plan("sender").function.config), [other])


def test_those_who_declare_one_thing_otherwise_are_told() -> None:
    plan = make_plan(outputs={"alerts": ALERTS, "logs": LOGS})
    assert not list(find_disagreements(plan, [consume("iot/logs")]))
    lines = list(find_disagreements(plan, [consume("iot/logs", durableExchange=True, queueType="classic")]))
    assert "spec.outputs.alerts: the exchange 'iot/alerts' is not durable here, and not so in the function" in lines[0]
    assert "the queue 'iot/logs' is durable quorum here, and durable classic in the function consumer" in lines[1]


def test_a_function_that_is_called_and_not_there_is_told() -> None:
    plan = make_plan(
        "f", outputs={"a": {"kind": "function", "name": "scorrer"}, "b": {"kind": "function", "name": "f"}}
    )
    (line,) = find_unknown_functions(plan, ["scorer"])
    assert "spec.outputs.a.name: no function 'scorrer' is deployed; did you mean 'scorer'?" in line
    assert "deploy it, or what is sent there fails" in next(find_unknown_functions(plan, []))


def test_an_export_says_what_nuclio_lacks() -> None:
    exported = plan_export(make_plan(outputs={"alerts": ALERTS}), {})
    assert any("spec.outputs (alerts): the original Nuclio has none" in note for note in exported.notes)
