"""How channels do: `invoke notify-test` tells one something; those that fail are found in Alertmanager's log."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from stack import console
from stack.alertmanager.client import find_alertmanager
from stack.contract import parse_duration
from stack.docker.stack import Stack, open_stack
from stack.errors import AlertError
from stack.plan.notify import CHANNEL_LABEL, INTEGRATIONS, SERVICE

_NAME, _TEXT = "notify-test", "A test of Tidegate: this channel works."
_PATIENCE_SECONDS, _POLL_SECONDS = 30.0, 0.5
# Of Alertmanager's log so many lines are looked at.
_LINES = 500
# An attempt that failed, the end of all attempts for a message, and one that worked after others had failed.
_TEXT_OF = r'(?P<{}>(?:[^"\\]|\\.)*)"'
_ATTEMPT = re.compile(
    r'^(?:time|ts)=(?P<time>\S+) .*msg="Notify (?P<result>attempt failed|success|for alerts failed)'
    r'.*?(?:receiver=(?P<channel>[-\w]+).*?(?: err="' + _TEXT_OF.format("reason") + r"|$)"
    r'|err="(?P<name>[-\w]+)/\S+ ' + _TEXT_OF.format("end") + ")",
    re.M,
)
# A message that a channel did not take is tried again for as long as the interval of its group, and then again.
_INTERVALS, _SLACK_SECONDS = 2, 60.0


@dataclass(frozen=True)
class ChannelFailure:
    """A channel that does not take what people are to be told: since when no more than this is known, and why."""

    channel: str
    at: float
    reason: str


def find_failing_channels(stack: Stack) -> dict[str, ChannelFailure]:
    """Return the channels that fail now, by name; none where Alertmanager does not run.

    Raises:
        EngineError: Docker does not answer.
    """
    if not stack.settings.notify.channels:
        return {}
    newest = {one.channel: one for one in _read_attempts(_read_log(stack))}
    patience = _INTERVALS * parse_duration(stack.settings.notify.interval) + _SLACK_SECONDS
    oldest = time.time() - patience
    return {name: one for name, one in newest.items() if one.reason and one.at > oldest}


def print_failing_channels(stack: Stack) -> None:
    """Tell which channels fail."""
    for name, failure in find_failing_channels(stack).items():
        console.warn(f"The channel {name} fails and is tried again: {failure.reason}")


def test_channel(stack: Stack, name: str) -> None:
    """Send a test by one channel, and wait until it is known to have arrived.

    Raises:
        AlertError: there is no such channel, it does not work, or Alertmanager does not answer.
        ConfigError: the stack has no channels.
    """
    channels = stack.settings.notify.channels
    if name not in channels:
        known = ", ".join(channels) or "none; name some in stack.yaml, notify.channels"
        raise AlertError(f"There is no channel {name or 'without a name'}. Known: {known}.")
    alertmanager = find_alertmanager(stack)
    integration = INTEGRATIONS.get(channels[name].kind, "")
    sent, now = alertmanager.count_sent(integration), time.time()
    labels = {"alertname": _NAME, "severity": "info", CHANNEL_LABEL: name, "at": f"{now:.0f}"}
    alertmanager.send(labels, _TEXT, _PATIENCE_SECONDS)
    while alertmanager.count_sent(integration) <= sent:
        _check(stack, name, now)
        time.sleep(_POLL_SECONDS)


def run_channel_test(name: str) -> None:
    """Send a test by one channel, and tell whether it has worked.

    Raises:
        StackError: it has not.
    """
    stack = open_stack()
    with console.working(f"Waiting for {name}"):
        test_channel(stack, name)
    console.success(f"{name} took the message.")


def _check(stack: Stack, channel: str, start: float) -> None:
    """Make sure that a channel has not failed since it was told something, and that it is not too late.

    Raises:
        AlertError: it has, or it is.
    """
    for one in _read_attempts(_read_log(stack)):
        if one.channel == channel and one.reason and one.at >= start:
            raise AlertError(f"{channel} does not work: {one.reason}")
    if time.time() > start + _PATIENCE_SECONDS:
        raise AlertError(f"{channel} is silent for {_PATIENCE_SECONDS:g} s. `invoke logs {SERVICE}` may tell why.")


def _read_log(stack: Stack) -> str:
    running = [one for one in stack.engine.listed() if one.service == SERVICE]
    return "\n".join(stack.engine.last_logs(one, lines=_LINES) for one in running)


def _read_attempts(log: str) -> Iterator[ChannelFailure]:
    """Yield what became of attempts to tell people, the oldest first; one that worked has no reason."""
    for found in _ATTEMPT.finditer(log):
        # A quoted text; that an address was left out says nothing.
        reason = (found["reason"] or found["end"] or "").replace('\\"', '"').replace('Post "<redacted>": ', "")
        at = datetime.fromisoformat(found["time"]).timestamp()
        yield ChannelFailure(found["channel"] or found["name"], at, "" if found["result"] == "success" else reason)
