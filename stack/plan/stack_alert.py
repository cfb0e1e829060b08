"""Alerts of the stack itself: on wherever people are told of anything, without a file in alerts/."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import ceil
from typing import Any

from cryptography.x509 import load_pem_x509_certificates

from stack.config.alert import Alert, AlertConfig, Severity
from stack.config.settings import Settings
from stack.config.trigger.base import TlsAttributes
from stack.contract import ALERTS, DEAD, RETRY
from stack.plan.alert import LAST_SEEN, SEEN, START, escape_pattern, write_firing, write_groups
from stack.plan.bridge import BRIDGE, name_shovels
from stack.plan.recorder import NAME as RECORDER
from stack.plan.stack import Service
from stack.plan.store import OWN_JOBS, READINGS
from stack.plan.store import START as STORE_START

# Below .stack/, beside the rules of alerts/.
RULES = "vmalert/stack.yaml"
PREFIX = "stack-"
DEVICE = f"{PREFIX}device-silent"
_EVERY = "15s"
# Messages from which on a queue is one that grows, and the disk's room in times of what readings stop at.
_WAITING, _ROOM = 100, 2
# Queues that have no consumer by nature: dead letters, those of retries, the locks of cron triggers.
# Likewise those of the example, of which the oldest messages go.
_ASIDE = f".*({escape_pattern(DEAD)}|{escape_pattern(RETRY)}.*|{escape_pattern('.lock')})|iot/logs|{ALERTS}"
# Messages that wait for another place while a bridge runs well, and seconds until it is told that more do, or that none
# goes at all.
_BEHIND, _BRIDGE_LATE, _BRIDGE_DOWN = 1000, 900, 270
# How often RabbitMQ is asked, and for how many seconds at least, until a bridge is one that does not run; and how it
# counts what queues without dead letters drop.
_LOOKS, _SPAN, _GONE = 4, 60, ("maxlen", "expired")
_QUORUM = '{queue_type="rabbit_quorum_queue", dead_letter_strategy="disabled"}'
# How often it is written down when a device was heard last, in seconds, and how long that is known.
_LOOK, _KNOWN, _FORGET, _FORGET_SECONDS = 60, "1h", "7d", 7 * 86400
# A device is silent that is so for a quarter of an hour and three times longer than ever on a day with twenty pauses.
_SILENT, _TIMES, _PAUSES = 900, 3, 20
_GAP = "tidegate:gap"
# Seconds that the stack has to start.
_STARTS = 60
# How far back it is looked for what could not be calculated, in seconds.
_FAILS = 300
_BEGIN = "-----BEGIN CERTIFICATE-----"
# How long before its end a certificate is told of, in seconds.
_NOTICE = 14 * 86400


def render_stack_rules(
    settings: Settings, services: Sequence[Service], *, others: Sequence[Alert] = ()
) -> dict[str, bytes]:
    """Render the rules about functions, broker, gateway, disk and devices; another alert of a name is in its place."""
    alerts = [*list_stack_alerts(settings, services), *_list_device_alerts(settings)]
    taken = {one.name for one in others}
    groups = [_describe_devices()] if settings.data.is_kept and DEVICE not in taken else []
    return write_groups(RULES, [one for one in alerts if one.name not in taken], settings=settings, more=groups)


def list_stack_alerts(settings: Settings, services: Sequence[Service]) -> list[Alert]:
    """Return the alerts on figures that are scraped; none where they are not."""
    if not settings.data.scrape_seconds:
        return []
    expected = [one.plan.name for one in services if _is_expected(one)]
    found = [_describe_missing(expected, settings)] if expected else []
    found += _list_certificate_alerts(services)
    return [
        *found,
        *_list_function_alerts(),
        *_list_broker_alerts(settings),
        *_list_bridge_alerts(settings),
        _describe_disk(settings),
        _describe_errors(settings),
    ]


def _is_expected(service: Service) -> bool:
    """Return whether a function has a container at any time."""
    sleeps = service.limits.is_automatic and not service.limits.least
    return service.is_deployed and service.replicas > 0 and not sleeps


def _make(name: str, expr: str, *, text: str, severity: Severity = Severity.WARNING, seconds: int = 0) -> Alert:
    config = AlertConfig.model_validate(
        {"expr": expr, "text": text, "severity": severity, "for": f"{seconds}s", "every": _EVERY}
    )
    return Alert(PREFIX + name, config)


def _add_start(expr: str, settings: Settings, *, seconds: int = 0) -> str:
    """Write a query that has no result until the store has run for a minute: what started with it may still start.

    `seconds` is how far back the query looks: what was before that minute counts for nothing.
    """
    window = f"{3 * settings.data.scrape_seconds:g}s"
    return f"({expr}) and on () (time() - max(last_over_time({STORE_START}[{window}])) > {_STARTS + seconds})"


def _describe_missing(names: Sequence[str], settings: Settings) -> Alert:
    expected = ", ".join(f'label_set(1, "function", {json.dumps(name)})' for name in names)
    answering = f'max(up{{job="{OWN_JOBS}functions"}}) by (function) == 1'
    text = "No container of {function} answers; `invoke status` says why."
    expr = f"union({expected}) unless on (function) ({answering})"
    return _make("function-down", _add_start(expr, settings), text=text, severity=Severity.CRITICAL, seconds=60)


def _list_certificate_alerts(services: Sequence[Service]) -> Iterator[Alert]:
    """Yield the alert on certificates that stand in functions themselves; of files in containers nothing is known."""
    ends = {
        (one.plan.name, name): end
        for one in services
        for name, trigger in one.plan.spec.triggers.items()
        if one.is_deployed and isinstance(trigger.attributes, TlsAttributes) and (end := _find_end(trigger.attributes))
    }
    if ends:
        known = ", ".join(
            f'label_set({end:.0f}, "function", {json.dumps(function)}, "trigger", {json.dumps(trigger)})'
            for (function, trigger), end in ends.items()
        )
        text = "A certificate of {function}, trigger {trigger}, ends in {{ $value | humanizeDuration }}."
        text = text.replace("{function}", "{{ $labels.function }}").replace("{trigger}", "{{ $labels.trigger }}")
        yield _make("certificate-ends", f"union({known}) - time() < {_NOTICE}", text=text)


def _find_end(attributes: TlsAttributes) -> float:
    """Return when the first of some certificates ends; 0 where there are none to be read."""
    texts = [text for text in (attributes.ca_cert, attributes.client_certificate) if _BEGIN in text]
    with suppress(ValueError):
        found = [one for text in texts for one in load_pem_x509_certificates(text.encode())]
        return min((one.not_valid_after_utc.timestamp() for one in found), default=0.0)
    return 0.0


def _list_function_alerts() -> Iterator[Alert]:
    handled = "sum(increase(nuclio_processor_handled_events_total{%s}[5m])) by (function)"
    failures, events = handled % 'result="failure"', handled % ""
    yield _make(
        "function-failing",
        f"100 * ({failures}) / ({events} >= 5) > 50",
        text="{value} per cent of the events of {function} failed within 5 minutes; `invoke logs {function}` says why.",
    )
    yield _make(
        "function-stuck",
        "max(nuclio_processor_stuck_workers) by (function) > 0",
        text="Workers of {function} are at one event for more than a minute: {value}.",
        seconds=60,
    )
    restarts = "sum(increase(nuclio_processor_worker_restarts_total[10m])) by (function) > 5"
    yield _make(
        "restart-loop",
        f"({restarts}) or (max(changes({START}[10m])) by (function) > 2)",
        text="{function} was started {value} times within 10 minutes; `invoke logs {function}` says why.",
    )


def _list_broker_alerts(settings: Settings) -> Iterator[Alert]:
    down = f'up{{job=~"{OWN_JOBS}(broker|gateway)"}} == 0'
    text = "{part} does not answer; `invoke status` says how it is."
    expr = f'label_replace(max({down}) by (job), "part", "$1", "job", "{OWN_JOBS}(.*)")'
    yield _make("part-down", _add_start(expr, settings), text=text, severity=Severity.CRITICAL, seconds=60)
    yield _make(
        "broker-alarm",
        'label_copy({__name__=~"rabbitmq_alarms_.+"}, "__name__", "alarm") == 1',
        text="RabbitMQ takes no messages, or soon will not: {alarm}.",
        severity=Severity.CRITICAL,
    )
    aside = json.dumps(f"{_ASIDE}|{escape_pattern(BRIDGE)}.*" if settings.bridge else _ASIDE)
    dead = json.dumps(f".*{escape_pattern(DEAD)}")
    messages = "max(rabbitmq_detailed_queue_messages{%s}) by (queue)"
    yield _make(
        "dead-letters",
        f"{messages % f'queue=~{dead}'} > 0",
        text="Dead letters lie in {queue}: {value}; `invoke dead-letters` shows, replays and discards them.",
    )
    growth = f"max(delta(rabbitmq_detailed_queue_messages{{queue!~{aside}}}[10m])) by (queue) > 0"
    consumers = "max(rabbitmq_detailed_queue_consumers) by (queue) == 0"
    yield _make(
        "queue-grows",
        f"({messages % f'queue!~{aside}'} > {_WAITING}) and on (queue) ({consumers}) and on (queue) ({growth})",
        text="{queue} grows, and has no consumer: {value} messages.",
        seconds=120,
    )


def _list_bridge_alerts(settings: Settings) -> Iterator[Alert]:
    """Yield the alerts on what waits for other places: no one fetches it, it never gets less, or some of it went.

    A shovel that stops at a message which the other broker refuses runs for a moment every few seconds.
    """
    if not settings.bridge:
        return
    span = f"{max(_SPAN, _LOOKS * settings.data.scrape_seconds):g}s"
    own = f'{{queue=~"{escape_pattern(BRIDGE)}.*"}}'
    named = f'label_replace(%s, "bridge", "$1", "queue", "{escape_pattern(BRIDGE)}(.*)")'
    waiting = f"max(rabbitmq_detailed_queue_messages{own}) by (queue) > {_BEHIND}"
    stopped = f"max(avg_over_time(rabbitmq_detailed_queue_consumers{own}[{span}])) by (queue) < 0.5"
    yield _make(
        "bridge-down",
        named % stopped,
        text="Nothing goes over the bridge {bridge}, and waits; `invoke status` says why.",
        seconds=_BRIDGE_DOWN,
    )
    yield _make(
        "bridge-late",
        named % waiting,
        text="The bridge {bridge} lags for a quarter of an hour: {value} messages wait.",
        seconds=_BRIDGE_LATE,
    )
    # RabbitMQ counts them of all its quorum queues together.
    gone = " + ".join(
        f"sum(increase(rabbitmq_global_messages_dead_lettered_{one}_total{_QUORUM}[5m]))" for one in _GONE
    )
    yield _make(
        "bridge-lost",
        named % f"((({waiting}) or ({stopped})) >= bool 0) * on () group_left () ({gone}) > 0",
        text="Messages of the bridge {bridge}, or of another queue, waited too long or had no room, and are lost: "
        "{value}.",
    )
    if count := sum(len(name_shovels(one)) for one in settings.bridge):
        yield _describe_shovels(count, span)


def _describe_shovels(count: int, span: str) -> Alert:
    """Return the alert on shovels that are not there, or ran for less than half of the looks of a span."""
    looks = f"max(count_over_time(rabbitmq_identity_info[{span}]))"
    running = f'(sum(sum_over_time(rabbitmq_shovel_dynamic{{status="running"}}[{span}])) or (0 * {looks}))'
    return _make(
        "bridges-stopped",
        f"ceil({count} - ({running} / {looks}) - 0.5) > 0",
        text="Over {value} of the ways to and from other places nothing goes; `invoke status` says why.",
        seconds=_BRIDGE_DOWN,
    )


def _describe_errors(settings: Settings) -> Alert:
    """Return the alert on alerts that vmalert can read, but not calculate: no one would hear of those.

    While the store is away, such as where vmalert started before it, none can be.
    """
    errors = f"label_move(max(increase(vmalert_%s_rules_errors_total[{_FAILS}s])) by (%s) > 0, %s, %s)"
    names = {"alerting": "alertname", "recording": "recording"}
    queries = [errors % (kind, name, json.dumps(name), '"rule"') for kind, name in names.items()]
    expr = _add_start(" or ".join(queries), settings, seconds=_FAILS)
    text = "{rule} cannot be calculated; `invoke alerts` says why."
    # A store that was started again may know of errors a moment before it knows of its own start.
    return _make("rule-failing", expr, text=text, seconds=ceil(2 * settings.data.scrape_seconds))


def _describe_disk(settings: Settings) -> Alert:
    least = _ROOM * settings.data.disk_free_bytes
    return _make(
        "disk",
        f"min(rabbitmq_disk_space_available_bytes) < {least}",
        text="The disk has {{ $value | humanize1024 }}B left; readings stop at " + settings.data.disk_free + "B.",
        severity=Severity.CRITICAL,
        seconds=60,
    )


def _list_device_alerts(settings: Settings) -> Iterator[Alert]:
    """Yield the alert on readings that have always come: silent for longer than ever, by far, while they were kept."""
    if not settings.data.is_kept:
        return
    silence = f"time() - {_since_start(_recall(_KNOWN))}"
    usual = f"max_over_time({_GAP}[1d])"
    known = f"count_over_time({_GAP}[1d]) >= {_PAUSES}"
    fires = f"({silence} > {_SILENT}) and ({silence} > {_TIMES} * {usual}) and ({known})"
    goes_on = f"(({silence} > {_SILENT}) < {_FORGET_SECONDS}) and ignoring(alertname, alertgroup, alertstate, severity)"
    document = {
        "expr": f"({fires}) or ({goes_on} {write_firing(DEVICE)})",
        "text": "Nothing came of it for {{ $value | humanizeDuration }}, which never was.",
        "for": f"{2 * _LOOK}s",
        "every": f"{_LOOK}s",
    }
    yield Alert(DEVICE, AlertConfig.model_validate(document), chart=READINGS)


def _describe_devices() -> dict[str, Any]:
    """Return the rules that write down the pauses between readings, and when the last one came."""
    newest = f"max(tlast_over_time({READINGS}[{10 * _LOOK}s])) without (field)"
    pause = f"{newest} - {_since_start(_recall(_KNOWN))}"
    known = f"({newest}) or {_recall(_FORGET)} > time() - {_FORGET_SECONDS}"
    rules = [
        {"record": _GAP, "expr": f"{pause} > 0"},
        {"record": LAST_SEEN, "expr": known, "labels": {"alert": DEVICE}},
    ]
    return {"name": DEVICE + SEEN, "interval": f"{_LOOK}s", "rules": rules}


def _recall(window: str) -> str:
    return f'label_del(last_over_time({LAST_SEEN}{{alert="{DEVICE}"}}[{window}]), "__name__", "alert")'


def _since_start(moment: str) -> str:
    """Write the later one of a moment and the start of the recorder: before, no reading could have been kept."""
    return f'clamp_min({moment}, scalar(max({START}{{function="{RECORDER}"}})))'
