"""`invoke notify-test`: one channel is told something, and it is shown whether that has worked."""

import re
import time
from datetime import datetime

from stack import console
from stack.alertmanager.client import find_alertmanager
from stack.docker.stack import Stack, open_stack
from stack.errors import AlertError
from stack.plan.notify import CHANNEL_LABEL, INTEGRATIONS, SERVICE

_NAME, _TEXT = "notify-test", "A test of Tidegate: this channel works."
_PATIENCE_SECONDS, _POLL_SECONDS = 30.0, 0.5
# How a channel failed, in Alertmanager's log: an attempt, and the end of all attempts.
_REASON = r'(?P<reason>(?:[^"\\]|\\.)*)"'
_FAILURE = r'^(?:time|ts)=(?P<time>\S+) .*(?:receiver={channel} .*err="|err="{channel}/\S+ )' + _REASON


def test_channel(name: str) -> None:
    """Send a test by one channel, and wait until it is known to have arrived.

    Raises:
        AlertError: there is no such channel, it does not work, or Alertmanager does not answer.
        ConfigError: the stack has no channels.
    """
    stack = open_stack()
    channels = stack.settings.notify.channels
    if name not in channels:
        known = ", ".join(channels) or "none; name some in stack.yaml, notify.channels"
        raise AlertError(f"There is no channel {name or 'without a name'}. Known: {known}.")
    alertmanager = find_alertmanager(stack)
    integration = INTEGRATIONS.get(channels[name].kind, "")
    sent, now = alertmanager.count_sent(integration), time.time()
    labels = {"alertname": _NAME, "severity": "info", CHANNEL_LABEL: name, "at": f"{now:.0f}"}
    alertmanager.send(labels, _TEXT, _PATIENCE_SECONDS)
    with console.working(f"Waiting for {name}"):
        while alertmanager.count_sent(integration) <= sent:
            _check(stack, name, now)
            time.sleep(_POLL_SECONDS)
    console.success(f"{name} took the message.")


def _check(stack: Stack, channel: str, start: float) -> None:
    """Make sure that a channel has not failed since it was told something, and that it is not too late.

    Raises:
        AlertError: it has, or it is.
    """
    running = [one for one in stack.engine.listed() if one.service == SERVICE]
    for line in re.finditer(_FAILURE.format(channel=channel), "\n".join(map(stack.engine.last_logs, running)), re.M):
        if datetime.fromisoformat(line["time"]).timestamp() >= start:
            raise AlertError(f"{channel} does not work: {line['reason']}")
    if time.time() > start + _PATIENCE_SECONDS:
        raise AlertError(f"{channel} is silent for {_PATIENCE_SECONDS:g} s. `invoke logs {SERVICE}` may tell why.")
