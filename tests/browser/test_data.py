"""The page of readings on a real store: what it says without one, then months and what arrives while one looks."""

import csv
import json
import re
import time
import urllib.request
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.visit import PHONE, Visit
from tests.docker.workspace import Workspace, wait_until

KEEP = [
    {"topic": "plant/+/temperature", "labels": {"sensor": "{2}"}},
    {"topic": "iot/sensors/temperature", "metric": "workshop"},
]
DAYS = 30
POINTS = 50_000
# What a page with so many readings takes at most; this machine runs other tests beside.
PAINT_SECONDS = 3.0


def test_readings_are_chosen_drawn_and_taken_away(visit: Visit, workspace: Workspace) -> None:
    if not workspace.settings.data.is_kept:
        check_without_store(visit)
        workspace.configure(data={"keep": KEEP})
        workspace.invoke("up", timeout=280)
    begin = time.time() - 1500
    store_past(workspace, begin)
    page = visit.open("/data")
    # The first metric is drawn without a question.
    chart = page.get_by_role("group", name="Chart of the readings")
    expect(chart).to_have_attribute("data-drawn", re.compile("[1-9]"))
    choose_time(page, "30 d")
    expect(chart).to_have_attribute("data-drawn", re.compile("[3-9]"))
    expect(page).to_have_url(re.compile(r"q=temperature&since=2592000"))
    expect(page.get_by_text(re.compile(r"a value each \d+ h"))).to_be_visible()
    visit.check_weight()
    check_first_paint(page)
    visit.look("data")
    check_live(page, workspace)
    check_own_figures(page)
    check_time(page)
    check_queries(page, visit)
    check_file(page)
    page.set_viewport_size(PHONE)
    page.get_by_role("button", name="Earlier").click()
    expect(page).to_have_url(re.compile("from="))
    visit.look("data-zoomed")
    check_devices(page, visit, workspace)
    check_demo(page, visit)
    check_metrics(page, visit, begin)


def check_devices(page: Page, visit: Visit, workspace: Workspace) -> None:
    """Go from the last value of a topic to its chart."""
    visit.open("/devices")
    link = page.get_by_role("link", name="Chart of plant/oven/temperature")

    def is_seen() -> bool:
        publish(workspace)
        return link.count() > 0

    # The page hears what is published once it watches.
    wait_until(is_seen, seconds=30, what="the topic on the page")
    expect(page.get_by_role("img", name="The last day of plant/oven/temperature")).to_be_visible()
    visit.look("data-devices")
    link.click()
    expect(page.get_by_role("row", name='temperature{sensor="oven"}')).to_be_visible()


def publish(workspace: Workspace) -> None:
    workspace.invoke("publish", "plant/oven/temperature", "--body", "41.5")


def check_without_store(visit: Visit) -> None:
    page = visit.open("/data")
    expect(page.get_by_role("heading", name="No readings are kept")).to_be_visible()
    expect(page.get_by_text("keep:")).to_be_visible()
    visit.look("data-none")


def check_first_paint(page: Page) -> None:
    page.reload()
    expect(page.locator("[data-history]")).to_have_attribute("data-drawn", re.compile("[3-9]"))
    took = page.evaluate("performance.getEntriesByName('drawn')[0].startTime") / 1000
    assert took < PAINT_SECONDS, took


def check_live(page: Page, workspace: Workspace) -> None:
    """Publish a reading and see it in tree, table and chart."""
    choose_time(page, "15 min")
    publish(workspace)
    tree = page.get_by_role("region", name="Series")
    expect(tree.get_by_role("listitem").filter(has_text="sensor=oven")).to_contain_text("41.5")
    tree.get_by_role("checkbox", name="All series of temperature").uncheck()
    expect(page.get_by_text("Choose a series.")).to_be_visible()
    tree.get_by_role("checkbox", name="sensor=oven").check()
    row = page.get_by_role("row", name='temperature{sensor="oven"}')
    expect(row.get_by_role("cell").first).to_have_text("41.5")
    page.get_by_role("searchbox", name="Find series").fill("attic")
    expect(tree.get_by_role("checkbox", name="sensor=attic")).to_be_visible()
    expect(tree.get_by_role("checkbox", name="sensor=oven")).to_have_count(0)
    page.get_by_role("searchbox", name="Find series").fill("")
    expect(tree.get_by_role("checkbox", name="sensor=oven")).to_be_checked()


def check_own_figures(page: Page) -> None:
    """Have functions, queues and gateway among the series, apart from the readings."""
    own = page.locator("#series-own")
    own.check()
    for name in ("nuclio_processor_handled_events_total", "rabbitmq_detailed_queue_messages", "haproxy_frontend_http"):
        page.get_by_role("searchbox", name="Find series").fill(name)
        tree = page.get_by_role("region", name="Series")
        expect(tree.get_by_role("checkbox", name=f"All series of {name}").first).to_be_visible(timeout=40_000)
    own.uncheck()
    page.get_by_role("searchbox", name="Find series").fill("")
    expect(tree.get_by_role("checkbox", name="All series of temperature")).to_be_visible()


def check_time(page: Page) -> None:
    """Zoom by the mouse and by the keyboard, and go back."""
    choose_time(page, "30 d")
    plot = page.locator(".u-over")
    box = plot.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"from=.*to="))
    start, end = find_span(page)
    assert 7 * 86400 < end - start < 11 * 86400
    chart = page.get_by_role("group", name="Chart of the readings")
    chart.focus()
    before = page.url
    page.keyboard.press("+")
    expect(page).not_to_have_url(before)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Home")
    expect(page).to_have_url(re.compile("since="))
    choose_time(page, "1 h")


def choose_time(page: Page, text: str) -> None:
    page.get_by_role("radiogroup", name="The last").get_by_text(text, exact=True).click()


def find_span(page: Page) -> tuple[float, float]:
    fields = dict(re.findall(r"(from|to)=([\d.]+)", page.url))
    return float(fields["from"]), float(fields["to"])


def check_queries(page: Page, visit: Visit) -> None:
    field = page.get_by_label("A query in PromQL")
    field.fill("max(tempe")
    expect(page.locator("#completions option")).to_have_js_property("value", "max(temperature")
    field.fill("max(temperature) - 1")
    field.press("Enter")
    expect(page.get_by_role("row", name="max(temperature) - 1").get_by_role("cell").first).to_have_text("40.5")
    field.fill("avg(")
    field.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="cannot read that")).to_be_visible()
    visit.check_accessible("a wrong query")
    page.get_by_role("button", name="Take avg( away").click()
    expect(page.get_by_role("alert")).to_be_hidden()


def check_file(page: Page) -> None:
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text().splitlines()))
    assert '{"sensor": "oven"}' in {row["labels"] for row in rows}
    assert "41.5" in {row["max"] for row in rows}


def check_demo(page: Page, visit: Visit) -> None:
    """Have the demo's chart begin with what is kept of its topic."""
    visit.open("/demo")
    expect(page.locator("[data-demo-chart] .u-legend")).to_contain_text("workshop")


def check_metrics(page: Page, visit: Visit, begin: float) -> None:
    """Have a function's charts begin before its page was opened."""
    visit.open("/functions/amqpevent/metrics")
    minutes = {time.strftime("%H:%M", time.localtime(begin + late)) for late in (0, 30)}
    expect(page.locator("[data-begin]")).to_have_text(re.compile(rf"at ({'|'.join(minutes)})"))
    visit.look("data-function-metrics")


def store_past(workspace: Workspace, begin: float) -> None:
    """Store a month of readings without the broker, as the store's own import takes them, and figures since a time."""
    now, span = time.time() - 600, DAYS * 86400
    times = [now - span + at * span / POINTS for at in range(POINTS)]
    lines = [
        write_series(
            {"__name__": "temperature", "sensor": sensor},
            times,
            [20 + number + (at * (number + 3)) % 700 / 100 for at in range(POINTS)],
        )
        for number, sensor in enumerate(("oven", "hall", "attic"))
    ]
    figure = {"__name__": "nuclio_processor_busy_seconds", "function": "amqpevent", "job": "tidegate-functions"}
    lines.append(write_series(figure, [begin + 15 * at for at in range(80)], [1] * 80))
    lines.append(write_series({"__name__": "workshop"}, [now, now + 60], [20, 21]))
    password = (workspace.root / ".stack/secrets/store/password").read_text()
    headers = {"Authorization": "Basic " + b64encode(f"tidegate:{password}".encode()).decode()}
    url = f"http://127.0.0.1:{workspace.settings.ports.data}/api/v1/import"
    body = "\n".join(json.dumps(line) for line in lines).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60) as answer:
        assert answer.status == 204


def write_series(labels: Mapping[str, str], times: Sequence[float], values: Sequence[float]) -> dict[str, Any]:
    return {"metric": labels, "timestamps": [int(moment * 1000) for moment in times], "values": values}
