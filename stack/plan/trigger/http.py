"""Requests: clients come by the gateway, or to a port of this machine."""

from collections.abc import Mapping
from typing import Any

from stack.config.trigger.base import BaseTrigger
from stack.config.trigger.http import HttpTrigger
from stack.plan.trigger.kind import Scaffold, TriggerKind


class HttpKind(TriggerKind[HttpTrigger]):
    """An http trigger."""

    scaffold = Scaffold("http", "HTTP", "invoke invoke-function {name} --body 21.5")
    box = ("HTTP", "the gateway")
    has_port = True

    def localise(self, trigger: HttpTrigger, told: dict[str, Any], *, port: int, broker_url: str) -> dict[str, Any]:
        """Let it listen on a port of this machine alone."""
        return {**told, "url": f"127.0.0.1:{port}"}


def find_http(triggers: Mapping[str, BaseTrigger]) -> HttpTrigger | None:
    """Return the http trigger of a function, which can have one only."""
    return next((trigger for trigger in triggers.values() if isinstance(trigger, HttpTrigger)), None)


KIND = HttpKind()
