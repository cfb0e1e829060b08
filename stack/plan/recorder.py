"""The recorder: a function of Tidegate's own, which the stack has where stack.yaml keeps readings."""

import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from stack.config.data import Data, FromJson, KeepRule
from stack.config.document import parse_model
from stack.config.function import FunctionConfig
from stack.config.settings import Settings
from stack.config.source import Function
from stack.contract import FEEDBACK_FOLDER, MQTT_EXCHANGE, RULES_VARIABLE, to_key, to_topic
from stack.plan.function import FunctionPlan, plan_function
from stack.plan.secret import FOLDER
from stack.plan.store import URL_SECRET
from stack.processor.recorder.pattern import HEADER, compile_filter, fill_label

NAME = "tidegate-recorder"
# What the names of its queues begin with.
RECORDER_QUEUES = f"{NAME}-"
_HANDLER = "stack.processor.recorder.handler:handler"
# Messages that become one request, and how long the first of them waits for more.
_BATCH, _WAIT = 1000, "200ms"
# Messages that the worker holds: while one batch is on its way to the store, the broker delivers the next.
_PREFETCH = 4 * _BATCH
# Deaths of the worker that a message may have been there for: it is rarely the one to blame among so many.
_RETRIES = 20
TOPIC_LABEL = "topic"


def plan_recorder(settings: Settings, image: str, *, is_urgent: bool = False) -> FunctionPlan:
    """Return the recorder as a function that runs on the processor's own image."""
    document = {
        "metadata": {"name": NAME},
        "spec": {
            "description": "Keeps readings, as data.keep of stack.yaml says.",
            "handler": _HANDLER,
            "image": image,
            "build": {"codeEntryType": "image"},
            "disableDefaultHTTPTrigger": True,
            # What it waits for is the store.
            "eventTimeout": "0s",
            "env": [{"name": RULES_VARIABLE, "value": write_rules(settings.data, is_urgent=is_urgent)}],
            # What the store has taken and not written yet, for a recorder that is killed together with it.
            "volumes": [mount_store_url(), mount_folder(NAME)],
            "triggers": {name: _describe_trigger(name, rules) for name, rules in _group(settings.data).items()},
        },
    }
    config = parse_model(FunctionConfig, document, name="stack.yaml: data")
    return plan_function(Function(NAME, f"functions/{NAME}", config, ()), settings)


def write_rules(data: Data, *, is_urgent: bool = False) -> str:
    """Return the rules as the recorder reads them; urgent, the store is to find at once what it takes."""
    rules = [_describe_rule(trigger, rule) for trigger, rules in _group(data).items() for rule in rules]
    document = {"retention": data.retention_seconds, "rules": rules, **({"urgent": True} if is_urgent else {})}
    return json.dumps(document, separators=(",", ":"))


def name_series(
    data: Data, exchange: str, *, key: str, headers: Mapping[str, str] = MappingProxyType({})
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each metric that is kept of what is sent to an exchange with a key, and those labels that are known.

    They are what the key says, and the headers.
    """
    for rule in data.keep:
        separator, text = ("/", to_topic(key)) if rule.topic else (".", key)
        is_meant = exchange == (rule.exchange or MQTT_EXCHANGE)
        if is_meant and compile_filter(rule.topic or rule.key, separator).fullmatch(text + separator):
            described = _describe_rule("", rule)
            levels = (text, *text.split(separator))
            told = {HEADER + name: value for name, value in headers.items()}
            texts = {name: source.get("text", HEADER) for name, source in described["labels"].items()}
            labels = {
                name: told[one] if one in told else fill_label(one, levels)
                for name, one in texts.items()
                if one in told or not one.startswith(HEADER)
            }
            yield from ((metric, labels) for metric in described["values"])


def _group(data: Data) -> dict[str, list[KeepRule]]:
    """Return the rules of each exchange, by the name of its trigger."""
    exchanges = list(dict.fromkeys(rule.exchange for rule in data.keep))
    return {_name(exchange): [rule for rule in data.keep if rule.exchange == exchange] for exchange in exchanges}


def _name(exchange: str) -> str:
    return re.sub(r"[^\w.-]", "-", f"exchange-{exchange}") if exchange else "topics"


def mount_store_url() -> dict[str, Any]:
    """Return the volume with the secret of where the store is, and who asks."""
    secret = {"secretName": URL_SECRET.name, "items": [{"key": URL_SECRET.key, "path": str(URL_SECRET)}]}
    return {"volume": {"name": "store", "secret": secret}, "volumeMount": {"name": "store", "mountPath": FOLDER}}


def mount_folder(claim: str) -> dict[str, Any]:
    """Return the volume in which a function of the stack's own keeps files."""
    volume = {"name": "kept", "persistentVolumeClaim": {"claimName": claim}}
    return {"volume": volume, "volumeMount": {"name": "kept", "mountPath": FEEDBACK_FOLDER}}


def _describe_trigger(name: str, rules: list[KeepRule]) -> dict[str, Any]:
    keys = [to_key(rule.topic) if rule.topic else rule.key for rule in rules]
    return {
        "kind": "rabbit-mq",
        "attributes": {
            "exchangeName": rules[0].exchange or MQTT_EXCHANGE,
            "durableExchange": rules[0].durable or not rules[0].exchange,
            "topics": list(dict.fromkeys(keys)),
            "queueName": f"{RECORDER_QUEUES}{name}",
            "maxRetries": _RETRIES,
            "prefetchCount": _PREFETCH,
        },
        "batch": {"mode": "enable", "batchSize": _BATCH, "timeout": _WAIT},
    }


def _describe_rule(trigger: str, rule: KeepRule) -> dict[str, Any]:
    pointer = rule.value.pointer if isinstance(rule.value, FromJson) else None
    has_wildcard = any(level in ("+", "*", "#") for level in (rule.topic or rule.key).replace(".", "/").split("/"))
    labels = {name: _describe_label(source) for name, source in rule.labels.items()}
    if not labels and has_wildcard and rule.topic:
        labels = {TOPIC_LABEL: {"text": "{0}"}}
    return {
        "trigger": trigger,
        "exchange": rule.exchange or MQTT_EXCHANGE,
        "filter": rule.topic or rule.key,
        "values": rule.values or {rule.name: pointer},
        "labels": labels,
        "time": rule.time,
        "takes_all": rule.takes_all,
    }


def _describe_label(source: str | FromJson) -> dict[str, str]:
    return {"json": source.pointer} if isinstance(source, FromJson) else {"text": source}
