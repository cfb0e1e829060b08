"""How many pods a function has, as KEDA is told: by its queues, and by its requests where the HTTP add-on sees them."""

import math
from dataclasses import dataclass
from typing import Any

from stack.plan.broker import MANAGEMENT_PORT
from stack.plan.function import find_queues
from stack.plan.kubernetes.broker import CLUSTER
from stack.plan.kubernetes.workload import Workload
from stack.plan.trigger.registry import find_kind

# Where KEDA's own charts put the add-on.
KEDA_NAMESPACE = "keda"
INTERCEPTOR, INTERCEPTOR_PORT = "keda-add-ons-http-interceptor-proxy", 8080
_SCALER = f"keda-add-ons-http-external-scaler.{KEDA_NAMESPACE}:9090"
# The header by which the add-on tells apart the functions of all namespaces.
ROUTE_HEADER = "X-Tidegate-Route"
# Seconds for which a request waits for the first pod, as at the gateway of Compose; and longer than any event may take.
WAKE_SECONDS, _LONGEST_SECONDS = 120, 24 * 3600
# Seconds between two looks at the queues.
POLLING_SECONDS = 5
# The longest for which an autoscaler of Kubernetes looks back.
_LONGEST_WINDOW = 3600


@dataclass(frozen=True)
class Scaling:
    """A function's ScaledObject, and its HTTPScaledObject where requests count."""

    least: int
    most: int
    cool_down: int
    inactivity: int
    requests: int
    route: str
    """What ROUTE_HEADER says of requests to it."""
    answer_seconds: int
    """How long an answer may take to begin: as long as an event."""
    has_http: bool
    has_queues: bool
    triggers: tuple[dict[str, Any], ...]


def plan_scaling(workload: Workload, namespace: str, *, has_route: bool) -> Scaling | None:
    """Return what KEDA is told of a function; nothing where its user decides, or nothing that KEDA sees comes to it.

    `has_route` says that requests from outside can be led to the add-on.
    """
    limits, targets = workload.service.limits, workload.targets
    has_http = has_route and workload.is_routed
    queues = _list_queues(workload, namespace)
    if not limits.is_automatic or not (queues or has_http):
        return None
    http = {"scalerAddress": _SCALER, "httpScaledObject": workload.name}
    pushed = [{"type": "external-push", "metadata": http}] if has_http else []
    return Scaling(
        least=limits.least,
        most=limits.most,
        cool_down=min(_LONGEST_WINDOW, math.ceil(targets.cool_down)),
        inactivity=math.ceil(targets.inactivity),
        requests=max(1, round(targets.requests)),
        route=f"{namespace}/{workload.service.plan.name}",
        answer_seconds=math.ceil(workload.event_seconds) or _LONGEST_SECONDS,
        has_http=has_http,
        has_queues=bool(queues),
        triggers=(*queues, *pushed),
    )


def find_counted(workload: Workload) -> tuple[str, ...]:
    """Return the queues whose messages count: there is no other that only holds what failed of another broker's."""
    plan = workload.service.plan
    is_here = {name: find_kind(one).is_on_stack(one) for name, one in plan.triggers.items()}
    return tuple(dict.fromkeys(bound.queue for name, bound in find_queues(plan).items() if is_here[name]))


def _list_queues(workload: Workload, namespace: str) -> list[dict[str, Any]]:
    targets = workload.targets
    modes = {"QueueLength": targets.queue_length, "MessageRate": targets.message_rate}
    host = f"http://{CLUSTER}.{namespace}.svc:{MANAGEMENT_PORT}/"
    return [
        {
            "type": "rabbitmq",
            # Over AMQP it would see no message that a function has taken and not finished.
            "metadata": {
                "protocol": "http",
                "host": host,
                "vhostName": "/",
                "queueName": queue,
                "mode": mode,
                "value": f"{target:g}",
            },
            "authenticationRef": {"name": "tidegate-keda"},
        }
        for queue in find_counted(workload)
        for mode, target in modes.items()
        if target
    ]
