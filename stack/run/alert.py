"""`invoke alerts`: what fires, what was silenced, and by whom."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

from stack import console
from stack.alertmanager.client import Alertmanager, FiringAlert, Silence, choose_alerts, find_alertmanager
from stack.alertmanager.rule import fetch_rule_problems
from stack.contract import ESCALATION, parse_duration
from stack.docker.stack import Stack, open_stack
from stack.errors import AlertError
from stack.plan.notify import CHANNEL_LABEL
from stack.run.notify import print_failing_channels
from stack.state.deployment import load_author

SILENCE, ACKNOWLEDGE, END = "silence", "acknowledge", "unsilence"
_ACTIONS = ("", SILENCE, ACKNOWLEDGE, END)
# For how long an alert is quiet that somebody has acknowledged: it may be over long before.
DURATIONS = {ACKNOWLEDGE: "24h", SILENCE: "2h"}
# Of so many that fire each is acknowledged by itself; of more, what they have alike.
_MOST = 100


@dataclass(frozen=True)
class AlertRequest:
    """What is to be done, of which alerts, for how long, and why."""

    action: str = ""
    name: str = ""
    labels: Mapping[str, str] | None = None
    duration: str = ""
    comment: str = ""


def handle_alerts(request: AlertRequest, *, as_json: bool) -> None:
    """List alerts that fire, or keep people from being told of some.

    Raises:
        AlertError: an option makes no sense, there is no such alert, or Alertmanager does not answer.
        ConfigError: the stack has no alerts.
    """
    if request.action not in _ACTIONS:
        if request.name:
            raise AlertError(f"{request.action}: should be {', '.join(_ACTIONS[1:])}, or nothing to list alerts.")
        request = replace(request, action="", name=request.action)
    stack = open_stack()
    alertmanager, known = find_alertmanager(stack), {one.name for one in stack.alerts}
    if not request.action:
        _print_alerts(alertmanager, request, known=known, as_json=as_json)
        print_failing_channels(stack)
        _print_failing_rules(stack)
    elif request.action == END:
        _end_silences(alertmanager, request)
    else:
        _add_silence(alertmanager, request, known=known)


def _print_alerts(alertmanager: Alertmanager, request: AlertRequest, *, known: set[str], as_json: bool) -> None:
    alerts = _list_alerts(alertmanager, request)
    if request.name and not alerts and request.name not in known:
        names = ", ".join(sorted(known)) or "none"
        raise AlertError(f"There is no alert {request.name}; there are {names}. Else say {', '.join(_ACTIONS[1:])}.")
    silences = {one.id: one for one in alertmanager.list_silences()}
    if as_json:
        console.show_json([{**asdict(one), "name": one.name, "severity": one.severity} for one in alerts])
        return
    if alerts:
        rows = [_describe(one, silences) for one in alerts]
        console.show_table(("alert", "severity", "since", "labels", "text", "told"), rows)
        console.say("Next: `invoke alerts acknowledge NAME` ends reminders, `invoke alerts silence NAME` for a while.")
    else:
        console.say("Nothing fires.")
    waiting = [one for one in silences.values() if not any(one.id in alert.silences for alert in alerts)]
    for one in waiting:
        console.note(f"Also silenced, until {_tell_time(one.until)}: {_tell_labels(one.labels)}, by {one.by}.")


def _print_failing_rules(stack: Stack) -> None:
    """Tell which alerts can be read, but not calculated: they never fire."""
    for name, reason in fetch_rule_problems(stack).items() if stack.bare_inputs.has_vmalert else ():
        console.warn(f"{name} cannot be calculated: {reason}")


def _list_alerts(alertmanager: Alertmanager, request: AlertRequest) -> list[FiringAlert]:
    """Return the alerts that are meant, without tests, each once: it fires a second time for others who are told."""
    found = [one for one in alertmanager.list_alerts() if not {ESCALATION, CHANNEL_LABEL} & set(one.labels)]
    return choose_alerts(found, request.name, labels=request.labels or {})


def _describe(alert: FiringAlert, silences: Mapping[str, Silence]) -> dict[str, str]:
    silence = next((silences[id_] for id_ in alert.silences if id_ in silences), None)
    told = f"no, until {_tell_time(silence.until)}: {silence.comment} ({silence.by})" if silence else "yes"
    return {
        "alert": alert.name,
        "severity": alert.severity,
        "since": _tell_time(alert.since),
        "labels": _tell_labels(alert.own_labels),
        "text": alert.text,
        "told": told,
    }


def _add_silence(alertmanager: Alertmanager, request: AlertRequest, *, known: set[str]) -> None:
    labels = {**({"alertname": request.name} if request.name else {}), **(request.labels or {})}
    if not labels:
        raise AlertError(f"Say which: `invoke alerts {request.action} NAME`, or --labels sensor=oven.")
    firing = _list_alerts(alertmanager, request)
    is_acknowledged = request.action == ACKNOWLEDGE
    if not firing and (is_acknowledged or (request.name and request.name not in known)):
        raise AlertError(f"No alert fires with {_tell_labels(labels)}. `invoke alerts` lists those that do.")
    seconds = _read_duration(request.duration or DURATIONS[request.action])
    comment = request.comment or ("acknowledged" if is_acknowledged else "silenced")
    # What fires is acknowledged, and not what may fire tomorrow.
    each = [one.labels for one in firing] if is_acknowledged and len(firing) <= _MOST else [labels]
    for one in each:
        alertmanager.add_silence(one, seconds, by=load_author(), comment=comment)
    until = _tell_time((datetime.now(UTC) + timedelta(seconds=seconds)).isoformat())
    console.success(f"No one is told of {_tell_labels(labels)} until {until}; {len(firing)} of them fire.")


def _end_silences(alertmanager: Alertmanager, request: AlertRequest) -> None:
    wanted = {**({"alertname": request.name} if request.name else {}), **(request.labels or {})}
    found = [one for one in alertmanager.list_silences() if wanted.items() <= one.labels.items()]
    if not found:
        raise AlertError(f"Nothing is silenced with {_tell_labels(wanted) or 'any label'}.")
    for one in found:
        alertmanager.end_silence(one)
    console.success(f"People are told again of {', '.join(_tell_labels(one.labels) for one in found)}.")


def _read_duration(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise AlertError(f"--duration {text}: should be such as 30m or 2h.")
    return seconds


def _tell_labels(labels: Mapping[str, str]) -> str:
    names: Sequence[str] = [value if name == "alertname" else f"{name}={value}" for name, value in labels.items()]
    return ", ".join(names)


def _tell_time(text: str) -> str:
    """Return a time as people of this machine read it."""
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"
