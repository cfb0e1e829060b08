"""What the deployments tell of functions."""

from collections.abc import Sequence
from dataclasses import dataclass

from stack.run.stack import Stack


@dataclass(frozen=True)
class Deployed:
    """One deployed function."""

    name: str
    project: str
    state: str
    revision: int
    replicas: int
    ready: int


def list_deployed(stack: Stack) -> Sequence[Deployed]:
    """List the deployed functions."""
    services = {one.plan.name: one for one in map(stack.deployed_service, stack.deployments.values())}
    containers = stack.engine.containers()
    found = []
    for name, service in services.items():
        ready = sum(one.is_ready for one in containers if one.function == name)
        state = "ready" if ready else "unhealthy"
        revision = stack.deployments[name].revision
        found.append(Deployed(name, service.plan.project, state, revision, service.replicas, ready))
    return found
