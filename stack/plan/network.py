"""The two networks of a stack: functions are on one, Tidegate's own programs on the other, both with their servers."""

from stack.plan.broker import SERVICE as BROKER
from stack.plan.gateway import SERVICE as GATEWAY

# Compose's own network, for functions, and the one of the dashboard and the scaler, which functions cannot reach.
FUNCTIONS, CONTROL = "default", "control"
_CONTROLLING = ("dashboard", "scaler")


def network_name(project: str, network: str) -> str:
    """Return what Docker calls a network of a Compose project."""
    return f"{project}_{network}"


def find_networks(service: str) -> tuple[str, ...]:
    """Return the networks that a service is on; the broker and the gateway serve both."""
    if service in (BROKER, GATEWAY):
        return (FUNCTIONS, CONTROL)
    return (CONTROL,) if service in _CONTROLLING else (FUNCTIONS,)
