"""Alerts on a real stack: from a reading to a mail, silence, a flood, and what becomes of them when parts die."""

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_string, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from stack.config.settings import FILE
from stack.docker.rule import run_tool
from stack.docker.stack import open_stack
from stack.plan.stack_image import rule_test_image
from stack.state.workspace import Workspace as RunWorkspace
from stack.victoriametrics.client import find_store
from tests.docker.alerter_checks import check_messages
from tests.docker.stack_alert_cases import render_cases
from tests.docker.workspace import PATIENCE, Workspace, run_docker, wait_until

# Seconds of silence; and until others are told, within which there is time to acknowledge on a busy machine.
AFTER, ESCALATED = 8, 30
# Seconds to a mail beyond a rule's own, on a machine that runs other tests beside these; a quiet one takes 3 to 4.
SLOW = 20
ALERTS: dict[str, dict[str, Any]] = {
    "hot": {
        "when": 'reading{topic=~"plant/oven.*"} > 30',
        "clear": "< 29.5",
        "severity": "critical",
        "text": "{topic} is at {value} °C",
        "tests": [
            {
                "readings": {'reading{topic="plant/oven/temperature"}': "20x5 31x5"},
                "fires": {"4m": [], "9m": [{"topic": "plant/oven/temperature"}]},
            }
        ],
    },
    "quiet": {"silent": "plant/talker/temperature", "after": f"{AFTER}s"},
    "cold": {"when": 'reading{topic="plant/fridge/temperature"} > 8', "severity": "critical"},
    "night": {"when": 'reading{topic=~"plant/oven.*"} > 30', "severity": "info"},
    "flood": {"when": 'reading{topic=~"plant/flood.*"} > 30'},
    "late": {"when": 'reading{topic="plant/late/temperature"} > 30'},
}


@dataclass
class Mail:
    """A mail that came, and when."""

    subject: str
    text: str
    at: float = field(default_factory=time.time)


class MailSink(socketserver.StreamRequestHandler):
    """Takes each mail, as an SMTP server does."""

    def handle(self) -> None:
        self._say("220 sink")
        for raw in self.rfile:
            word = raw.decode().strip().upper()
            if word == "DATA":
                self._say("354 go on")
                lines = iter(lambda: self.rfile.readline().decode().rstrip("\r\n"), ".")
                message = message_from_string("\n".join(lines), policy=policy.default)
                body = message.get_body()
                mail = Mail(message["Subject"], body.get_content() if body else "")
                self.server.mails.append(mail)  # type: ignore[attr-defined]
            self._say("221 bye" if word == "QUIT" else "250 yes")
            if word == "QUIT":
                return

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class HookSink(BaseHTTPRequestHandler):
    """Takes each document that is posted."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.documents.append(json.loads(body))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class _MailServer(socketserver.ThreadingTCPServer):
    daemon_threads = True


@dataclass
class Sinks:
    """What people were told."""

    mails: list[Mail]
    documents: list[dict[str, Any]]
    mail_port: int
    hook_port: int

    def find_mails(self, subject: str) -> list[Mail]:
        return [one for one in self.mails if one.subject == subject]

    def find_documents(self, name: str, status: str = "firing", *, receiver: str = "hook") -> list[dict[str, Any]]:
        found = [one for one in self.documents if (one["status"], one["receiver"]) == (status, receiver)]
        return [one for one in found if one["groupLabels"].get("alertname") == name]


@pytest.fixture
def sinks() -> Iterator[Sinks]:
    # Containers reach this machine by the address of their network.
    with _MailServer(("0.0.0.0", 0), MailSink) as mail, ThreadingHTTPServer(("0.0.0.0", 0), HookSink) as hook:
        found = Sinks([], [], mail.server_address[1], hook.server_address[1])
        mail.mails, hook.documents = found.mails, found.documents  # type: ignore[attr-defined]
        for server in (mail, hook):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found
        mail.shutdown()
        hook.shutdown()


@pytest.fixture
def watched(fresh_workspace: Workspace, sinks: Sinks) -> Workspace:
    host = "host.docker.internal"
    server = {"server": f"{host}:{sinks.mail_port}", "tls": False}
    mail = {"to": ["me@plant.example"], "from": "plant@plant.example", **server}
    url = f"http://{host}:{sinks.hook_port}/"
    channels = {
        "mail": {"mail": mail},
        "hook": {"webhook": {"secret": "notify.hook"}},
        "boss": {"webhook": {"url": url}},
        "broken": {"webhook": {"url": f"http://{host}:1/"}},
    }
    routes = [{"severity": ["info"], "to": ["mail"], "mute": ["always"]}]
    quiet = {"routes": routes, "mute": {"always": {"times": ["00:00-24:00"]}}}
    escalate = {"after": f"{ESCALATED}s", "to": ["boss"]}
    fresh_workspace.configure(
        data={"keep": [{"topic": "#"}, {"topic": "strict/+", "value": {"json": "/t"}}], "scrape": "2s"},
        notify={"channels": channels, "to": ["mail", "hook"], "interval": "5s", "escalate": escalate, **quiet},
    )
    folder = fresh_workspace.root / "alerts"
    folder.mkdir()
    for name, document in ALERTS.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document, allow_unicode=True))
    refused = fresh_workspace.invoke("up", check=False)
    assert "Set it: invoke secret set notify hook" in refused.stderr
    fresh_workspace.invoke("secret", "set", "notify", "hook", "--value", url)
    fresh_workspace.invoke("up", timeout=300)
    return fresh_workspace


def publish(workspace: Workspace, *readings: tuple[str, float | str]) -> float:
    """Send readings; return when that was begun."""
    began = time.time()
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("guest", "guest")
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", workspace.settings.ports.mqtt)
    client.loop_start()
    topics = [(name if "/" in name else f"plant/{name}/temperature", value) for name, value in readings]
    sent = [client.publish(topic, str(value), 1) for topic, value in topics]
    for one in sent:
        one.wait_for_publish(PATIENCE)
        assert one.is_published()
    client.disconnect()
    client.loop_stop()
    return began


def test_people_are_told(watched: Workspace, sinks: Sinks) -> None:
    """One stack for all: each kind of alert, then what people do about it, then each part killed."""
    publish(watched, ("oven", 20), ("talker", 1), ("strict/odd", "much"))
    time.sleep(2)
    start = publish(watched, ("oven", 31), ("talker", 1))
    wait_until(lambda: sinks.find_mails("CRITICAL: hot"), what="the mail")
    (mail,) = sinks.find_mails("CRITICAL: hot")
    assert mail.at - start < SLOW
    assert "plant/oven/temperature is at 31 °C" in mail.text
    check_chart(watched, mail)
    wait_until(lambda: sinks.find_mails("WARNING: quiet"), seconds=30, what="the mail of silence")
    (mail,) = sinks.find_mails("WARNING: quiet")
    assert AFTER <= mail.at - start < AFTER + SLOW
    watch_fridge(watched, sinks)
    # What no one acknowledges in time is told to others.
    wait_until(lambda: sinks.find_documents("hot", receiver="boss"), seconds=ESCALATED + SLOW, what="the escalation")
    do_something(watched, sinks)
    kill_parts(watched, sinks)
    watch_stack(watched, sinks)
    check_routes(watched, sinks)
    check_messages(watched, sinks.find_documents)
    check_files(watched)
    forget(watched, sinks)
    flood(watched, sinks)
    check_nothing_is_told_twice(sinks)


def check_chart(workspace: Workspace, mail: Mail) -> None:
    """The link in a message leads to the one series that it is about."""
    link = urlsplit(next(line.strip() for line in mail.text.splitlines() if "/data?" in line))
    assert link.port == workspace.settings.ports.dashboard
    store = find_store(open_stack(RunWorkspace(workspace.root)))
    (series,) = store.query(parse_qs(link.query)["q"][0])
    assert series.own_labels == {"topic": "plant/oven/temperature"}


def flood(workspace: Workspace, sinks: Sinks) -> None:
    """A thousand sensors between two looks at the rules are one message, however slowly this machine sends them."""
    # Alertmanager counts it from when an alert began, which vmalert sets to a look that the pause has made late.
    notify = yaml.safe_load((workspace.root / FILE).read_text())["notify"]
    workspace.configure(notify=notify | {"wait": "10s"})
    workspace.invoke("up")
    (vmalert,) = workspace.containers("vmalert")
    store = find_store(open_stack(RunWorkspace(workspace.root)))
    run_docker("pause", vmalert)
    publish(workspace, *((f"flood{number}", 40) for number in range(1000)))
    wait_until(lambda: len(store.query('reading{topic=~"plant/flood.*"}')) == 1000, what="all readings in the store")
    run_docker("unpause", vmalert)
    wait_until(lambda: sinks.find_documents("flood"), what="the flood")
    time.sleep(8)
    assert [len(one["alerts"]) for one in sinks.find_documents("flood")] == [1000]
    wait_until(lambda: sinks.find_mails("WARNING: flood (1000)"), what="the mail of the flood")
    (mail,) = sinks.find_mails("WARNING: flood (1000)")
    assert "1000 in all" in mail.text


def watch_fridge(workspace: Workspace, sinks: Sinks) -> None:
    """Acknowledge an alert before it is told to others."""
    publish(workspace, ("fridge", 9))
    wait_until(lambda: sinks.find_mails("CRITICAL: cold"), what="the mail of the fridge")
    workspace.invoke("alerts", "acknowledge", "cold")


def do_something(workspace: Workspace, sinks: Sinks) -> None:
    """List, acknowledge and try channels, as a person does."""
    (shown,) = json.loads(workspace.invoke("alerts", "hot", "--json").stdout)
    topic = "plant/oven/temperature"
    assert (shown["labels"]["topic"], shown["severity"], shown["silences"]) == (topic, "critical", [])
    workspace.invoke("alerts", "acknowledge", "hot", "--labels", f"topic={topic}", "--comment", "on my way")
    assert "on my way" in workspace.invoke("alerts", "hot").stdout
    workspace.invoke("notify-test", "hook")
    assert len([one for one in sinks.documents if "tidegate_channel" in one["commonLabels"]]) == 1
    failed = workspace.invoke("notify-test", "broken", check=False)
    assert failed.returncode == 1 and "connection refused" in failed.stderr
    for task in ("alerts", "status"):
        assert "The channel broken fails and is tried again" in workspace.invoke(task).stderr


def kill_parts(workspace: Workspace, sinks: Sinks) -> None:
    """Store, broker, vmalert and Alertmanager are killed: what happens meanwhile is told, and nothing twice."""
    told = [len(sinks.find_documents(name)) for name in ("hot", "quiet")]
    (store,), (vmalert,), (alertmanager,) = map(workspace.containers, ("victoria-metrics", "vmalert", "alertmanager"))
    (broker,) = workspace.containers("rabbitmq-mqtt")
    run_docker("kill", store)
    time.sleep(3)
    publish(workspace, ("late", 50))
    run_docker("kill", broker, alertmanager, vmalert)
    run_docker("start", broker, store, vmalert)
    complaint = "alertmanager:9093"
    wait_until(lambda: complaint in run_docker("logs", "--since", "1m", vmalert).stderr, what=complaint)
    run_docker("start", alertmanager)
    wait_until(lambda: sinks.find_documents("late"), seconds=60, what="the alert of meanwhile")
    assert [len(sinks.find_documents(name)) for name in ("hot", "quiet")] == told
    assert len(sinks.find_documents("late")) == 1
    assert not [one for name in ("hot", "quiet") for one in sinks.find_documents(name, "resolved")]
    # What was acknowledged is still known, as soon as vmalert has said again what fires.
    wait_until(
        lambda: "on my way" in workspace.invoke("alerts", "hot").stdout, seconds=60, what="the acknowledged alert"
    )


def watch_stack(workspace: Workspace, sinks: Sinks) -> None:
    """What is wrong with the stack itself is told without a file: dead letters, and an alarm of the broker's."""
    wait_until(lambda: sinks.find_mails("WARNING: stack-dead-letters"), what="the mail of dead letters")
    (mail,) = sinks.find_mails("WARNING: stack-dead-letters")
    assert "Dead letters lie in tidegate-recorder-topics.dead: 1; `invoke dead-letters`" in mail.text
    (broker,) = workspace.containers("rabbitmq-mqtt")
    limit = ("exec", broker, "rabbitmqctl", "set_disk_free_limit")
    wait_until(lambda: not run_docker(*limit, "900000GB", check=False).returncode, seconds=60, what="the broker")
    wait_until(lambda: sinks.find_mails("CRITICAL: stack-broker-alarm"), seconds=60, what="the mail of the alarm")
    run_docker(*limit, "50MB")
    assert not sinks.find_mails("CRITICAL: stack-function-down")
    stack = open_stack(RunWorkspace(workspace.root))
    image = rule_test_image(stack.bare_inputs)
    files = render_cases()
    options = [f"--files={name}" for name in files if name.endswith("test.yaml")]
    status, output = run_tool(workspace.project, image, command=("vmalert-tool", "unittest", *options), files=files)
    assert not status, output


def check_routes(workspace: Workspace, sinks: Sinks) -> None:
    """What was told to others is told once, what was acknowledged is not, and in quiet hours no one is told."""
    assert len(sinks.find_documents("hot", receiver="boss")) == 1
    assert not sinks.find_documents("cold", receiver="boss")
    assert json.loads(workspace.invoke("alerts", "night", "--json").stdout)
    assert not sinks.find_mails("INFO: night")


def check_files(workspace: Workspace) -> None:
    """Tests of alerts are run, and what vmalert cannot read is not given to it, by `up` or by others."""
    path = workspace.root / "alerts" / "hot.yaml"
    recorded = ("--since", "30m", "--format", "csv", "--output", str(path.parent / "night.csv"))
    workspace.invoke("readings", 'reading{topic="plant/oven/temperature"}', *recorded)
    config = yaml.safe_load(path.read_text())
    test = {"recorded": "night.csv", "every": "1s", "fires": {"0s": [], "10s": [{"topic": "plant/oven/temperature"}]}}
    path.write_text(yaml.safe_dump({**config, "tests": [*config["tests"], test]}, allow_unicode=True))
    assert "hot: 2 passed." in workspace.invoke("test-alerts").stderr
    path.write_text(path.read_text().replace("4m: []", "4m: [{topic: plant/oven/temperature}]"))
    assert workspace.invoke("test-alerts", "hot", check=False).returncode == 1
    right = path.read_text()
    path.write_text("expr: temperature >> 3\n")
    rendered = (workspace.rendered / "vmalert" / "rules.yaml").read_text()
    refused = workspace.invoke("up", check=False)
    assert "alerts/hot.yaml: " in refused.stderr and ">> 3" in refused.stderr
    workspace.invoke("render")
    assert (workspace.rendered / "vmalert" / "rules.yaml").read_text() == rendered
    path.write_text(right)


def check_nothing_is_told_twice(sinks: Sinks) -> None:
    """What was killed may tell later what it had told before."""
    for name in ("flood", "late", "cold"):
        assert len(sinks.find_documents(name)) == 1, name


def forget(workspace: Workspace, sinks: Sinks) -> None:
    """Readings that are deleted are expected no more."""
    topic = "plant/talker/temperature"
    workspace.invoke("data", "forget", f'reading{{topic="{topic}"}}', "--yes")
    store = find_store(open_stack(RunWorkspace(workspace.root)))
    assert not store.query(f'last_over_time({{__name__=~"tidegate:.+", topic="{topic}"}}[1h])')
    wait_until(lambda: sinks.find_mails("OVER: quiet"), seconds=60, what="the end of silence")
