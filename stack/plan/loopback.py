"""Addresses of brokers that mean another machine in a container than to whoever wrote them."""

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from stack.config.function import Spec
from stack.config.trigger import MQTT, MqttTrigger, RabbitTrigger
from stack.plan.broker import AMQP_PORT, MQTT_PORT, SERVICE


def find_loopback(spec: Spec) -> Iterator[str]:
    """Yield a line for each trigger whose broker would have to run in the function's own container."""
    for name, trigger in spec.triggers.items():
        if not isinstance(trigger, RabbitTrigger | MqttTrigger) or trigger.disabled or trigger.secret:
            continue
        url = trigger.url
        host = urlsplit(url if "://" in url else f"//{url}").hostname or ""
        if _is_loopback(host):
            own = f"mqtt://{SERVICE}:{MQTT_PORT}" if trigger.kind == MQTT else f"amqp://{SERVICE}:{AMQP_PORT}"
            yield (
                f"spec.triggers.{name}.url: {host} is the function's own container, where no broker runs. The stack's "
                f"broker is {own}, or no url at all; one that runs on this machine besides is reached by the machine's "
                "address in its network, if it listens there"
            )


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
