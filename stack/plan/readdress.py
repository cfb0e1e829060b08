"""The brokers that a function names, which on another machine are others."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stack.config.trigger import MQTT
from stack.config.url import is_own_broker
from stack.plan.broker import AMQP_PORT, MQTT_PORT, SERVICE
from stack.plan.function import BROKER_SECRET
from stack.plan.parcel import File

_URLS = {
    MQTT: f"mqtt://{SERVICE}:{MQTT_PORT}",
    **dict.fromkeys(("rabbit-mq", "rabbitMq", "rabbitmq"), f"amqp://{SERVICE}:{AMQP_PORT}"),
}
_ADDRESS = re.compile(r"(?:amqp|mqtt)s?://[^\s'\"]+")
_ACCOUNT = re.compile(r"//[^@/\s]+@")
_ADVICE = "change it if it is another one here"


def point_at_broker(spec: dict[str, Any]) -> Iterator[str]:
    """Let every trigger, and every variable with an AMQP address, name the stack's own broker; yield what changed."""
    for name, trigger in spec.get("triggers", {}).items():
        before, url = trigger.get("url", ""), _URLS.get(trigger["kind"], "")
        if url and not is_own_broker(before):
            trigger["url"] = url
            dropped = [key for key in ("username", "password") if trigger.pop(key, None)]
            without = f", without {' and '.join(dropped)}" if dropped else ""
            yield f"spec.triggers.{name}.url: {_hide(before)} is now {url}{without}"
    for number, variable in enumerate(spec.get("env", [])):
        before = variable.get("value", "")
        if before.startswith(("amqp://", "amqps://")):
            del variable["value"]
            secret, key = BROKER_SECRET
            variable["valueFrom"] = {"secretKeyRef": {"name": secret, "key": key}}
            yield f"spec.env.{number}: {variable['name']}, {_hide(before)}, is now the secret {secret}.{key}"


def name_brokers(spec: dict[str, Any], files: Mapping[str, File]) -> Iterator[str]:
    """Yield where a function still names a broker elsewhere: in a trigger, in its environment, in its source."""
    for name, trigger in spec.get("triggers", {}).items():
        url = trigger.get("url", "")
        if trigger["kind"] in _URLS and not is_own_broker(url):
            yield f"spec.triggers.{name}.url: names the broker {_hide(url)}; --broker points it at this stack's own"
    for number, variable in enumerate(spec.get("env", [])):
        if match := _ADDRESS.match(variable.get("value", "")):
            yield f"spec.env.{number}: {variable['name']} names the broker {_hide(match[0])}; {_ADVICE}"
    for path, file in files.items():
        lines = file.content.decode(errors="replace").splitlines() if path.endswith(".py") else []
        for number, line in enumerate(lines, start=1):
            if match := _ADDRESS.search(line):
                yield f"{path}, line {number}: names the broker {_hide(match[0])}; {_ADVICE}"


def _hide(url: str) -> str:
    """Return an address without its account."""
    return _ACCOUNT.sub("//…@", url)
