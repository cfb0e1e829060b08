"""The page of alerts on a real stack: an alert is written, tried on the past, fires, and is acknowledged."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml
from playwright.sync_api import Page, expect

from stack.alertmanager.client import find_host
from stack.docker.stack import open_stack
from stack.plan.alert import PORT, SERVICE
from stack.state.workspace import Workspace as RunWorkspace
from tests.browser.visit import PHONE, Visit
from tests.docker.workspace import Workspace, fetch, wait_until

WHEN = 'temperature{sensor="oven"} > 24'


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def listening() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Take what a webhook is told."""
    told: list[dict[str, Any]] = []
    # Containers reach this machine by the address of their network.
    with ThreadingHTTPServer(("0.0.0.0", 0), _Hook) as server:
        server.told = told  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], told
        server.shutdown()


def check_alerts(visit: Visit, workspace: Workspace) -> None:
    """Go from a page on which nothing is watched to an alert that is acknowledged."""
    page = visit.open("/alerts")
    expect(page.get_by_role("heading", name="Nothing is watched")).to_be_visible()
    visit.look("alerts-none")
    with listening() as (port, told):
        host = "http://host.docker.internal"
        channels = {"hook": {"webhook": {"url": f"{host}:{port}/"}}, "broken": {"webhook": {"url": f"{host}:1/"}}}
        workspace.configure(notify={"channels": channels, "to": ["hook"], "interval": "5s"})
        workspace.invoke("up", timeout=280)
        write_alert(visit, workspace)
        see_to_it(visit, workspace, told)
        try_channels(page, told)
        change_alert(visit, workspace)


def write_alert(visit: Visit, workspace: Workspace) -> None:
    """Write an alert by the form, which says what is wrong, and how often it would have fired."""
    page = visit.open("/alerts")
    expect(page.get_by_text("The stack itself is watched too")).to_be_visible()
    page.get_by_role("link", name="New alert").click()
    page.get_by_label("Name").fill("oven-hot")
    when, preview = page.get_by_label("When"), page.locator("#alert-preview")
    when.fill("temperature above 24")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert").filter(has_text="should be such as")).to_be_visible()
    visit.check_accessible("a wrong alert")
    when.fill(WHEN)
    page.get_by_label("Severity").select_option("critical")
    expect(preview).to_contain_text(re.compile(r"would have fired \d+ times"))
    page.get_by_label("Text").fill("{sensor} is at {value} °C.")
    visit.look("alert-form")
    page.get_by_role("button", name="YAML").click()
    expect(page.get_by_label("alerts/oven-hot.yaml")).to_have_value(re.compile("severity: critical"))
    expect(preview).to_contain_text("sensor=oven")
    visit.look("alert-yaml")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved in alerts/oven-hot.yaml. It is watched now.")).to_be_visible(timeout=60_000)
    expect(page).to_have_url(re.compile("/alerts/files/oven-hot$"))
    expect(page.get_by_role("heading", name="oven-hot")).to_be_visible()
    wait_until(lambda: "oven-hot" in list_rules(workspace), what="the rule in vmalert")
    written = yaml.safe_load((workspace.root / "alerts/oven-hot.yaml").read_text())
    assert written == {"when": WHEN, "severity": "critical", "text": "{sensor} is at {value} °C."}


def see_to_it(visit: Visit, workspace: Workspace, told: list[dict[str, Any]]) -> None:
    """See it fire, acknowledge it by the keyboard alone, and have people told again."""
    page = visit.open("/alerts")
    expect(page.locator("#alerts-history .spinner")).to_have_count(0)
    # Each look at the history below adds to it.
    visit.check_weight()
    workspace.invoke("publish", "plant/oven/temperature", "--body", "41.5")
    row = page.locator("#firing").get_by_role("row").filter(has_text="oven-hot")
    # Stored, looked at, told of and looked at again, each some seconds after the other.
    expect(row).to_contain_text("oven is at 41.5 °C.", timeout=60_000)
    expect(row.get_by_role("link", name="Chart of oven-hot, oven")).to_be_visible()
    wait_until(lambda: any(one["groupLabels"] == {"alertname": "oven-hot"} for one in told), what="the webhook")
    row.get_by_role("button", name="Acknowledge").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Acknowledge oven-hot")).to_be_visible()
    visit.check_accessible("acknowledging")
    page.get_by_label("Why").fill("on my way")
    page.keyboard.press("Enter")
    expect(row).to_contain_text("on my way (dashboard)")
    silences = page.locator("#silences")
    expect(silences).to_contain_text("oven-hot, sensor=oven")
    past = page.locator("#alerts-history").get_by_role("row").filter(has_text="oven-hot")

    def is_past() -> bool:
        page.get_by_role("button", name="Look again").click()
        page.wait_for_timeout(500)
        return past.count() > 0

    # The store finds a new series after some seconds.
    wait_until(is_past, what="the alert in the history")
    visit.look("alerts")
    silences.get_by_role("button", name="Tell again").click()
    expect(row.get_by_role("button", name="Acknowledge")).to_be_visible()
    page.set_viewport_size(PHONE)
    row.get_by_role("button", name="Silence").click()
    page.get_by_text("All of oven-hot").click()
    page.locator("#dialog").get_by_role("button", name="Silence").click()
    expect(row).to_contain_text("silenced (dashboard)")


def try_channels(page: Page, told: list[dict[str, Any]]) -> None:
    before = len(told)
    channels = page.locator("#alert-channels")
    channels.get_by_role("button", name="Test hook").click()
    expect(page.get_by_text("hook took the message.")).to_be_visible(timeout=40_000)
    assert len(told) > before
    channels.get_by_role("button", name="Test broken").click()
    expect(page.get_by_text(re.compile("broken does not work: .*refused"))).to_be_visible(timeout=40_000)
    expect(channels).to_contain_text("It is tried again.", timeout=40_000)


def change_alert(visit: Visit, workspace: Workspace) -> None:
    """Have a query that vmalert cannot read refused, and remove the alert."""
    page = visit.open("/alerts/files/oven-hot")
    path = workspace.root / "alerts/oven-hot.yaml"
    before = path.read_text()
    page.get_by_role("button", name="YAML").click()
    page.get_by_label("alerts/oven-hot.yaml").fill("expr: temperature >> 3\n")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#alert").get_by_role("alert").filter(has_text=">> 3")).to_be_visible(timeout=40_000)
    assert path.read_text() == before
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page).to_have_url(re.compile("/alerts$"))
    assert not path.exists()
    wait_until(lambda: "oven-hot" not in list_rules(workspace), what="vmalert without the rule")


def list_rules(workspace: Workspace) -> set[str]:
    """Return what vmalert watches."""
    host = find_host(open_stack(RunWorkspace(workspace.root)), SERVICE)
    groups = json.loads(fetch(f"http://{host}:{PORT}/api/v1/rules")[1])["data"]["groups"]
    return {one["name"] for one in groups}
