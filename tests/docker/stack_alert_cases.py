"""What the alerts of the stack itself fire for, and when: written series, as vmalert-tool reads them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from stack.config.alert import Alert, AlertConfig
from stack.config.bridge import Bridge
from stack.config.data import Data, KeepRule
from stack.config.notify import Notify
from stack.config.settings import Settings
from stack.plan.alert import RULES as ALERT_RULES
from stack.plan.alert import render_rules
from stack.plan.stack import Service, plan_service
from stack.plan.stack_alert import RULES, render_stack_rules
from tests.unit.plan.samples import make_plan, make_vault

SETTINGS = Settings(
    data=Data(keep=(KeepRule(topic="#"),)),
    bridge=(
        Bridge.model_validate(
            {"name": "hq", "to": "amqps://x", "secret": "hq.account", "topics": ["a"], "receive": ["b"]}
        ),
    ),
    notify=Notify.model_validate({"channels": {"hook": {"webhook": {"url": "http://x"}}}}),
)
QUIET = Alert("stack-quiet", AlertConfig.model_validate({"silent": "x/+", "after": "3m"}))
_CRITICAL, _WARNING = "critical", "warning"
_STORE = "vm_app_start_timestamp"
_START = 'nuclio_processor_start_time_seconds{{function="{}", instance="a"}}'


@dataclass(frozen=True)
class Case:
    """Series by their values, of which there is one each quarter of a minute, and who fires at which minute."""

    alert: str
    series: Mapping[str, str]
    fires: Mapping[str, tuple[dict[str, str], ...]]
    severity: str = _WARNING
    every: str = "15s"


def queue(name: str, figure: str = "messages") -> str:
    return f'rabbitmq_detailed_queue_{figure}{{queue="{name}", job="tidegate-queues"}}'


def lost(why: str) -> str:
    labels = 'queue_type="rabbit_quorum_queue", dead_letter_strategy="disabled"'
    return f"rabbitmq_global_messages_dead_lettered_{why}_total{{{labels}}}"


def handled(function: str, result: str) -> str:
    return f'nuclio_processor_handled_events_total{{function="{function}", result="{result}", instance="a"}}'


def up(job: str, function: str = "") -> str:
    more = f', function="{function}"' if function else ""
    return f'up{{job="tidegate-{job}", instance="x:1"{more}}}'


CASES = (
    Case(
        "function-down",
        {up("functions", "here"): "1x40", up("functions", "gone"): "1x8 0x12 _x20", _STORE: "0x40"},
        {"1m30s": (), "5m": ({"function": "gone"},), "9m": ({"function": "gone"},)},
        _CRITICAL,
    ),
    Case(
        "function-down",
        {up("functions", "here"): "1x9", up("functions", "gone"): "0x3 1x6", _STORE: "0x9"},
        {"2m": ()},
        _CRITICAL,
    ),
    # What was down before the stack was is not down a moment after it.
    Case(
        "function-down",
        {up("functions", "here"): "1x40", up("functions", "gone"): "0x40", _STORE: "0x4 120x36"},
        {"2m45s": (), "5m": ({"function": "gone"},)},
        _CRITICAL,
    ),
    Case("certificate-ends", {"x": "1x40"}, {"4m": (), "6m": ({"function": "here", "trigger": "far"},)}),
    Case(
        "function-failing",
        {
            handled("bad", "failure"): "0+1x40",
            handled("bad", "success"): "0x40",
            handled("good", "failure"): "0x20 0+1x20",
            handled("good", "success"): "0+5x40",
            handled("rare", "failure"): "0x10 1x30",
            handled("rare", "success"): "0x40",
        },
        {"30s": (), "4m": ({"function": "bad"},), "9m": ({"function": "bad"},)},
    ),
    Case(
        "function-stuck",
        {'nuclio_processor_stuck_workers{function="f", instance="a"}': "0x4 1x12 0x20"},
        {"1m30s": (), "3m": ({"function": "f"},), "6m": ()},
    ),
    Case(
        "restart-loop",
        {'nuclio_processor_worker_restarts_total{function="f", instance="a"}': "0+1x40", _START.format("f"): "7x40"},
        {"30s": (), "4m": ({"function": "f"},)},
    ),
    Case(
        "restart-loop",
        {_START.format("f"): "1x4 20x4 40x4 60x4 _x24", _START.format("g"): "1x20 100x20"},
        {"1m": (), "4m": ({"function": "f"},)},
    ),
    # Two containers of one function, of which neither was started again, and four deploys.
    Case(
        "restart-loop",
        {
            f'nuclio_processor_start_time_seconds{{function="f", instance="{name}"}}': f"_x{at} {at}x8 _x40"
            for at, name in enumerate("abcdef")
        },
        {"2m": (), "5m": ()},
    ),
    Case(
        "rule-failing",
        {
            'vmalert_alerting_rules_errors_total{alertname="hot", group="hot"}': "0x8 0+1x12 12x40",
            'vmalert_recording_rules_errors_total{recording="tidegate:gap", group="g"}': "0x60",
            _STORE: "-600x60",
        },
        {"1m": (), "4m": ({"rule": "hot"},), "14m": ()},
    ),
    # No rule can be calculated until the store is there, which vmalert counts from its own start; one never can.
    Case(
        "rule-failing",
        {
            'vmalert_alerting_rules_errors_total{alertname="hot", group="hot"}': "_x4 20x60",
            'vmalert_alerting_rules_errors_total{alertname="odd", group="odd"}': "_x4 20+1x60",
            _STORE: "_x4 45x60",
        },
        {"1m30s": (), "5m": (), "9m": ({"rule": "odd"},)},
    ),
    # Nor while it starts again.
    Case(
        "rule-failing",
        {
            'vmalert_alerting_rules_errors_total{alertname="hot", group="hot"}': "0x20 _x4 30x60",
            _STORE: "-600x20 _x4 345x60",
        },
        {"4m": (), "6m15s": (), "8m": (), "10m": (), "13m": ()},
    ),
    # Nor when its errors are known before its start is.
    Case(
        "rule-failing",
        {
            'vmalert_alerting_rules_errors_total{alertname="hot", group="hot"}': "0x20 _x1 30x60",
            _STORE: "-600x20 _x2 320x60",
        },
        {"4m": (), "5m30s": (), "5m45s": (), "8m": (), "13m": ()},
    ),
    Case(
        "part-down",
        {up("broker"): "1x8 0x32", up("gateway"): "1x40", _STORE: "0x40"},
        {"2m": (), "4m": ({"job": "tidegate-broker", "part": "broker"},)},
        _CRITICAL,
    ),
    Case(
        "broker-alarm",
        {"rabbitmq_alarms_memory_used_watermark": "0x8 1x12 0x20", "rabbitmq_alarms_free_disk_space_watermark": "0x40"},
        {"1m": (), "3m": ({"alarm": "rabbitmq_alarms_memory_used_watermark"},), "6m": ()},
        _CRITICAL,
    ),
    Case(
        "dead-letters",
        {queue("iot/a.dead"): "0x8 3x12 0x20", queue("iot/a"): "9x40"},
        {"1m": (), "3m": ({"queue": "iot/a.dead"},), "6m": ()},
    ),
    Case(
        "queue-grows",
        {
            queue("grows"): "0+10x80",
            queue("grows", "consumers"): "0x80",
            queue("full"): "5000x80",
            queue("full", "consumers"): "0x80",
            queue("served"): "0+10x80",
            queue("served", "consumers"): "1x80",
            queue("x.dead"): "0+10x80",
            queue("x.dead", "consumers"): "0x80",
            queue("tidegate-bridge-hq"): "0+10x80",
            queue("tidegate-bridge-hq", "consumers"): "0x80",
        },
        {"2m": (), "15m": ({"queue": "grows"},)},
    ),
    Case(
        "bridge-down",
        {queue("tidegate-bridge-hq", "consumers"): "1x8 0x52", queue("tidegate-bridge-b", "consumers"): "1x60"},
        {"4m": (), "12m": ({"bridge": "hq", "queue": "tidegate-bridge-hq"},)},
    ),
    # It begins again every few seconds, and stops at the same message.
    Case(
        "bridge-down",
        {
            queue("tidegate-bridge-hq", "consumers"): " ".join(["0x4 1"] * 14),
            queue("tidegate-bridge-b", "consumers"): "1x60",
        },
        {"4m": (), "12m": ({"bridge": "hq", "queue": "tidegate-bridge-hq"},)},
    ),
    Case(
        "bridge-lost",
        {
            queue("tidegate-bridge-hq", "consumers"): "1x8 0x72",
            queue("tidegate-bridge-hq"): "0x8 500x72",
            queue("tidegate-bridge-b", "consumers"): "1x80",
            lost("maxlen"): "3x40 4x40",
            lost("expired"): "0x80",
        },
        {"9m": (), "11m": ({"bridge": "hq", "queue": "tidegate-bridge-hq"},), "18m": ()},
    ),
    Case(
        "bridge-lost",
        {queue("tidegate-bridge-hq", "consumers"): "1x80", lost("maxlen"): "3x40 4x40", lost("expired"): "0x80"},
        {"11m": ()},
    ),
    Case(
        "bridge-late",
        {queue("tidegate-bridge-hq"): "0x4 5000x120", queue("tidegate-bridge-b"): "5000x20 0x104"},
        {"10m": (), "25m": ({"bridge": "hq", "queue": "tidegate-bridge-hq"},)},
    ),
    Case(
        "bridges-stopped",
        {'rabbitmq_shovel_dynamic{status="running"}': "2x8 1x52", "rabbitmq_identity_info": "1x60"},
        {"4m": (), "12m": ({},)},
    ),
    Case(
        "bridges-stopped",
        {'rabbitmq_shovel_dynamic{status="starting"}': "2x60", "rabbitmq_identity_info": "1x60"},
        {"4m": (), "12m": ({},)},
    ),
    Case(
        "bridges-stopped",
        {'rabbitmq_shovel_dynamic{status="running"}': " ".join(["1x4 2"] * 14), "rabbitmq_identity_info": "1x70"},
        {"4m": (), "12m": ({},)},
    ),
    Case(
        "disk",
        {"rabbitmq_disk_space_available_bytes": "90000000000x8 1500000000x12 90000000000x20"},
        {"1m": (), "4m": ({},), "7m": ()},
        _CRITICAL,
    ),
    # Silent since the stack was down: told once readings could have come for so long, and not over at the next start.
    Case(
        "quiet",
        {'reading{topic="x/a"}': "1x4 _x60", _START.format("tidegate-recorder"): "0x4 _x15 300x27 720x12"},
        {"6m": (), "9m": ({"topic": "x/a"},), "12m30s": ({"topic": "x/a"},)},
    ),
    # One is heard each minute and falls silent, another always pauses for an hour, a third one is new; one of each
    # five minutes is missed later.
    Case(
        "device-silent",
        {
            'reading{topic="a"}': "1x60 _x120",
            'reading{topic="b"}': "1 _x59 1 _x59 1 _x59",
            'reading{topic="c"}': "1x5 _x175",
            'x_y{topic="d", field="y"}': "1x180",
            'reading{topic="e"}': "1 _x4 " * 24 + "_x60",
            _START.format("tidegate-recorder"): "0x180",
        },
        {"1h10m": (), "2h10m": ({"topic": "a"},), "2h20m": ({"topic": "a"}, {"topic": "e"})},
        every="1m",
    ),
)


def make_certificate(end: datetime) -> str:
    """Return a certificate that ends at a time, as PEM."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = builder.not_valid_before(end - timedelta(days=1)).not_valid_after(end).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode()


def make_services() -> Iterator[Service]:
    """Yield functions: one that is met over TLS, with a certificate of which two weeks are left in five minutes."""
    text = make_certificate(datetime.fromtimestamp(0, UTC) + timedelta(days=14, minutes=5))
    later = make_certificate(datetime.fromtimestamp(0, UTC) + timedelta(days=50))
    attributes = {"caCert": later + text, "queueName": "q", "exchangeName": "e"}
    far = {"kind": "rabbit-mq", "url": "amqps://far.example:5671", "attributes": attributes}
    specs: dict[str, dict[str, Any]] = {
        "here": {"triggers": {"far": far}},
        "gone": {},
        "asleep": {"minReplicas": 0, "maxReplicas": 2},
        "off": {"disable": True},
    }
    for name, spec in specs.items():
        yield plan_service(make_plan(name, **spec), SETTINGS, image="i", vault=make_vault(), is_deployed=True)


def render_cases() -> dict[str, bytes]:
    """Return the rules and the test of each case, as files."""
    files: dict[str, bytes] = {}
    groups = yaml.safe_load(render_stack_rules(SETTINGS, tuple(make_services()))[RULES])["groups"]
    groups += yaml.safe_load(render_rules((QUIET,), SETTINGS)[ALERT_RULES])["groups"]
    for number, case in enumerate(CASES):
        rules, name = f"{number}-rules.yaml", f"{number}-{case.alert}-test.yaml"
        mine = [_strip(group, case.every) for group in groups if group["name"].startswith(f"stack-{case.alert}")]
        test = {
            "name": name,
            "interval": case.every,
            "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
            "alert_rule_test": [_describe(case, moment, fires) for moment, fires in case.fires.items()],
        }
        document = {"rule_files": [rules], "evaluation_interval": case.every, "tests": [test]}
        files |= {rules: yaml.safe_dump({"groups": mine}).encode(), name: yaml.safe_dump(document).encode()}
    return files


def _strip(group: Mapping[str, Any], every: str) -> dict[str, Any]:
    rules = [{key: value for key, value in rule.items() if key != "annotations"} for rule in group["rules"]]
    return {**group, "interval": every, "rules": rules}


def _describe(case: Case, moment: str, fires: tuple[dict[str, str], ...]) -> dict[str, Any]:
    name = f"stack-{case.alert}"
    expected = [{"exp_labels": {**labels, "severity": case.severity}} for labels in fires]
    return {"eval_time": moment, "groupname": name, "alertname": name, "exp_alerts": expected}
