"""What KEDA is told."""

from typing import Any

from stack.plan.kubernetes.loss import find_losses
from stack.plan.kubernetes.scaling import find_counted, plan_scaling
from tests.unit.plan.kubernetes.samples import make_workload

QUEUE: dict[str, Any] = {"orders": {"kind": "rabbit-mq", "attributes": {"queueName": "orders"}}}


def test_without_bounds_there_is_nothing_to_decide() -> None:
    assert plan_scaling(make_workload(), "plant", has_route=True) is None
    assert plan_scaling(make_workload(replicas=3), "plant", has_route=True) is None


def test_messages_and_requests_count_together() -> None:
    workload = make_workload(triggers=QUEUE, minReplicas=0, maxReplicas=4)
    found = plan_scaling(workload, "plant", has_route=True)
    assert found
    assert (found.least, found.most) == (0, 4)
    assert [one["type"] for one in found.triggers] == ["rabbitmq", "external-push"]
    # In a cluster there may be a function of this name in more than one namespace.
    assert found.route == "plant/thermo"
    metadata = found.triggers[0]["metadata"]
    assert metadata["host"] == "http://rabbitmq-mqtt.plant.svc:15672/"
    assert (metadata["protocol"], metadata["mode"], metadata["value"]) == ("http", "QueueLength", "20")


def test_requests_do_not_count_where_no_route_leads_to_the_add_on() -> None:
    workload = make_workload(triggers=QUEUE, minReplicas=0, maxReplicas=4)
    found = plan_scaling(workload, "plant", has_route=False)
    assert found
    assert [one["type"] for one in found.triggers] == ["rabbitmq"]
    assert plan_scaling(make_workload(minReplicas=0, maxReplicas=4), "plant", has_route=False) is None


def test_what_failed_of_another_broker_is_no_work_to_do() -> None:
    far = {"kind": "mqtt", "url": "mqtt://far.example", "attributes": {"subscriptions": [{"topic": "a"}]}}
    workload = make_workload(triggers={**QUEUE, "far": far}, minReplicas=1, maxReplicas=4)
    assert find_counted(workload) == ("orders",)


def test_a_queue_that_keda_cannot_find_is_told() -> None:
    trigger = {"kind": "rabbit-mq", "attributes": {"queueName": "two words"}}
    workload = make_workload(triggers={"a": trigger}, minReplicas=1, maxReplicas=4)
    told = find_losses(workload, plan_scaling(workload, "plant", has_route=True))
    assert any("'two words': KEDA finds none" in line for line in told)


def test_a_rate_is_looked_at_where_it_is_asked_for() -> None:
    metric = {"metricName": "message-rate", "kind": "Pods", "threshold": 50}
    workload = make_workload(triggers=QUEUE, maxReplicas=4, minReplicas=1, autoScaleMetrics=[metric])
    found = plan_scaling(workload, "plant", has_route=False)
    assert found
    assert [one["metadata"]["mode"] for one in found.triggers] == ["QueueLength", "MessageRate"]
