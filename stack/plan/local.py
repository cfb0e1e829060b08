"""A function as it runs on this machine, without Docker: what its processor is told."""

import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from stack.config.environment import SecretContent
from stack.plan.broker import BROKER_SECRET, MQTT_PORT, MQTT_SECRET
from stack.plan.function import FunctionPlan, processor_document
from stack.plan.secret import FOLDER, Vault, find_mounts
from stack.plan.template import write_flow
from stack.plan.trigger.registry import find_kind


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
    kinds = {name: find_kind(trigger) for name, trigger in plan.triggers.items()}
    needy = [name for name, trigger in plan.triggers.items() if kinds[name].is_on_stack(trigger)]
    dropped = () if broker_url else tuple(needy)
    spec["triggers"] = {
        name: kinds[name].localise(plan.triggers[name], settings, port=port, broker_url=broker_url)
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
