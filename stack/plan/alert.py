"""Alerts as rules of vmalert: one group for each, which is calculated as often as it has to be."""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from stack.config.alert import FUNCTIONS, PLACE, PRESENT, Alert, AlertConfig, is_selector
from stack.config.data import Data, KeepRule
from stack.config.notify import Escalation, Notify
from stack.config.settings import Settings
from stack.contract import ESCALATION, parse_duration
from stack.errors import ConfigError
from stack.plan.recorder import NAME as RECORDER
from stack.plan.recorder import TOPIC_LABEL
from stack.plan.store import FOLDER as STORE_FOLDER
from stack.plan.store import PASSWORD, USERNAME, quote
from stack.plan.store import PORT as STORE_PORT
from stack.plan.store import SERVICE as STORE
from stack.plan.store import START as STORE_START
from stack.plan.template import write_yaml

SERVICE = "vmalert"
PORT = 8880
MEMORY = 256 * 1024**2
# Below .stack/, and where the container sees it.
RULES, MOUNTED, FOLDER = "vmalert/rules.yaml", "vmalert", "/etc/tidegate/vmalert"
# Of the chart that a message leads to: how far it goes back, in seconds, and what has a meaning in a pattern.
_CHART_SECONDS = 6 * 3600
_META = r"([\\.+*?()|\[\]{}^$])"
# What vmalert reads of the environment: older releases, which have no such flag, pass over it.
ENVIRONMENT = {"rule_evalDelay": "0s"}
LAST_SEEN = "tidegate:last_seen"
# What follows an alert's name in that of the group that writes this down; no alert has the sign.
SEEN = ":seen"
# The figures since when the recorder and the store run.
START = "nuclio_processor_start_time_seconds"
STARTS = f'{{__name__=~"{START}|{STORE_START}",function=~"{RECORDER}|"}}'
# The time of a look back in a query.
_WINDOW = re.compile(r"\[((?:\d+(?:\.\d+)?(?:ms|[smhdwy]))+)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0, "y": 365 * 86400.0}
# What the names of the stack's own figures begin with.
_OWN_FIGURES = (
    "tidegate_device_",
    "nuclio_",
    "rabbitmq_",
    "haproxy_",
    "vmalert_",
    "vm_",
    "up",
    "process_",
    "container_",
    "scrape_",
)
# Labels that vmalert or a rule adds to those of the series.
ADDED = ("alertname", "alertgroup", "alertstate", "severity")
# An alert that is told to Alertmanager is over for it after four times as long without a word.
_RESEND = "30s"
# How long an alert with `clear` goes on at least: until the store knows that it fires.
_BRIDGE = "10s"
# A while is looked at so often, but not more often than each second, and not less than each minute.
_LOOKS, _MOST_SECONDS = 600, 60.0
# How often it is written down when a series was seen last, how far back is looked for it, and how long that is valid.
_SEEN_EVERY, _SEEN_WINDOW, _SEEN_VALID = 60, 600, 3600


def vmalert_arguments(alertmanager: str, dashboard: str = "") -> list[str]:
    """Return what vmalert is started with."""
    url = f"http://{STORE}:{STORE_PORT}"
    flags = {"rule": f"{FOLDER}/*.yaml", "notifier.url": alertmanager}
    for name in ("datasource", "remoteRead", "remoteWrite"):
        flags |= {
            f"{name}.url": url,
            f"{name}.basicAuth.username": USERNAME,
            f"{name}.basicAuth.passwordFile": f"{STORE_FOLDER}/{PASSWORD}",
        }
    flags |= {
        "rule.resendDelay": _RESEND,
        "remoteWrite.flushInterval": "500ms",
        # Rules that change are read while it runs, so that what fires goes on.
        "configCheckInterval": "2s",
        "httpListenAddr": f":{PORT}",
        "envflag.enable": "true",
        "loggerLevel": "WARN",
        # Where people look at what it has found, and not at itself.
        **({"external.url": dashboard, "external.alert.source": "alerts"} if dashboard else {}),
    }
    return [f"-{name}={value}" for name, value in flags.items()]


def render_rules(alerts: Sequence[Alert], settings: Settings) -> dict[str, bytes]:
    """Render vmalert's rules; nothing where there are no alerts.

    Raises:
        ConfigError: there are no readings to look at, or not those of what is to be silent.
    """
    blind = [one for one in alerts if not (settings.data.is_kept or (one.config.expr and settings.has_store))]
    if blind:
        way = 'data: {keep: [{topic: "#"}]} keeps every number of every topic'
        raise ConfigError([f"{blind[0].document}: there are no readings to look at; in stack.yaml, {way}."])
    return write_groups(RULES, alerts, settings=settings) if alerts else {}


def write_groups(
    path: str, alerts: Sequence[Alert], *, settings: Settings, more: Sequence[dict[str, Any]] = ()
) -> dict[str, bytes]:
    """Write the file of the rules of alerts, and of other groups."""
    url, data, notify = settings.dashboard_url, settings.data, settings.notify
    groups = [group for alert in alerts for group in describe_groups(alert, data, notify=notify, dashboard=url)]
    return {path: write_yaml({"groups": [*more, *groups]})}


def describe_groups(alert: Alert, data: Data, *, notify: Notify, dashboard: str = "") -> list[dict[str, Any]]:
    """Return the groups of an alert's rules, as vmalert's file has them; charts are pages of the dashboard.

    Raises:
        ConfigError: no rule of data.keep keeps what is to be silent.
    """
    config = alert.config
    chart = {"chart": _write_chart(alert, data, dashboard=dashboard)} if dashboard else {}
    annotations = {"text": _write_text(config), **chart}
    rule = {"alert": alert.name, "expr": _write_expression(alert, data), "annotations": annotations}
    rules = [rule | _describe_rule(config, config.for_seconds)]
    if (escalate := notify.escalate) and config.severity in escalate.severity:
        rules.append(rule | _describe_escalation(config, escalate))
    groups = [{"name": alert.name, "interval": f"{_find_interval(config):g}s", "rules": rules}]
    return [_describe_seen(alert, data), *groups] if config.silent else groups


def _describe_rule(config: AlertConfig, seconds: float) -> dict[str, Any]:
    return {
        **({"for": write_seconds(seconds)} if seconds else {}),
        **({"keep_firing_for": _BRIDGE} if config.clear else {}),
        "labels": {"severity": str(config.severity), **config.labels},
    }


def _describe_escalation(config: AlertConfig, escalate: Escalation) -> dict[str, Any]:
    found = _describe_rule(config, config.for_seconds + parse_duration(escalate.after))
    return found | {"labels": {**found["labels"], ESCALATION: "yes"}}


def _describe_seen(alert: Alert, data: Data) -> dict[str, Any]:
    """Return the rule that writes down when each series was seen last, so that no one has to look far back for it."""
    forget = alert.config.forget_seconds
    seen = f"tlast_over_time({find_silent(alert, data)}[{_SEEN_WINDOW}s])"
    record = {
        "record": LAST_SEEN,
        "expr": f"{strip_field(alert, seen)} or {_recall(alert, write_seconds(forget))} > time() - {forget:.0f}",
        "labels": {"alert": alert.name},
    }
    return {"name": alert.name + SEEN, "interval": f"{_SEEN_EVERY}s", "rules": [record]}


def _write_expression(alert: Alert, data: Data) -> str:
    config = alert.config
    if config.expr:
        return config.expr
    if config.silent:
        return _write_silence(alert, data)
    condition, value = config.condition, write_value(config)
    fires = f"{value} {condition.operator} {condition.bound}"
    if not (until := config.holds_until):
        return fires
    ignored = ", ".join([*ADDED, *config.labels])
    return f"({fires}) or ({value} {until[0]} {until[1]} and ignoring({ignored}) {write_firing(alert.name)})"


def write_value(config: AlertConfig) -> str:
    """Write the query of the value that `when` compares."""
    condition = config.condition
    return f"{FUNCTIONS[condition.function]}({condition.selector}[{write_seconds(condition.window)}])"


def write_looked_at(alert: Alert, data: Data) -> str:
    """Write the query of what an alert looks at: a value, or the readings that are to come.

    Raises:
        ConfigError: no rule of data.keep keeps what is to be silent.
    """
    config = alert.config
    return alert.chart or (find_silent(alert, data) if config.silent else config.expr or write_value(config))


def _write_chart(alert: Alert, data: Data, *, dashboard: str) -> str:
    """Return where the chart of what it looks at is, of the series for which it fires, as a template of vmalert."""
    config = alert.config
    query = write_looked_at(alert, data)
    added = json.dumps(f"^({'|'.join(('__name__', *ADDED, ESCALATION, *config.labels))})$")
    narrowed = f'printf "label_match(%s, %q, %q)" $query $name (reReplaceAll {json.dumps(_META)} "\\\\$1" $text)'
    own = f"{{{{ if not (match {added} $name) }}}}{{{{ $query = {narrowed} }}}}{{{{ end }}}}"
    named = f"{{{{ range $name, $text := $labels }}}}{own}{{{{ end }}}}"
    start = f"{{{{ $query := {json.dumps(query, ensure_ascii=False)} }}}}{named}"
    return f"{start}{dashboard}/data?q={{{{ $query | queryEscape }}}}&since={_CHART_SECONDS}"


def write_firing(name: str) -> str:
    """Write the selector of the series for which an alert fires."""
    return f'ALERTS{{alertname="{name}", alertstate="firing", {ESCALATION}=""}}'


def _write_silence(alert: Alert, data: Data) -> str:
    """Write the query of what is silent, from when on readings could have come: the recorder and the store ran."""
    config = alert.config
    window = write_seconds(config.after_seconds + 2 * _SEEN_EVERY)
    seen = strip_field(alert, f"tlast_over_time({find_silent(alert, data)}[{window}])")
    since = f"time() - ({seen} or {_recall(alert, f'{_SEEN_VALID}s')})"
    silent = f"({since} > {config.after_seconds:.0f}) < {config.forget_seconds:.0f}"
    if not data.is_scraped:
        return silent
    ran = f"time() - max(last_over_time({STARTS}[{write_seconds(3 * data.scrape_seconds)}]))"
    ignored = ", ".join([*ADDED, *config.labels])
    goes_on = f"({silent}) and ignoring({ignored}) {write_firing(alert.name)}"
    return f"(({silent}) and on () ({ran} > {config.after_seconds:.0f})) or ({goes_on})"


def _recall(alert: Alert, window: str) -> str:
    """Write the query of when each series was seen last, as it was written down."""
    return f'label_del(last_over_time({LAST_SEEN}{{alert="{alert.name}"}}[{window}]), "__name__", "alert")'


def strip_field(alert: Alert, query: str) -> str:
    """Write a query without what tells the numbers of one message apart, since they fall silent together."""
    return query if is_selector(alert.config.silent) else f"max({query}) without (field)"


def find_silent(alert: Alert, data: Data) -> str:
    """Return the selector of the series that are to come.

    Raises:
        ConfigError: no rule of data.keep keeps them.
    """
    topic = alert.config.silent
    metrics = [metric for rule in data.keep for metric in (rule.values or (rule.name,))]
    if is_selector(topic) and ("{" in topic or topic in metrics):
        return topic
    rules = [rule for rule in data.keep if rule.topic and covers(rule.topic, topic)]
    if not rules:
        problem = f"no rule of data.keep in stack.yaml keeps {topic}, so that no one can tell that it is silent"
        raise ConfigError([f"{alert.document}: silent: {problem}"])
    unique = {metric for metric in metrics if metrics.count(metric) == 1}
    if selector := next(filter(None, (_write_selector(rule, topic, unique=unique) for rule in rules)), ""):
        return selector
    way = f"name the series, such as silent: '{rules[0].name}{{sensor=\"oven\"}}'"
    raise ConfigError([f"{alert.document}: silent: the labels of data.keep do not tell {topic} from others; {way}"])


def list_unknown(alerts: Sequence[Alert], data: Data) -> Iterator[str]:
    """Yield what is to be told of alerts on readings that no rule of data.keep makes: they never fire."""
    metrics = sorted({metric for rule in data.keep for metric in (rule.values or (rule.name,))})
    for alert in alerts:
        config = alert.config
        text = config.condition.selector if config.when else config.silent if is_selector(config.silent) else ""
        name = text.partition("{")[0]
        is_topic = not config.when and "{" not in text
        if name and not is_topic and name not in metrics and not name.startswith(_OWN_FIGURES):
            yield f"{alert.document}: no rule of data.keep in stack.yaml makes {name}; there are {', '.join(metrics)}."


def covers(pattern: str, topic: str) -> bool:
    """Return whether a topic filter takes all that another one takes."""
    wide, narrow = pattern.split("/"), topic.split("/")
    for number, level in enumerate(wide):
        if level == "#":
            return True
        if number >= len(narrow) or narrow[number] == "#" or level not in ("+", narrow[number]):
            return False
    return len(wide) == len(narrow)


def _write_selector(rule: KeepRule, topic: str, *, unique: Collection[str]) -> str:
    """Return the selector of what a rule keeps of a topic; nothing where its labels do not tell it apart.

    `unique` are the metrics that one rule alone makes.
    """
    metric = next(iter(rule.values), rule.name)
    if rule.topic == topic and metric in unique:
        return metric
    texts = {label: text for label, text in rule.labels.items() if isinstance(text, str)}
    has_topic = not rule.labels and not {"+", "#"}.isdisjoint(rule.topic.split("/"))
    whole = TOPIC_LABEL if has_topic else next((label for label, text in texts.items() if text == "{0}"), "")
    if whole:
        return f"{metric}{{{whole}=~{quote(_write_pattern(topic))}}}"
    return _write_level_selector(metric, rule.topic, topic=topic, texts=texts) if metric in unique else ""


def _write_level_selector(metric: str, pattern: str, *, topic: str, texts: dict[str, str]) -> str:
    """Return the selector by labels that are levels of the topic."""
    matchers = []
    for number, (level, wanted) in enumerate(zip(pattern.split("/"), topic.split("/"), strict=False), start=1):
        if level == "#" or (level == "+" and wanted != "+"):
            label = next((name for name, text in texts.items() if text == f"{{{number}}}"), "")
            if not label or level == "#":
                return ""
            matchers.append(f"{label}={quote(wanted)}")
    return f"{metric}{{{', '.join(matchers)}}}"


def _write_pattern(topic: str) -> str:
    levels = [{"+": "[^/]+", "#": ".*"}.get(level, escape_pattern(level)) for level in topic.split("/")]
    return "/".join(levels)


def escape_pattern(text: str) -> str:
    """Escape a text for a regular expression of Go."""
    return "".join(f"\\{one}" if one in r"\.+*?()|[]{}^$" else one for one in text)


def _write_text(config: AlertConfig) -> str:
    """Return the text as a template of vmalert."""
    text = config.text or _write_default_text(config)
    if "{{" in text:
        return text
    value = "{{ $value | humanizeDuration }}" if config.silent else '{{ printf "%.6g" $value }}'
    return PLACE.sub(lambda found: value if found[1] == "value" else f"{{{{ $labels.{found[1]} }}}}", text)


def _write_default_text(config: AlertConfig) -> str:
    if config.silent:
        return f"Nothing came of {_plain(config.silent)} for {{value}}."
    if config.expr:
        return "The value is {value}."
    condition = config.condition
    return f"{_plain(condition.subject)} is {{value}}, which is {condition.operator} {condition.bound}."


def _plain(selector: str) -> str:
    """Return a series without its labels, which are told beside the text."""
    name = selector.partition("{")[0]
    return name or "a series"


def _find_interval(config: AlertConfig) -> float:
    if config.every:
        return parse_duration(config.every)
    if config.expr:
        window = max(map(_read_window, _WINDOW.findall(config.expr)), default=PRESENT)
    else:
        window = config.condition.window if config.when else config.after_seconds
    return min(max(1.0, round(window / _LOOKS)), _MOST_SECONDS)


def _read_window(text: str) -> float:
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhdwy])", text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def write_seconds(seconds: float) -> str:
    """Return seconds as PromQL writes them."""
    return f"{max(1, round(seconds))}s"
