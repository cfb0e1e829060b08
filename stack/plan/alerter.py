"""The alerter: a function of Tidegate's own, which the stack has where people are told of alerts.

It makes alerts of messages to iot/alerts. Those stay in their queue for its consumers: the alerter gets copies of what
outputs send there, and what is published to the topic of that name.
"""

import json
from typing import Any

from stack.config.document import parse_model
from stack.config.function import FunctionConfig
from stack.config.settings import Settings
from stack.config.source import Function
from stack.contract import (
    ALERTER,
    ALERTMANAGER_URL,
    ALERTS,
    ESCALATION_VARIABLE,
    MQTT_EXCHANGE,
    parse_duration,
    to_key,
)
from stack.plan.function import FunctionPlan, plan_function
from stack.plan.notify import PORT, SERVICE
from stack.plan.recorder import mount_folder, mount_store_url

_HANDLER = "stack.processor.alerter.handler:handler"
# Messages that become one write to the disk, and how long the first of them waits for more.
_BATCH, _WAIT = 500, "100ms"
# Attempts while there is no room on the disk.
_RETRIES = 20


def plan_alerter(settings: Settings, image: str) -> FunctionPlan:
    """Return the alerter as a function that runs on the processor's own image."""
    document = {
        "metadata": {"name": ALERTER},
        "spec": {
            "description": f"Tells people of alerts that functions send to {ALERTS}.",
            "handler": _HANDLER,
            "image": image,
            "build": {"codeEntryType": "image"},
            "disableDefaultHTTPTrigger": True,
            "env": _list_environment(settings),
            "volumes": [mount_folder(ALERTER), *([mount_store_url()] if settings.has_store else [])],
            "triggers": {"messages": _describe_trigger()},
        },
    }
    config = parse_model(FunctionConfig, document, name="stack.yaml: notify")
    return plan_function(Function(ALERTER, f"functions/{ALERTER}", config, ()), settings)


def _list_environment(settings: Settings) -> list[dict[str, str]]:
    found = [{"name": ALERTMANAGER_URL, "value": f"http://{SERVICE}:{PORT}"}]
    if escalate := settings.notify.escalate:
        document = {"after": parse_duration(escalate.after), "severity": escalate.severity}
        found.append({"name": ESCALATION_VARIABLE, "value": json.dumps(document)})
    return found


def _describe_trigger() -> dict[str, Any]:
    return {
        "kind": "rabbit-mq",
        # What fires is known to one process.
        "numWorkers": 1,
        "attributes": {
            "exchangeName": MQTT_EXCHANGE,
            "durableExchange": True,
            "topics": [to_key(ALERTS)],
            "queueName": ALERTER,
            "maxRetries": _RETRIES,
        },
        "batch": {"mode": "enable", "batchSize": _BATCH, "timeout": _WAIT},
    }
