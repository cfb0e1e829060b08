"""A function as it runs on this machine, without Docker: what its processor is told."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from stack.config.environment import SecretContent
from stack.config.trigger import HttpTrigger, MqttTrigger, RabbitTrigger, Trigger
from stack.plan.broker import MQTT_PORT
from stack.plan.function import BROKER_SECRET, MQTT_SECRET, FunctionPlan, is_stack_broker, processor_document
from stack.plan.secret import FOLDER, Vault, find_mounts
from stack.plan.template import write_flow


@dataclass(frozen=True)
class LocalPlan:
    """What a processor on this machine is given; `dropped` are the triggers that need a broker which is not there."""

    document: str
    secrets: dict[str, SecretContent]
    triggers: tuple[str, ...]
    dropped: tuple[str, ...]
    has_http: bool


def plan_local(
    plan: FunctionPlan, vault: Vault, *, port: int, broker_url: str, mqtt_port: int = MQTT_PORT
) -> LocalPlan:
    """Plan a function for this machine, with the stack's broker at a URL; without one its triggers are left out.

    Secrets that the function wants as files elsewhere than among the processor's are left out too.
    """
    document = json.loads(processor_document(plan))
    spec = document["spec"]
    dropped = tuple(name for name, trigger in plan.triggers.items() if not broker_url and _needs_broker(trigger))
    spec["triggers"] = {
        name: _localise(plan.triggers[name], settings, port=port, broker_url=broker_url)
        for name, settings in spec["triggers"].items()
        if name not in dropped
    }
    addresses = {BROKER_SECRET: broker_url, MQTT_SECRET: _speak_mqtt(broker_url, mqtt_port)}
    own = {ref: SecretContent(address.encode()) for ref, address in addresses.items()}
    contents = {**vault.contents_for(plan.name), **own}
    return LocalPlan(
        document=write_flow(document, indent=2),
        secrets={
            str(mount.secret): contents[mount.secret]
            for mount in find_mounts(plan, vault)
            if mount.target == f"{FOLDER}/{mount.secret}"
        },
        triggers=tuple(spec["triggers"]),
        dropped=dropped,
        has_http=plan.http is not None,
    )


def _speak_mqtt(broker_url: str, port: int) -> str:
    """Return where a broker speaks MQTT, with the account of its AMQP URL."""
    if not broker_url:
        return ""
    account, at, address = urlsplit(broker_url).netloc.rpartition("@")
    host = address if address.endswith("]") else address.rpartition(":")[0] or address
    return f"mqtt://{account}{at}{host}:{port}/"


def _needs_broker(trigger: Trigger) -> bool:
    return isinstance(trigger, RabbitTrigger | MqttTrigger) and is_stack_broker(trigger)


def _localise(trigger: Trigger, settings: dict[str, Any], *, port: int, broker_url: str) -> dict[str, Any]:
    if isinstance(trigger, HttpTrigger):
        return {**settings, "url": f"127.0.0.1:{port}"}
    if not _needs_broker(trigger) or "secret" in settings:
        return settings
    # An account of the trigger's own, at the broker's address on this machine.
    own, there = urlsplit(settings["url"]), urlsplit(broker_url)
    account = own.netloc.rpartition("@")[0]
    address = there.netloc.rpartition("@")[2]
    return {**settings, "url": there._replace(netloc=f"{account}@{address}" if account else address).geturl()}
