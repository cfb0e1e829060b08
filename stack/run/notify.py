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
from stack.plan.notify import CHANNEL_LABEL, SERVICE, TEST, find_integration

_NAME, _TEXT = "notify-test", "A test of Tidegate: this channel works."
_PATIENCE_SECONDS, _POLL_SECONDS = 30.0, 0.5
# A message has arrived that is counted as sent in so many looks in turn.
_LOOKS = 2
# Of Alertmanager's log so many lines are looked at.
_LINES = 500
# A field of a line of the log. Lines are of an attempt that failed, of the end of all attempts for a message, and of an
# attempt that worked after others had failed.
_FIELD = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))')
_ATTEMPT, _END, _SUCCESS = "Notify attempt failed", "Notify for alerts failed", "Notify success"
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
    receiver, integration = name + TEST, find_integration(channels[name])
    sent, now = alertmanager.count_sent(receiver, integration), time.time()
    labels = {"alertname": _NAME, "severity": "info", CHANNEL_LABEL: name, "at": f"{now:.0f}"}
    alertmanager.send(labels, _TEXT, _PATIENCE_SECONDS)
    looks = 0
    # An attempt is counted a moment before its failure is.
    while looks < _LOOKS:
        looks = looks + 1 if alertmanager.count_sent(receiver, integration) > sent else 0
        _check(stack, name, start=now)
        time.sleep(_POLL_SECONDS)


def run_channel_test(name: str) -> None:
    """Send a test by one channel, and say whether it was delivered.

    Raises:
        StackError: it has not.
    """
    stack = open_stack()
    with console.working(f"Waiting for {name}"):
        test_channel(stack, name)
    console.success(f"{name} took the message.")


def _check(stack: Stack, channel: str, *, start: float) -> None:
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
    for line in log.splitlines():
        fields = {name: quoted or plain for name, quoted, plain in _FIELD.findall(line)}
        message = fields.get("msg", "")
        # A quoted text; that an address was left out says nothing.
        reason = fields.get("err", "").replace('\\"', '"').replace('Post "<redacted>": ', "")
        if message.startswith((_ATTEMPT, _END, _SUCCESS)):
            # The end of all attempts has the channel before its reason: mail/email[0]: refused.
            ended = message.startswith(_END)
            channel = reason.rpartition("[")[0].rpartition("/")[0] if ended else fields.get("receiver", "")
            at = datetime.fromisoformat(fields.get("time") or fields["ts"]).timestamp()
            failed = "" if message.startswith(_SUCCESS) else reason.partition("]: ")[2] if ended else reason
            yield ChannelFailure(channel.removesuffix(TEST), at, failed)
